"""How rollup rows are spread over hours, and what keeps that in step with them."""

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from collector.events import Rules
from collector.intake import Intake
from costing.job import Costing
from costing.pricing.flat import FlatMap
from costing.retention import Retention
from ledger.hours import HOURS_DAYS
from ledger.models import costing_state, usage_rollups_hourly
from ledger.session import operator_session
from tests.builders import NOW, ai, sms
from tests.conftest import Book
from tests.costed import ACME, differences, tamper
from tests.costed import book as book_only
from tests.facts import Facts, fact

HOUR = usage_rollups_hourly.c
LONG_AGO = (NOW - timedelta(days=HOURS_DAYS + 2)).isoformat()
FORGET = (
    "DELETE FROM usage_rollups_hourly",
    "UPDATE costing_state SET hours_from = NULL",
)


def hours(engine: sa.Engine) -> list[tuple[str, int, int]]:
    """Return the hours there are, each with its count and quantity."""
    with operator_session(engine) as session:
        query = sa.select(HOUR.hour, HOUR["count"], HOUR.quantity).order_by(
            HOUR.tenant_id, HOUR.hour, HOUR.rollup_id
        )
        rows = session.connection.execute(query)
        return [(f"{hour:%d %H:%M}", count, quantity) for hour, count, quantity in rows]


def kept_from(engine: sa.Engine) -> date | None:
    with operator_session(engine) as session:
        query = sa.select(costing_state.c.hours_from).where(costing_state.c.tenant_id == ACME)
        start: date | None = session.connection.execute(query).scalar_one()
        return start


def test_a_row_is_spread_over_the_hours_of_its_usage(engine: sa.Engine, book: Book) -> None:
    book(sms("a", quantity=2), sms("b", time="2026-03-09T12:59:59.9Z"))
    book(sms("c", time="2026-03-09T13:00:00Z", quantity=5))
    assert [("09 12:00", 2, 3), ("09 13:00", 1, 5)] == hours(engine)


def test_usage_of_an_hour_that_comes_later_is_added_to_it(engine: sa.Engine, book: Book) -> None:
    book(sms("a"))
    book(sms("b", quantity=4))
    assert [("09 12:00", 2, 5)] == hours(engine)


def test_a_correction_is_counted_in_the_hour_of_what_it_corrects(
    engine: sa.Engine, book: Book, rules: Rules, costing: Costing, prices: FlatMap
) -> None:
    book(sms("SM1", quantity=1))
    Facts(engine, rules).book(ACME, [fact(usage_id="SM1", quantity=3)], now=NOW)
    costing.run(clock=lambda: NOW)
    found = [(count, quantity) for _, count, quantity in hours(engine)]
    assert ([(1, 3)], []) == (found, differences(engine, prices))


def test_usage_that_is_too_old_has_no_hours_and_ties(
    engine: sa.Engine, book: Book, prices: FlatMap
) -> None:
    book(sms("a"), sms("old", time=LONG_AGO))
    assert ([("09 12:00", 1, 1)], []) == (hours(engine), differences(engine, prices))


def test_the_worker_prunes_hours_of_tenants_that_use_nothing_any_more(
    engine: sa.Engine, book: Book, costing: Costing, prices: FlatMap
) -> None:
    book(sms("a"), sms("k", tenant="karachi"))
    costing.run(clock=lambda: NOW + timedelta(days=HOURS_DAYS + 3))
    assert ([], []) == (hours(engine), differences(engine, prices))


def test_hours_that_are_young_enough_are_not_pruned(
    engine: sa.Engine, book: Book, costing: Costing
) -> None:
    book(sms("a"))
    costing.run(clock=lambda: NOW + timedelta(days=HOURS_DAYS - 1))
    assert [("09 12:00", 1, 1)] == hours(engine)


def test_verify_names_the_row_whose_hours_do_not_tie(
    engine: sa.Engine, book: Book, prices: FlatMap
) -> None:
    book(sms("a"), ai("b"))
    tamper(engine, "UPDATE usage_rollups_hourly SET quantity = 9 WHERE quantity = 1")
    expected = "hours of 2026-03-09 sms outbound twilio broadcast standard: count, quantity"
    assert [expected] == differences(engine, prices)


def test_rebuild_puts_hours_right(
    engine: sa.Engine, book: Book, costing: Costing, prices: FlatMap
) -> None:
    book(sms("a"), sms("b", time="2026-03-09T13:00:00Z"))
    tamper(engine, "UPDATE usage_rollups_hourly SET quantity = 9")
    mended = costing.rebuild(clock=lambda: NOW)
    expected = [("09 12:00", 1, 1), ("09 13:00", 1, 1)]
    assert (2, expected, []) == (mended, hours(engine), differences(engine, prices))


def test_a_ledger_that_had_no_hours_gets_those_of_what_was_costed(
    engine: sa.Engine, intake: Intake, book: Book, costing: Costing, prices: FlatMap
) -> None:
    book(sms("a"), sms("b", time="2026-03-09T13:00:00Z"))
    for statement in FORGET:
        tamper(engine, statement)
    book_only(intake, sms("c"))
    costing.run(clock=lambda: NOW)
    expected = [("09 12:00", 2, 2), ("09 13:00", 1, 1)]
    assert (expected, []) == (hours(engine), differences(engine, prices))


def test_before_that_there_is_nothing_that_would_not_tie(
    engine: sa.Engine, book: Book, prices: FlatMap
) -> None:
    book(sms("a"))
    for statement in FORGET:
        tamper(engine, statement)
    assert [] == differences(engine, prices)


@pytest.fixture
def taken(engine: sa.Engine, book: Book) -> date:
    """A ledger from which retention took the raw usage of the first of two days."""
    book(sms("a"), sms("b", time="2026-03-02T12:00:00Z"))
    retention = Retention(engine, days=4)
    for due in retention.find_due(now=NOW):
        list(retention.take(due))
    return date(2026, 3, 3)


@pytest.mark.usefixtures("taken")
def test_hours_outlive_the_raw_usage(engine: sa.Engine, costing: Costing, prices: FlatMap) -> None:
    mended = costing.rebuild(clock=lambda: NOW)
    expected = [("02 12:00", 1, 1), ("09 12:00", 1, 1)]
    assert (0, expected, []) == (mended, hours(engine), differences(engine, prices))


def test_damaged_hours_that_cannot_be_summed_any_more_are_given_up(
    engine: sa.Engine, taken: date, costing: Costing, prices: FlatMap
) -> None:
    tamper(engine, "UPDATE usage_rollups_hourly SET quantity = 9 WHERE date = '2026-03-02'")
    costing.rebuild(clock=lambda: NOW)
    found = (kept_from(engine), hours(engine), differences(engine, prices))
    assert (taken, [("09 12:00", 1, 1)], []) == found


@pytest.mark.usefixtures("taken")
def test_what_retention_took_is_not_summed_as_if_it_were_all(
    engine: sa.Engine, book: Book, prices: FlatMap
) -> None:
    for statement in FORGET:
        tamper(engine, statement)
    book(sms("late", time="2026-03-02T13:00:00Z"))
    assert ([("09 12:00", 1, 1)], []) == (hours(engine), differences(engine, prices))
