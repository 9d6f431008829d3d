"""What is recorded gets into the ledger of a running collector."""

import asyncio
import contextvars
import gc
import math
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from ledger.keys import Scope
from meterline import Meter
from tests.access import make_key
from tests.collector import Collector
from tests.processes import wait_until
from tests.service.sdk.conftest import MakeMeter, record_sms


def test_a_recorded_usage_is_booked_with_all_its_fields(meter: Meter, collector: Collector) -> None:
    at = datetime.now(UTC) - timedelta(hours=1)  # noqa: TID251 - the collector refuses the future
    meter.record(
        channel="voice",
        direction="inbound",
        quantity=3,
        source="twilio",
        feature="ivr",
        tenant="acme",
        event_id="CA1",
        at=at,
        metadata={"callSid": "CA1"},
    )
    assert meter.flush()
    columns = ("tenant_id", "event_id", "channel", "direction", "source", "feature", "quantity")
    expected = [("acme", "CA1", "voice", "inbound", "twilio", "ivr", 3)]
    assert expected == collector.rows(*columns)


def test_a_call_of_sp3_without_source_and_feature_is_booked(
    meter: Meter, collector: Collector
) -> None:
    meter.record_usage("acme", "sms", "outbound", 2)
    assert meter.flush()
    expected = [("acme", "sms", "outbound", None, None, 2)]
    columns = ("tenant_id", "channel", "direction", "source", "feature", "quantity")
    assert expected == collector.rows(*columns)


def test_fractions_of_a_minute_are_taken(meter: Meter, collector: Collector) -> None:
    meter.record(channel="voice", direction="inbound", quantity=1.3, tenant="acme")
    assert meter.flush()
    assert [(2,)] == collector.rows("quantity")


def test_the_id_that_is_returned_is_the_one_that_is_booked(
    meter: Meter, collector: Collector
) -> None:
    made = record_sms(meter)
    assert meter.flush()
    assert [made] == collector.ids()


def test_an_id_is_booked_once_however_often_it_is_recorded(
    meter: Meter, collector: Collector
) -> None:
    at = datetime.now(UTC)  # noqa: TID251 - the collector refuses the future
    for _ in range(3):
        record_sms(meter, event_id="SM1", at=at)
    assert meter.flush()
    stats = meter.stats()
    assert (["SM1"], 1, 2) == (collector.ids(), stats.stored, stats.duplicates)


def test_the_context_tells_tenant_and_feature(meter: Meter, collector: Collector) -> None:
    with meter.context(tenant="acme", feature="ai_sms"):
        with meter.context(feature="ivr"):
            meter.record(channel="sms", direction="outbound")
        meter.record(channel="sms", direction="outbound")
    assert meter.flush()
    assert [("acme", "ivr"), ("acme", "ai_sms")] == collector.rows("tenant_id", "feature")


def test_a_thread_with_a_copied_context_books_on_its_tenant(
    meter: Meter, collector: Collector
) -> None:
    with meter.context(tenant="karachi"):
        context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(lambda: meter.record(channel="sms", direction="outbound"),)
    )
    thread.start()
    thread.join()
    assert meter.flush()
    assert [("karachi",)] == collector.rows("tenant_id")


def test_tasks_of_asyncio_that_take_turns_book_on_their_own_tenants(
    meter: Meter, collector: Collector
) -> None:
    async def work(tenant: str) -> None:
        with meter.context(tenant=tenant, feature=f"of_{tenant}"):
            for _ in range(5):
                await asyncio.sleep(0)
                await asyncio.to_thread(meter.record, channel="sms", direction="outbound")

    async def work_together() -> None:
        await asyncio.gather(work("acme"), work("karachi"))

    asyncio.run(work_together())
    assert meter.flush()
    expected = [("acme", "of_acme")] * 5 + [("karachi", "of_karachi")] * 5
    assert expected == sorted(collector.rows("tenant_id", "feature"))


def test_threads_that_record_at_once_lose_nothing(meter: Meter, collector: Collector) -> None:
    def work() -> None:
        for _ in range(500):
            record_sms(meter)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.flush(30)
    assert 4000 == len(set(collector.ids()))


def test_a_finaliser_that_records_amid_a_recording_loses_nothing(
    meter: Meter, collector: Collector
) -> None:
    ended = 0

    class Finalised:
        def __del__(self) -> None:
            nonlocal ended
            record_sms(meter)
            ended += 1

    def have_all_ended() -> bool:
        gc.collect()  # which does nothing while another thread's collection goes on
        return ended == 3000

    for _ in range(3000):
        cycle: list[Any] = [Finalised()]
        cycle.append(cycle)  # only the garbage collector, which runs at any moment, ends it
        del cycle
        record_sms(meter)
    wait_until(have_all_ended, "all objects are finalised")
    assert meter.flush(30)
    assert 6000 == len(set(collector.ids()))


def test_a_key_of_a_tenant_books_on_that_tenant(
    make_meter: MakeMeter, engine: sa.Engine, collector: Collector
) -> None:
    meter = make_meter(api_key=make_key(engine, Scope.INGEST, tenant="karachi"))
    meter.record(channel="sms", direction="outbound")
    assert meter.flush()
    assert [("karachi",)] == collector.rows("tenant_id")


def test_without_a_spool_folder_usage_is_delivered_and_the_danger_is_told_once(
    make_meter: MakeMeter, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    meter = make_meter(spool=None)
    for _ in range(10):
        record_sms(meter)
    assert meter.flush()
    told = [line for line in caplog.messages if "lost when the process is killed" in line]
    assert (10, 1, False) == (len(collector.ids()), len(told), meter.stats().is_safe)


@pytest.mark.parametrize(
    "changes",
    [
        {"channel": None},
        {"tenant": object()},
        {"quantity": "many"},
        {"quantity": math.nan},
        {"event_id": "\ud800"},
        {"event_id": 5},
        {"at": "yesterday"},
        {"at": datetime.min},  # noqa: DTZ901 - on purpose: it cannot be told in UTC
        {"metadata": 5},
        {"feature": {}},
    ],
)
def test_what_cannot_be_sent_is_counted_and_disturbs_nobody(
    meter: Meter, collector: Collector, changes: dict[str, Any]
) -> None:
    record_sms(meter, **changes)
    record_sms(meter, event_id="good")
    assert meter.flush()
    assert (1, ["good"]) == (meter.stats().refused, collector.ids())


def test_every_usage_is_accounted_for(meter: Meter) -> None:
    for number in range(20):
        record_sms(meter, event_id=f"SM{number % 15}", tenant=("acme", "nobody")[number % 2])
    meter.flush()
    stats = meter.stats()
    ends = stats.stored + stats.duplicates + stats.dead + stats.dropped + stats.pending
    assert (20, 20, 10) == (stats.recorded, ends, stats.held)


def test_a_flush_waits_for_what_came_before_it_and_not_for_what_others_record_meanwhile(
    meter: Meter, collector: Collector
) -> None:
    is_over = threading.Event()

    def record_on() -> None:
        while not is_over.wait(0.001):
            record_sms(meter)

    threads = [threading.Thread(target=record_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        found = []
        for number in range(5):
            record_sms(meter, event_id=f"before-{number}")
            found.append((meter.flush(20), f"before-{number}" in collector.ids()))
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert [(True, True)] * 5 == found


def test_a_burst_of_threads_far_below_the_limit_loses_nothing(
    meter: Meter, collector: Collector
) -> None:
    bulk = {f"bulk{n}": "x" * 100 for n in range(30)}

    def record_many() -> None:
        for _ in range(500):
            record_sms(meter, metadata=bulk)

    threads = [threading.Thread(target=record_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.flush(60)
    assert (0, 2000) == (meter.stats().dropped, len(set(collector.ids())))


def test_what_a_burst_left_in_memory_is_safe_a_moment_later(meter: Meter) -> None:
    bulk = {f"bulk{n}": "x" * 100 for n in range(30)}
    for _ in range(2000):
        record_sms(meter, metadata=bulk)
    wait_until(lambda: meter.stats().exposed == 0, "all is in files")
    assert meter.stats().is_safe
