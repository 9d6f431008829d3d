import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.job import Costing
from costing.pricing.flat import FlatMap, load_flat_map
from costing.verify import verify
from ledger.batches import measure_backlog
from ledger.engine import is_postgresql
from ledger.rollups import State
from ledger.session import operator_session
from ledger.tenant import TenantId
from tests.builders import NOW, ai, sms
from tests.costed import book, differences, journal, only_row, other_book, rows, tamper

MUCH_LATER = NOW + timedelta(days=30)


def test_an_ai_call_is_rolled_up_and_priced(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, ai("a"), ai("b"))
    costing.run(clock=lambda: NOW)
    row = only_row(engine)
    key = (date(2026, 3, 9), "ai", "outbound", "openai", "ai_sms", "house-llm", "standard")
    found = (row.tally.events, row.tally.measures.quantity, row.estimated_cost, row.state)
    assert (key, (2, 3000, 10_000_000, State.ESTIMATED)) == (tuple(row.key), found)


def test_usage_is_added_to_a_row_that_is_there(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    for event_id in "abc":
        book(intake, sms(event_id))
        costing.run(clock=lambda: NOW)
    row = only_row(engine)
    assert (3, 26_700_000, 3) == (row.tally.events, row.estimated_cost, row.revision)


def test_costed_batches_are_gone(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    book(intake, sms("a"), sms("b", tenant="karachi"))
    done = costing.run(clock=lambda: NOW).batches
    with operator_session(engine) as session:
        left = measure_backlog(session).batches
    assert (2, 0, 0) == (done, left, costing.run(clock=lambda: NOW).batches)


def test_usage_without_a_price_is_unpriced_and_costs_nothing_known(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms(channel="email", direction="inbound"))
    costing.run(clock=lambda: NOW)
    row = only_row(engine)
    assert (None, State.UNPRICED, None) == (row.estimated_cost, row.state, row.price_source)


def test_derived_and_provisional_usage_is_counted_in_its_row(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    metadata = {"model": "house-llm", "total_tokens": 100}
    book(
        intake,
        ai("a", metadata=metadata),
        ai("b", metadata={**metadata, "provisional": True}),
        ai("c"),
    )
    costing.run(clock=lambda: NOW)
    tally = only_row(engine).tally
    assert (3, 2, 1) == (tally.events, tally.derived_count, tally.provisional_count)


def test_late_usage_of_an_open_day_is_no_journal_entry(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a", time="2026-03-08T12:00:00Z"))
    costing.run(clock=lambda: NOW)
    assert [] == journal(engine)


def test_late_usage_of_a_closed_day_is_a_journal_entry(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: NOW)
    book(intake, sms("b"))
    costing.run(clock=lambda: MUCH_LATER)
    (entry,) = journal(engine)
    figures = [entry[side]["estimated_cost"] for side in ("before", "after")]
    assert ("late", MUCH_LATER, [8_900_000, 17_800_000]) == (
        entry["cause"],
        entry["booked_at"],
        figures,
    )


def test_usage_that_opens_a_row_of_a_closed_day_has_nothing_before_it(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: MUCH_LATER)
    assert [{}] == [entry["before"] for entry in journal(engine)]


def test_the_day_closes_in_the_zone_of_the_tenant(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    # 2026-03-08 ends at 19:00 UTC in Karachi: 41 hours before NOW, 17 before noon the day before.
    book(intake, sms("a", tenant="karachi", time="2026-03-08T12:00:00Z"))
    costing.run(clock=lambda: NOW + timedelta(hours=6, minutes=59))
    book(intake, sms("b", tenant="karachi", time="2026-03-08T12:00:00Z"))
    costing.run(clock=lambda: NOW + timedelta(hours=7))
    assert 1 == len(journal(engine))


def test_a_row_keeps_the_price_version_that_rated_it_first(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: NOW)
    book(intake, sms("b"), sms("c", time="2026-03-10T11:00:00Z"))
    dear = other_book(sms={"outbound": "1"})
    Costing(engine, dear).run(clock=lambda: NOW)
    found = [(row.price_version, row.estimated_cost) for row in rows(engine)]
    assert [(prices.price_version, 17_800_000), (dear.price_version, 10**9)] == found


def test_a_row_without_a_price_takes_one_as_soon_as_there_is_one(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    inbound = {"channel": "email", "direction": "inbound"}
    book(intake, sms("a", **inbound))
    costing.run(clock=lambda: NOW)
    waiting = only_row(engine)
    dear = other_book(email={"inbound": "0.5"})
    done = Costing(engine, dear).run(clock=lambda: NOW)
    row = only_row(engine)
    assert (None, "none", 1, 5 * 10**8, dear.price_version) == (
        waiting.estimated_cost,
        waiting.price_version,
        done.backpriced,
        row.estimated_cost,
        row.price_version,
    )


def test_usage_billed_by_duration_takes_no_price_from_the_usage_beside_it(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, ai("a"))
    costing.run(clock=lambda: NOW)
    book(intake, ai("b", metadata={"model": "gpt-5.4", "audio_seconds": 30}))
    costing.run(clock=lambda: NOW)
    found = {row.key.price_class: row.estimated_cost for row in rows(engine)}
    assert {"standard": 5_000_000, "duration": None} == found


def test_switching_the_flat_fallback_off_leaves_new_ai_rows_unpriced(
    engine: sa.Engine, intake: Intake
) -> None:
    book(intake, ai())
    Costing(engine, load_flat_map(ai_flat_fallback=False)).run(clock=lambda: NOW)
    assert State.UNPRICED is only_row(engine).state


def plans_of(engine: sa.Engine, run: Callable[[], object]) -> dict[str, str]:
    """Return how SQLite looks up each statement on usage that `run` sends, by its text."""
    sent: dict[str, Any] = {}

    def note(*arguments: Any) -> None:
        _, _, statement, parameters, _, many = arguments
        if " usage_" in statement and not statement.startswith("INSERT"):
            sent[statement] = parameters[0] if many else parameters

    sa.event.listen(engine, "before_cursor_execute", note)
    run()
    sa.event.remove(engine, "before_cursor_execute", note)
    with operator_session(engine) as session:
        explain = session.connection.exec_driver_sql
        return {
            statement: str(explain(f"EXPLAIN QUERY PLAN {statement}", parameters).all())
            for statement, parameters in sent.items()
        }


@pytest.mark.ledger("sqlite")
def test_summing_a_batch_reads_its_own_events_alone(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a"), sms("b"))
    plans = plans_of(engine, lambda: costing.run(clock=lambda: NOW))
    (plan,) = (plan for sql, plan in plans.items() if "batch_id BETWEEN" in sql)
    assert "ix_usage_metrics_tenant_id_batch_id" in plan


@pytest.mark.ledger("sqlite")
def test_no_booking_or_costing_scans_a_table_of_usage(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    def run() -> None:
        for event_id in "ab":
            intake.book([sms(event_id), sms("again")], only_tenant=None, now=NOW)
            costing.run(clock=lambda: NOW)

    plans = plans_of(engine, run)
    # Which tenants have something pending is asked over all batches: as many as wait, not as were.
    # The same holds for rows that wait for a price: they have an index of their own.
    few = ("usage_batches", "ix_usage_rollups_daily_unpriced")
    scans = [
        sql
        for sql, plan in plans.items()
        if "SCAN" in plan and not any(name in sql + plan for name in few)
    ]
    assert (True, []) == (len(plans) > 4, scans)


def test_a_cost_that_no_column_holds_is_unpriced_and_the_next_tenant_is_costed(
    engine: sa.Engine, intake: Intake
) -> None:
    dear = Costing(engine, other_book(sms={"outbound": "999999999"}))
    book(intake, sms("a", quantity=1_000_000), sms("b", tenant="karachi"))
    outcome = dear.run(clock=lambda: NOW)
    costs = [
        row.estimated_cost for name in ("acme", "karachi") for row in rows(engine, TenantId(name))
    ]
    assert ((), [None, 999_999_999 * 10**9]) == (outcome.failures, costs)


def test_sums_beyond_what_a_column_holds_are_still_exact(
    engine: sa.Engine, intake: Intake, prices: FlatMap
) -> None:
    dear = Costing(engine, other_book(sms={"outbound": "900000000"}))
    book(intake, *(sms(str(n), quantity=10, time=f"2026-02-{n:02}T12:00:00Z") for n in range(1, 5)))
    dear.run(clock=lambda: NOW)
    totals = verify(engine, prices).totals[0]
    assert 36_000_000_000 * 10**9 == totals.cost


def test_what_goes_wrong_with_one_tenant_stays_with_it(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a"), sms("b", tenant="karachi"))
    costing.run(clock=lambda: NOW)
    book(intake, sms("c"), sms("d", tenant="karachi"))
    tamper(engine, "UPDATE usage_rollups_daily SET price_version = 'x' WHERE tenant_id = 'acme'")
    outcome = costing.run(clock=lambda: NOW)
    (row,) = rows(engine, TenantId("karachi"))
    assert (["acme"], 2) == ([failure.tenant_id for failure in outcome.failures], row.tally.events)


JOURNAL = "UPDATE usage_journal SET {column} = replace({column}::text, '{old}', '{new}')::json"


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM usage_journal WHERE entry_id = (SELECT max(entry_id) FROM usage_journal)",
        JOURNAL.format(column="after", old="17800000", new="17800001"),
        JOURNAL.format(column="before", old="8900000", new="8900001"),
        "UPDATE usage_journal SET date = '2026-01-01'",
    ],
)
def test_verify_follows_the_journal(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap, damage: str
) -> None:
    for event_id in "abc":
        book(intake, sms(event_id))
        costing.run(clock=lambda: MUCH_LATER)
    before = differences(engine, prices)
    # PostgreSQL tells JSON from text; to SQLite the names of both types are all the same.
    tamper(engine, damage if is_postgresql(engine) else re.sub("::(text|json)", "", damage))
    assert (0, 1) == (len(before), len(differences(engine, prices)))


@pytest.mark.parametrize("document", ["{", "[]", '{"name": "x"}'])
def test_a_kept_price_book_that_is_none_any_more_is_found_wrong(
    engine: sa.Engine, intake: Intake, costing: Costing, meterline: Any, document: str
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: NOW)
    tamper(engine, f"UPDATE price_books SET document = '{document}'")
    assert 1 == meterline("verify").returncode
