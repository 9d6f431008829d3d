"""What the collectors read of a ledger, at an instant of the test's own."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.job import Costing
from costing.pricing.flat import FlatMap
from exporter.collectors import (
    Collect,
    choose_collectors,
    collect_costing,
    collect_relay,
)
from exporter.metric import Sample
from ledger.session import operator_session
from ledger.shipping import note_failure, note_recovery
from tests.builders import NOW, sms
from tests.conftest import Book
from tests.costed import book as book_only
from tests.costed import tamper
from tests.service.exporter.spend import WATCH
from tests.statements import statements

LATER = NOW + timedelta(seconds=90)

Read = Callable[[Collect], dict[str, float]]


@pytest.fixture
def read(engine: sa.Engine) -> Read:
    """Return what a collector says 90 seconds after everything, without the common prefix."""

    def run(collect: Collect) -> dict[str, float]:
        with operator_session(engine) as session:
            samples = list(collect(session, LATER))
        return {
            sample.name.removeprefix("meterline_"): sample.value
            for sample in samples
            if isinstance(sample, Sample)
        }

    return run


@pytest.fixture
def costing(engine: sa.Engine, prices: FlatMap) -> Costing:
    return Costing(engine, prices, ships=True)


def test_an_empty_ledger_has_no_backlog_and_no_last_run(read: Read) -> None:
    expected = {
        "costing_backlog_batches": 0,
        "costing_backlog_events": 0,
        "costing_backlog_age_seconds": 0,
        "rollups_complete_until_timestamp_seconds": LATER.timestamp(),
    }
    assert expected == read(collect_costing)


def test_what_is_booked_of_all_tenants_is_the_backlog_of_costing(
    intake: Intake, read: Read
) -> None:
    book_only(intake, sms("a"), sms("b"), sms("k", tenant="karachi"))
    expected = {
        "costing_backlog_batches": 2,
        "costing_backlog_events": 3,
        "costing_backlog_age_seconds": 90,
        "rollups_complete_until_timestamp_seconds": NOW.timestamp(),
    }
    assert expected == read(collect_costing)


def test_the_newest_hour_is_that_of_costed_usage_up_to_now(book: Book, read: Read) -> None:
    book(sms("a"), sms("b", time="2026-03-10T11:59:59Z"), sms("ahead", time="2026-03-10T12:03:00Z"))
    expected = NOW.replace(hour=12).timestamp()
    assert expected == read(collect_costing)["rollups_newest_hour_timestamp_seconds"]


def test_costing_tells_when_it_was_last_done(book: Book, read: Read) -> None:
    book(sms("a"))
    found = read(collect_costing)
    expected = (0, NOW.timestamp())
    assert expected == (
        found["costing_backlog_events"],
        found["costing_last_run_timestamp_seconds"],
    )


def test_the_age_of_what_a_faster_clock_booked_is_not_negative(
    engine: sa.Engine, intake: Intake, read: Read
) -> None:
    book_only(intake, sms("a"))
    tamper(engine, "UPDATE usage_batches SET booked_at = '2027-01-01 00:00:00.000000'")
    assert 0 == read(collect_costing)["costing_backlog_age_seconds"]


def test_what_is_costed_of_all_tenants_is_the_backlog_of_the_relay(book: Book, read: Read) -> None:
    book(sms("a"), sms("b"), sms("c", channel="mms"), sms("k", tenant="karachi"))
    expected = {
        "relay_backlog_events": 4,
        "relay_backlog_dates": 2,
        "relay_backlog_rows": 3,
        "relay_backlog_age_seconds": 90,
        "relay_quarantined_points": 0,
        "relay_held_measurements": 0,
        "relay_expired_points_total": 0,
        "relay_failing": 0,
        "relay_consecutive_failures": 0,
    }
    assert expected == read(collect_relay)


def test_points_that_will_not_be_sent_are_counted(engine: sa.Engine, read: Read) -> None:
    tamper(engine, "INSERT INTO relay_state (tenant_id, expired_count) VALUES ('acme', 7)")
    tamper(
        engine,
        "INSERT INTO quarantined_points (tenant_id, measurement, point_id, time, line, reason,"
        " quarantined_at) VALUES ('acme', 'usage', 'a', '2026-03-09 12:00:00.000000', 'l', 'r',"
        " '2026-03-10 12:00:00.000000')",
    )
    found = read(collect_relay)
    assert (7, 1) == (found["relay_expired_points_total"], found["relay_quarantined_points"])


def health(found: dict[str, float]) -> tuple[float, ...]:
    names = ("failing", "consecutive_failures", "last_failure_timestamp_seconds")
    return tuple(found[f"relay_{name}"] for name in names)


def test_a_relay_that_fails_says_how_often_and_since_when(engine: sa.Engine, read: Read) -> None:
    with operator_session(engine, write=True) as session:
        note_failure(session, "InfluxDB answers 502", failures=3, now=NOW)
    assert (1, 3, NOW.timestamp()) == health(read(collect_relay))


def test_a_relay_that_recovered_fails_no_more_and_keeps_when_it_did(
    engine: sa.Engine, read: Read
) -> None:
    with operator_session(engine, write=True) as session:
        note_failure(session, "InfluxDB answers 502", failures=3, now=NOW)
        note_recovery(session, now=LATER)
    assert (0, 0, NOW.timestamp()) == health(read(collect_relay))


@pytest.mark.parametrize("name", choose_collectors(WATCH, ships=True))
def test_no_collector_reads_raw_usage(engine: sa.Engine, read: Read, name: str) -> None:
    collect = choose_collectors(WATCH, ships=True)[name]
    with statements(engine, naming="usage_metrics") as sent:
        read(collect)
    assert [] == sent
