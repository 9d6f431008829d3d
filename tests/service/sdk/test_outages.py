"""The collector is down, slow, wrong or strange; nothing is lost and nothing is booked twice."""

import dataclasses
import time
from collections.abc import Iterable
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa

from api.services import Services
from ledger.models import api_keys
from ledger.session import operator_session
from ledger.settings import Settings
from meterline import Meter
from tests.builders import NOW
from tests.collector import Collector, always, lose_answers
from tests.processes import free_port, wait_until
from tests.service.sdk.conftest import MakeMeter, record_sms

COUNT = 25


def record_many(meter: Meter, count: int = COUNT) -> list[str]:
    return [record_sms(meter) for _ in range(count)]


def wait_for_failures(meter: Meter, count: int = 1) -> None:
    wait_until(lambda: meter.stats().failures >= count, "a request fails")


def test_usage_waits_for_a_collector_that_is_down(
    make_meter: MakeMeter, services: Services
) -> None:
    port = free_port()
    meter = make_meter(f"http://127.0.0.1:{port}")
    ids = record_many(meter)
    wait_for_failures(meter, 2)
    with closing(Collector(services, port=port)) as collector:
        assert meter.flush(30)
        assert ids == collector.ids()


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("500 Internal Server Error", {}),
        ("503 Service Unavailable", {"Retry_After": "0"}),
        ("429 Too Many Requests", {}),
        ("404 Not Found", {}),
        ("302 Found", {"Location": "http://127.0.0.1:9/"}),
        ("200 OK", {"Content_Type": "text/html"}),
        ("400 Bad Request", {}),
        ("413 Content Too Large", {}),
    ],
)
def test_an_answer_that_settles_nothing_loses_nothing(
    meter: Meter, collector: Collector, status: str, headers: dict[str, str]
) -> None:
    collector.weather = always(status, b"<html>a proxy says this</html>", **headers)
    ids = record_many(meter, 3)
    wait_for_failures(meter)
    collector.weather = None
    assert meter.flush(30)
    assert (sorted(ids), 3) == (sorted(collector.ids()), meter.stats().stored)


def test_a_batch_whose_answer_was_lost_is_booked_once_and_counts_as_delivered(
    meter: Meter, collector: Collector
) -> None:
    collector.weather = lose_answers(1)
    ids = record_many(meter)
    wait_for_failures(meter)
    assert meter.flush(30)
    stats = meter.stats()
    assert (ids, COUNT, 0) == (collector.ids(), stats.stored + stats.duplicates, stats.pending)
    assert stats.duplicates > 0


def test_a_collector_that_is_too_slow_is_asked_again(
    make_meter: MakeMeter, collector: Collector
) -> None:
    def dawdle(*_: Any) -> None:
        time.sleep(0.5)

    collector.weather = dawdle
    meter = make_meter(timeout=0.1)
    ids = record_many(meter)
    wait_for_failures(meter)
    collector.weather = None
    assert meter.flush(30)
    assert sorted(ids) == sorted(collector.ids())


def test_an_answer_that_drips_for_ever_is_cut_off(
    make_meter: MakeMeter, collector: Collector
) -> None:
    def drip(_app: Any, _environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "1000000")])
        for _ in range(600):
            time.sleep(0.05)
            yield b" "

    collector.weather = drip
    meter = make_meter(timeout=0.2)
    ids = record_many(meter)
    wait_for_failures(meter)
    collector.weather = None
    assert meter.flush(30)
    assert ids == collector.ids()


def test_usage_waits_for_its_key_to_be_valid(
    meter: Meter, collector: Collector, engine: sa.Engine
) -> None:
    def set_revoked(value: Any) -> None:
        with operator_session(engine, write=True) as session:
            session.connection.execute(sa.update(api_keys).values(revoked_at=value))

    set_revoked(NOW)
    ids = record_many(meter)
    wait_for_failures(meter, 2)
    told = meter.stats().last_failure
    set_revoked(None)
    assert meter.flush(30)
    assert ("status 401, invalid_credential", ids) == (told, collector.ids())


def test_more_than_the_collector_takes_at_once_is_split(
    make_meter: MakeMeter, services: Services
) -> None:
    small = dataclasses.replace(services, settings=Settings(max_batch_events=7))
    with closing(Collector(small)) as collector:
        meter = make_meter(collector.url)
        ids = record_many(meter, 100)
        assert meter.flush(30)
        assert sorted(ids) == sorted(collector.ids())


def test_a_collector_without_gzip_is_sent_plain_bodies(meter: Meter, collector: Collector) -> None:
    refuse = always(
        "415 Unsupported Media Type",
        b'{"type":"urn:meterline:problem:unsupported_encoding","code":"unsupported_encoding"}',
    )

    def old(app: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes] | None:
        packed = "HTTP_CONTENT_ENCODING" in environ
        return refuse(app, environ, start_response) if packed else None

    collector.weather = old
    ids = record_many(meter)
    assert meter.flush(30)
    assert ids == collector.ids()


def test_a_collector_that_reads_not_even_plain_bodies_is_left_in_peace_between_tries(
    make_meter: MakeMeter, collector: Collector
) -> None:
    asked = 0
    refuse = always(
        "415 Unsupported Media Type",
        b'{"type":"urn:meterline:problem:unsupported_encoding","code":"unsupported_encoding"}',
    )

    def count(app: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes] | None:
        nonlocal asked
        asked += 1
        return refuse(app, environ, start_response)

    collector.weather = count
    meter = make_meter(interval=0.001)
    ids = record_many(meter)
    wait_for_failures(meter, 2)
    told = (asked <= 4, meter.stats().last_failure)
    collector.weather = None
    assert meter.flush(30)
    assert ((True, "status 415, unsupported_encoding"), ids) == (told, collector.ids())


def test_bodies_are_sent_in_gzip(meter: Meter, collector: Collector) -> None:
    seen: list[str | None] = []

    def look(_app: Any, environ: dict[str, Any], _start_response: Any) -> None:
        seen.append(environ.get("HTTP_CONTENT_ENCODING"))

    collector.weather = look
    record_many(meter)
    assert meter.flush(30)
    assert {"gzip"} == set(seen)


def test_an_outage_is_logged_once_and_without_the_key(
    make_meter: MakeMeter, caplog: pytest.LogCaptureFixture, secret: str
) -> None:
    meter = make_meter(f"http://127.0.0.1:{free_port()}")
    record_many(meter)
    wait_for_failures(meter, 3)
    told = [line for line in caplog.messages if "cannot be delivered" in line]
    assert (1, False) == (len(told), secret in caplog.text)


def test_a_flush_gives_up_when_its_time_is_over(make_meter: MakeMeter) -> None:
    meter = make_meter(f"http://127.0.0.1:{free_port()}")
    record_many(meter)
    assert (False, COUNT) == (meter.flush(0.05), meter.stats().pending)
