from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.job import Costing
from costing.pricing.flat import FlatMap
from costing.verify import verify
from ledger.batches import measure_backlog
from ledger.errors import ConflictError, MissingError
from ledger.session import operator_session
from tests.builders import NOW, ai, sms
from tests.costed import ACME, book, differences, journal, other_book, rows, tamper

MUCH_LATER = NOW + timedelta(days=30)


def test_verify_ties_after_costing(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap
) -> None:
    book(intake, sms("a"), ai("b"), sms("c", channel="email", direction="inbound"))
    costing.run(clock=lambda: NOW)
    totals = verify(engine, prices).totals[0]
    assert (3, 13_900_000, 1) == (totals.events, totals.cost, totals.unpriced_events)


def test_usage_that_waits_is_apart_and_no_difference(
    engine: sa.Engine, intake: Intake, prices: FlatMap
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
        ("UPDATE usage_rollups_daily SET price_version = 'x'", "x are kept in the ledger"),
        (
            "UPDATE usage_rollups_daily SET rollup_id = '6d657465726c696e6500000000000000'",
            "ledger gives",
        ),
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
    prices: FlatMap,
    *,
    damage: str,
    where: str,
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: NOW)
    tamper(engine, damage)
    (found,) = differences(engine, prices)
    assert where == found[-len(where) :]


def test_verify_names_a_pending_batch_that_lost_events(
    engine: sa.Engine, intake: Intake, prices: FlatMap
) -> None:
    book(intake, sms("a"), sms("b"))
    tamper(engine, "DELETE FROM usage_metrics WHERE event_id = 'a'")
    assert ["pending batch 2: events"] == differences(engine, prices)


def test_a_price_book_that_was_edited_in_the_ledger_is_found(
    engine: sa.Engine, intake: Intake, costing: Costing, meterline: Any
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: NOW)
    tamper(engine, "UPDATE price_books SET document = replace(document, '0.0089', '0.0001')")
    done = meterline("verify")
    assert (1, True) == (done.returncode, "was edited in the ledger" in done.stderr)


def test_rebuild_mends_what_verify_finds_and_journals_closed_days(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap
) -> None:
    book(intake, sms("a"), sms("b", channel="mms"))
    costing.run(clock=lambda: NOW)
    tamper(engine, "UPDATE usage_rollups_daily SET estimated_cost = 1 WHERE channel = 'sms'")
    tamper(engine, "DELETE FROM usage_rollups_daily WHERE channel = 'mms'")
    mended = costing.rebuild(clock=lambda: MUCH_LATER)
    causes = [entry["cause"] for entry in journal(engine)]
    assert (2, [], ["repair", "repair"]) == (mended, differences(engine, prices), causes)


def test_rebuild_takes_the_version_of_a_deleted_row_from_the_journal(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: MUCH_LATER)
    before = rows(engine)
    tamper(engine, "DELETE FROM usage_rollups_daily")
    Costing(engine, other_book(sms={"outbound": "1"})).rebuild(clock=lambda: MUCH_LATER)
    assert before == rows(engine)


def test_rebuild_refuses_to_guess_the_version_of_a_deleted_row(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: NOW)
    book(intake, sms("b", feature="ivr"))
    dear = Costing(engine, other_book(sms={"outbound": "1"}))
    dear.run(clock=lambda: NOW)
    tamper(engine, "DELETE FROM usage_rollups_daily")
    with pytest.raises(ConflictError, match="name one with --price-version"):
        dear.rebuild(clock=lambda: NOW)


def test_rates_that_never_rated_anything_did_not_rate_a_deleted_row(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: NOW)
    before = rows(engine)
    tamper(engine, "DELETE FROM usage_rollups_daily")
    Costing(engine, other_book(sms={"outbound": "1"})).rebuild(clock=lambda: NOW)
    assert before == rows(engine)


def test_rebuild_rates_a_deleted_row_by_the_version_that_it_is_told(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: NOW)
    before = rows(engine)
    tamper(engine, "DELETE FROM usage_rollups_daily")
    dear = Costing(engine, other_book(sms={"outbound": "1"}))
    dear.rebuild(lost_version=prices.price_version, clock=lambda: NOW)
    assert before == rows(engine)


def test_rebuild_refuses_a_version_that_no_book_has(costing: Costing) -> None:
    with pytest.raises(MissingError, match="no rates flat@none"):
        costing.rebuild(lost_version="flat@none", clock=lambda: NOW)


def test_rebuild_of_what_ties_changes_nothing(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a"), ai("b"))
    costing.run(clock=lambda: NOW)
    before = rows(engine)
    assert (0, before) == (costing.rebuild(clock=lambda: MUCH_LATER), rows(engine))


def test_rebuild_costs_what_waits(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    book(intake, sms("a"))
    costing.rebuild(ACME, clock=lambda: NOW)
    with operator_session(engine) as session:
        assert (0, 1) == (measure_backlog(session).batches, len(rows(engine)))


def test_rebuild_never_reprices(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    book(intake, sms("a"), sms("b", channel="email", direction="inbound"))
    costing.run(clock=lambda: NOW)
    before = rows(engine)
    dear = other_book(sms={"outbound": "1"}, email={"inbound": "1"})
    assert (0, before) == (Costing(engine, dear).rebuild(clock=lambda: NOW), rows(engine))
