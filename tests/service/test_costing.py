from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.job import Costing
from costing.prices import PriceBook, build_price_book, load_price_book
from costing.verify import verify
from ledger.batches import measure_backlog
from ledger.models import usage_journal
from ledger.rollups import RollupRow, State, read_rollups
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from tests.builders import NOW, ai, sms

ACME = TenantId("acme")
MUCH_LATER = NOW + timedelta(days=30)


def book(intake: Intake, *events: object) -> None:
    results = intake.book(events, only_tenant=None, now=NOW)
    assert {"stored"} == {str(result.status) for result in results}


def rows(engine: sa.Engine, tenant_id: TenantId = ACME) -> list[RollupRow]:
    with tenant_session(engine, tenant_id) as session:
        return list(read_rollups(session).values())


def only_row(engine: sa.Engine) -> RollupRow:
    (row,) = rows(engine)
    return row


def journal(engine: sa.Engine) -> list[Any]:
    with operator_session(engine) as session:
        query = sa.select(usage_journal).order_by(usage_journal.c.entry_id)
        return list(session.connection.execute(query).mappings())


def tamper(engine: sa.Engine, statement: str) -> None:
    with operator_session(engine, write=True) as session:
        session.connection.execute(sa.text(statement))


def differences(engine: sa.Engine, prices: PriceBook) -> list[str]:
    return [difference.where for difference in verify(engine, prices).differences]


def other_book(**rates: Any) -> PriceBook:
    return build_price_book({"name": "other", "currency": "USD", "rates": rates})


def test_an_ai_call_is_rolled_up_and_priced(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, ai("a"), ai("b"))
    costing.run(now=NOW)
    row = only_row(engine)
    key = (date(2026, 3, 9), "ai", "outbound", "openai", "ai_sms", "house-llm", "standard")
    found = (row.tally.events, row.tally.measures.quantity, row.estimated_cost, row.state)
    assert (key, (2, 3000, 10_000_000, State.ESTIMATED)) == (tuple(row.key), found)


def test_usage_is_added_to_a_row_that_is_there(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    for event_id in "abc":
        book(intake, sms(event_id))
        costing.run(now=NOW)
    row = only_row(engine)
    assert (3, 26_700_000, 3) == (row.tally.events, row.estimated_cost, row.revision)


def test_costed_batches_are_gone(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    book(intake, sms("a"), sms("b", tenant="karachi"))
    done = costing.run(now=NOW).batches
    with operator_session(engine) as session:
        left = measure_backlog(session).batches
    assert (2, 0, 0) == (done, left, costing.run(now=NOW).batches)


def test_usage_without_a_price_is_unpriced_and_costs_nothing_known(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms(channel="email", direction="inbound"))
    costing.run(now=NOW)
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
    costing.run(now=NOW)
    tally = only_row(engine).tally
    assert (3, 2, 1) == (tally.events, tally.derived_count, tally.provisional_count)


def test_late_usage_of_an_open_day_is_no_journal_entry(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a", time="2026-03-08T12:00:00Z"))
    costing.run(now=NOW)
    assert [] == journal(engine)


def test_late_usage_of_a_closed_day_is_a_journal_entry(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a"))
    costing.run(now=NOW)
    book(intake, sms("b"))
    costing.run(now=MUCH_LATER)
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
    costing.run(now=MUCH_LATER)
    assert [{}] == [entry["before"] for entry in journal(engine)]


def test_the_day_closes_in_the_zone_of_the_tenant(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    # 2026-03-08 ends at 19:00 UTC in Karachi: 41 hours before NOW, 17 before noon the day before.
    book(intake, sms("a", tenant="karachi", time="2026-03-08T12:00:00Z"))
    costing.run(now=NOW + timedelta(hours=6, minutes=59))
    book(intake, sms("b", tenant="karachi", time="2026-03-08T12:00:00Z"))
    costing.run(now=NOW + timedelta(hours=7))
    assert 1 == len(journal(engine))


def test_a_row_keeps_the_price_version_that_rated_it_first(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: PriceBook
) -> None:
    book(intake, sms("a"))
    costing.run(now=NOW)
    book(intake, sms("b"), sms("c", time="2026-03-10T11:00:00Z"))
    dear = other_book(sms={"outbound": "1"})
    Costing(engine, dear).run(now=NOW)
    found = [(row.price_version, row.estimated_cost) for row in rows(engine)]
    assert [(prices.price_version, 17_800_000), (dear.price_version, 10**9)] == found


def test_an_unpriced_row_takes_the_book_in_force_when_usage_is_added(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    inbound = {"channel": "email", "direction": "inbound"}
    book(intake, sms("a", **inbound))
    costing.run(now=NOW)
    book(intake, sms("b", **inbound))
    Costing(engine, other_book(email={"inbound": "0.5"})).run(now=NOW)
    assert 10**9 == only_row(engine).estimated_cost


def test_switching_the_flat_fallback_off_leaves_new_ai_rows_unpriced(
    engine: sa.Engine, intake: Intake
) -> None:
    book(intake, ai())
    Costing(engine, load_price_book(ai_flat_fallback=False)).run(now=NOW)
    assert State.UNPRICED is only_row(engine).state


def test_verify_ties_after_costing(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: PriceBook
) -> None:
    book(intake, sms("a"), ai("b"), sms("c", channel="email", direction="inbound"))
    costing.run(now=NOW)
    totals = verify(engine, prices).totals[0]
    assert (3, 13_900_000, 1) == (totals.events, totals.cost, totals.unpriced_events)


def test_usage_that_waits_is_apart_and_no_difference(
    engine: sa.Engine, intake: Intake, prices: PriceBook
) -> None:
    book(intake, sms("a"))
    report = verify(engine, prices)
    assert (0, 1) == (report.totals[0].events, report.totals[0].pending.events)


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        ("UPDATE usage_rollups_daily SET count = count + 1", ": events"),
        ("UPDATE usage_rollups_daily SET estimated_cost = 5", ": estimated_cost"),
        ("UPDATE usage_rollups_daily SET quantity = 7", ": quantity"),
        ("UPDATE usage_rollups_daily SET state = 'free'", ": state"),
        ("UPDATE usage_rollups_daily SET price_version = 'x'", "x is kept in the ledger"),
        ("UPDATE usage_rollups_daily SET rollup_id = upper(hex(randomblob(16)))", "ledger gives"),
        ("UPDATE usage_rollups_daily SET state = 'fine'", "ledger gives"),
        ("DELETE FROM tenants", "tenant is not registered"),
        ("UPDATE usage_rollups_daily SET derived_count = 1", ": derived_count"),
        ("UPDATE usage_metrics SET quantity = 2", ": quantity"),
        ("DELETE FROM usage_metrics", ": events"),
        ("DELETE FROM usage_rollups_daily", "broadcast standard"),
    ],
)
def test_verify_names_what_differs(
    engine: sa.Engine,
    intake: Intake,
    costing: Costing,
    prices: PriceBook,
    *,
    damage: str,
    where: str,
) -> None:
    book(intake, sms("a"))
    costing.run(now=NOW)
    tamper(engine, damage)
    (found,) = differences(engine, prices)
    assert where == found[-len(where) :]


def test_verify_names_a_pending_batch_that_lost_events(
    engine: sa.Engine, intake: Intake, prices: PriceBook
) -> None:
    book(intake, sms("a"), sms("b"))
    tamper(engine, "DELETE FROM usage_metrics WHERE event_id = 'a'")
    assert ["pending batch 2: events"] == differences(engine, prices)


def test_a_price_book_that_was_edited_in_the_ledger_is_found(
    engine: sa.Engine, intake: Intake, costing: Costing, meterline: Any
) -> None:
    book(intake, sms("a"))
    costing.run(now=NOW)
    tamper(engine, "UPDATE price_books SET document = replace(document, '0.0089', '0.0001')")
    done = meterline("verify")
    assert (1, True) == (done.returncode, "was edited in the ledger" in done.stderr)


def test_rebuild_mends_what_verify_finds_and_journals_closed_days(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: PriceBook
) -> None:
    book(intake, sms("a"), sms("b", channel="mms"))
    costing.run(now=NOW)
    tamper(engine, "UPDATE usage_rollups_daily SET estimated_cost = 1 WHERE channel = 'sms'")
    tamper(engine, "DELETE FROM usage_rollups_daily WHERE channel = 'mms'")
    mended = costing.rebuild(now=MUCH_LATER)
    causes = [entry["cause"] for entry in journal(engine)]
    assert (2, [], ["repair", "repair"]) == (mended, differences(engine, prices), causes)


def test_rebuild_of_what_ties_changes_nothing(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a"), ai("b"))
    costing.run(now=NOW)
    before = rows(engine)
    assert (0, before) == (costing.rebuild(now=MUCH_LATER), rows(engine))


def test_rebuild_costs_what_waits(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    book(intake, sms("a"))
    costing.rebuild(ACME, now=NOW)
    with operator_session(engine) as session:
        assert (0, 1) == (measure_backlog(session).batches, len(rows(engine)))


def test_rebuild_never_reprices(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    book(intake, sms("a"), sms("b", channel="email", direction="inbound"))
    costing.run(now=NOW)
    before = rows(engine)
    dear = other_book(sms={"outbound": "1"}, email={"inbound": "1"})
    assert (0, before) == (Costing(engine, dear).rebuild(now=NOW), rows(engine))


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


def test_summing_a_batch_reads_its_own_events_alone(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a"), sms("b"))
    plans = plans_of(engine, lambda: costing.run(now=NOW))
    (plan,) = (plan for sql, plan in plans.items() if "sum(usage_metrics" in sql)
    assert "ix_usage_metrics_tenant_id_batch_id" in plan


def test_no_booking_or_costing_scans_a_table_of_usage(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    def run() -> None:
        for event_id in "ab":
            intake.book([sms(event_id), sms("again")], only_tenant=None, now=NOW)
            costing.run(now=NOW)

    plans = plans_of(engine, run)
    # Which tenants have something pending is asked over all batches: as many as wait, not as were.
    scans = [sql for sql, plan in plans.items() if "SCAN" in plan and "usage_batches" not in sql]
    assert (True, []) == (len(plans) > 4, scans)


def test_a_cost_that_no_column_holds_is_unpriced_and_the_next_tenant_is_costed(
    engine: sa.Engine, intake: Intake
) -> None:
    dear = Costing(engine, other_book(sms={"outbound": "999999999"}))
    book(intake, sms("a", quantity=1_000_000), sms("b", tenant="karachi"))
    outcome = dear.run(now=NOW)
    costs = [
        row.estimated_cost for name in ("acme", "karachi") for row in rows(engine, TenantId(name))
    ]
    assert ((), [None, 999_999_999 * 10**9]) == (outcome.failures, costs)


def test_sums_beyond_what_a_column_holds_are_still_exact(
    engine: sa.Engine, intake: Intake, prices: PriceBook
) -> None:
    dear = Costing(engine, other_book(sms={"outbound": "900000000"}))
    book(intake, *(sms(str(n), quantity=10, time=f"2026-02-{n:02}T12:00:00Z") for n in range(1, 5)))
    dear.run(now=NOW)
    totals = verify(engine, prices).totals[0]
    assert 36_000_000_000 * 10**9 == totals.cost


def test_what_goes_wrong_with_one_tenant_stays_with_it(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a"), sms("b", tenant="karachi"))
    costing.run(now=NOW)
    book(intake, sms("c"), sms("d", tenant="karachi"))
    tamper(engine, "UPDATE usage_rollups_daily SET price_version = 'x' WHERE tenant_id = 'acme'")
    outcome = costing.run(now=NOW)
    (row,) = rows(engine, TenantId("karachi"))
    assert (["acme"], 2) == ([failure.tenant_id for failure in outcome.failures], row.tally.events)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM usage_journal WHERE entry_id = (SELECT max(entry_id) FROM usage_journal)",
        "UPDATE usage_journal SET after = replace(after, '17800000', '17800001')",
        "UPDATE usage_journal SET before = replace(before, '8900000', '8900001')",
        "UPDATE usage_journal SET date = '2026-01-01'",
    ],
)
def test_verify_follows_the_journal(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: PriceBook, damage: str
) -> None:
    for event_id in "abc":
        book(intake, sms(event_id))
        costing.run(now=MUCH_LATER)
    before = differences(engine, prices)
    tamper(engine, damage)
    assert (0, 1) == (len(before), len(differences(engine, prices)))


@pytest.mark.parametrize("document", ["{", "[]", '{"name": "x"}'])
def test_a_kept_price_book_that_is_none_any_more_is_found_wrong(
    engine: sa.Engine, intake: Intake, costing: Costing, meterline: Any, document: str
) -> None:
    book(intake, sms("a"))
    costing.run(now=NOW)
    tamper(engine, f"UPDATE price_books SET document = '{document}'")
    assert 1 == meterline("verify").returncode
