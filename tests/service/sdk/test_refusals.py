"""What the collector refuses: held until that is mended, or kept as a dead letter."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ledger.clock import system_clock
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import add_tenant, close_tenant, reopen_tenant
from meterline import Meter
from meterline.delivery.letterbox import LETTERS
from tests.collector import Collector
from tests.processes import wait_until
from tests.service.sdk.conftest import MakeMeter, record_sms

Register = Callable[[str], None]


@pytest.fixture
def register(engine: sa.Engine) -> Register:
    def register(name: str) -> None:
        with operator_session(engine, write=True) as session:
            add_tenant(session, TenantId(name), name=name, now=system_clock())

    return register


def letters(spool: Path) -> list[dict[str, Any]]:
    path = spool / LETTERS
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_usage_of_an_unknown_tenant_waits_and_holds_nobody_up(
    meter: Meter, collector: Collector
) -> None:
    for number in range(20):
        record_sms(meter, event_id=f"SM{number}", tenant=("newcomer", "acme")[number % 2])
    is_all = meter.flush()
    stats = meter.stats()
    assert (False, 10, 10) == (is_all, stats.held, len(collector.ids()))


def test_usage_of_an_unknown_tenant_is_booked_when_the_tenant_is_registered(
    meter: Meter, collector: Collector, register: Register
) -> None:
    ids = [record_sms(meter, tenant="newcomer") for _ in range(5)]
    meter.flush()
    register("newcomer")
    assert (True, ids) == (meter.flush(), collector.ids())


def test_usage_of_an_unknown_tenant_survives_the_process(
    make_meter: MakeMeter, collector: Collector, register: Register
) -> None:
    first = make_meter()
    ids = [record_sms(first, tenant="newcomer") for _ in range(5)]
    first.close()
    register("newcomer")
    second = make_meter()
    second.flush()
    wait_until(lambda: second.stats().stored == 5, "the usage that was left is booked")
    assert ids == collector.ids()


def test_usage_of_a_host_whose_clock_is_fast_waits_and_holds_nobody_up(
    meter: Meter, collector: Collector, spool: Path
) -> None:
    ahead = system_clock() + timedelta(minutes=7)
    for number in range(20):
        record_sms(meter, event_id=f"SM{number}", at=(ahead, None)[number % 2])
    is_all = meter.flush()
    stats = meter.stats()
    assert (False, 10, 10, []) == (is_all, stats.held, len(collector.ids()), letters(spool))


def test_usage_of_a_host_whose_clock_is_fast_is_booked_when_its_time_has_come(
    meter: Meter, collector: Collector
) -> None:
    ahead = system_clock() + timedelta(minutes=7)
    ids = [record_sms(meter, at=ahead) for _ in range(5)]
    meter.flush()
    collector.set_clock(lambda: ahead)
    assert (True, ids) == (meter.flush(), collector.ids())


def test_usage_of_a_host_whose_clock_is_fast_keeps_to_the_limit_and_its_loss_is_counted(
    make_meter: MakeMeter, collector: Collector
) -> None:
    meter = make_meter(max_bytes=256 * 1024)
    ahead = system_clock() + timedelta(minutes=7)
    for number in range(3000):
        record_sms(meter, at=ahead)
        if number % 250 == 249:
            meter.flush(1)
    record_sms(meter, event_id="newer")
    wait_until(lambda: collector.ids() == ["newer"], "usage with the right time is booked")
    stats = meter.stats()
    assert (3001, True) == (stats.stored + stats.pending + stats.dropped, stats.dropped > 0)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"at": system_clock() + timedelta(hours=1)}, "this host's clock is ahead"),
        ({"tenant": "newcomer"}, "the collector does not know a tenant"),
    ],
)
def test_what_waits_says_once_in_the_log_what_for(
    changes: dict[str, Any], told: str, meter: Meter, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        record_sms(meter, **changes)
        meter.flush()
    wait_until(lambda: told in caplog.text, "it is logged")
    assert 1 == len(caplog.messages)


def test_usage_that_is_not_taken_is_told_in_the_log(
    meter: Meter, caplog: pytest.LogCaptureFixture
) -> None:
    record_sms(meter, tenant="jo@example.test")
    meter.flush()
    told = "usage was refused: its id, tenant or count is invalid"
    wait_until(lambda: told in caplog.text, "it is logged")
    assert "jo@example.test" not in caplog.text


def test_refused_usage_becomes_a_dead_letter_with_its_reason(meter: Meter, spool: Path) -> None:
    record_sms(meter, event_id="odd", channel="pigeon")
    record_sms(meter, event_id="good")
    assert meter.flush()
    expected = [("odd", "rejected", "unknown_channel")]
    found = [
        (each["event"]["id"], each["reason"]["status"], each["reason"]["code"])
        for each in letters(spool)
    ]
    stats = meter.stats()
    assert (expected, 1, 1) == (found, stats.dead, stats.stored)


def test_a_conflict_becomes_a_dead_letter(meter: Meter, spool: Path) -> None:
    record_sms(meter, event_id="SM1", quantity=1)
    record_sms(meter, event_id="SM1", quantity=2)
    assert meter.flush()
    assert ["conflict"] == [each["reason"]["status"] for each in letters(spool)]


@pytest.mark.parametrize("has_folder", [True, False])
def test_dead_letters_are_sent_again_when_their_reason_is_gone(
    make_meter: MakeMeter,
    collector: Collector,
    engine: sa.Engine,
    spool: Path,
    *,
    has_folder: bool,
) -> None:
    meter = make_meter(spool=spool if has_folder else None)
    with operator_session(engine, write=True) as session:
        close_tenant(session, TenantId("acme"), now=system_clock() - timedelta(hours=1))
    for number in range(3):
        record_sms(meter, event_id=f"SM{number}")
    meter.flush()
    refused = meter.stats().dead
    with operator_session(engine, write=True) as session:
        reopen_tenant(session, TenantId("acme"))
    restored = meter.redeliver()
    assert meter.flush()
    stats = meter.stats()
    assert (3, 3, ["SM0", "SM1", "SM2"]) == (refused, restored, collector.ids())
    assert ([], 3) == (letters(spool), stats.redelivered)


def test_dead_letters_that_are_refused_again_are_dead_letters_again(
    meter: Meter, spool: Path
) -> None:
    record_sms(meter, event_id="odd", channel="pigeon")
    meter.flush()
    meter.redeliver()
    meter.flush()
    assert ["odd"] == [each["event"]["id"] for each in letters(spool)]


def test_there_may_be_nothing_to_redeliver(meter: Meter) -> None:
    assert 0 == meter.redeliver()


def test_dead_letters_that_cannot_be_read_stay_and_the_others_are_sent(
    meter: Meter, spool: Path, collector: Collector
) -> None:
    torn = b'{"event":{"id":"torn","chan'
    whole = (
        b'{"event":{"id":"SM1","time":"2026-01-01T00:00:00Z","tenant":"acme","channel":"sms",'
        b'"direction":"outbound"},"reason":{"code":"x"}}'
    )
    (spool / LETTERS).write_bytes(torn + b"\n" + whole + b"\n")
    meter.redeliver()
    meter.flush()
    assert (["SM1"], torn + b"\n") == (collector.ids(), (spool / LETTERS).read_bytes())


def test_dead_letters_have_a_limit_that_is_counted_and_logged(
    make_meter: MakeMeter, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    meter = make_meter(max_bytes=256 * 1024)
    for number in range(1500):
        record_sms(meter, channel="pigeon")
        if number % 250 == 249:
            meter.flush(30)
    stats = meter.stats()
    kept = len(letters(spool))
    told = sum("no room for dead letters" in line for line in caplog.messages)
    assert (1500, 1500, 1) == (stats.dead, kept + stats.letters_lost, told)
    assert stats.letters_lost > 0


def test_a_letter_box_that_cannot_be_written_costs_no_event(
    meter: Meter, spool: Path, collector: Collector
) -> None:
    (spool / LETTERS).mkdir()
    record_sms(meter, event_id="odd", channel="pigeon")
    record_sms(meter, event_id="good")
    meter.flush(1)
    waiting = (meter.stats().pending, collector.ids())
    (spool / LETTERS).rmdir()
    assert meter.flush()
    assert ((1, ["good"]), ["odd"]) == (waiting, [each["event"]["id"] for each in letters(spool)])
