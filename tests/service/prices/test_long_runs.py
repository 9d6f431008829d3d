"""What comes to pass while a run of costing or repricing goes on.

A day closes, a price is laid down, a tenant changes its plan.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.job import Costing
from costing.pricing.flat import FlatMap
from ledger.clock import Clock
from ledger.session import operator_session
from ledger.tenants import change_tenant
from tests.builders import NOW, sms
from tests.commands import run_here
from tests.costed import ACME, book, differences, journal, only_row, rows, tamper
from tests.interleaving import before_write
from tests.pricing import lay, rate

EARLY = date(2026, 1, 1)
INBOUND = {"channel": "email", "direction": "inbound"}
CLOSES = datetime(2026, 3, 12, tzinfo=UTC)
"""When the day of the events closes."""


@pytest.fixture(autouse=True)
def many_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each batch be a transaction, and so each row that has no price."""
    monkeypatch.setattr("costing.batches.CLAIM_EVENTS", 1)
    monkeypatch.setattr("costing.backpricing.ROWS_AT_ONCE", 1)


@contextmanager
def closing(engine: sa.Engine, *, at: int) -> Iterator[Clock]:
    """Give a clock by which the day closes just before the write transaction number `at`."""
    instants = [CLOSES - timedelta(seconds=1)]
    with before_write(engine, lambda: instants.append(CLOSES), at=at):
        yield lambda: instants[-1]


def entries(engine: sa.Engine) -> list[Any]:
    return [(entry["cause"], entry["booked_at"]) for entry in journal(engine)]


def test_a_day_that_closes_while_it_is_costed_is_journalled_from_then_on(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: NOW)
    for event_id in "bc":
        book(intake, sms(event_id))
    with closing(engine, at=2) as clock:
        costing.run(clock=clock)
    assert ([("late", CLOSES)], []) == (entries(engine), differences(engine, prices))


def test_a_day_that_closes_while_it_is_priced_is_journalled_from_then_on(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap
) -> None:
    book(intake, sms("a", **INBOUND), sms("b", feature="ivr", **INBOUND))
    costing.run(clock=lambda: NOW)
    lay(engine, rate("email_recipient", "0.5", EARLY, direction="inbound"))
    # The first lacks the rates, the second keeps them, the third prices a row and the fourth one.
    with closing(engine, at=4) as clock:
        costing.backprice(clock=clock)
    assert ([("backprice", CLOSES)], []) == (entries(engine), differences(engine, prices))


def test_a_day_that_closes_while_it_is_rebuilt_is_journalled_from_then_on(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: NOW)
    tamper(engine, "UPDATE usage_rollups_daily SET estimated_cost = 1")
    # The first looks for batches, the second mends.
    with closing(engine, at=2) as clock:
        costing.rebuild(clock=clock)
    assert [("repair", CLOSES)] == entries(engine)


def test_a_price_that_comes_while_a_tenant_is_costed_rates_the_rows_that_are_new_from_then_on(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap
) -> None:
    # The rates of the first row are not kept yet: it is written by the third transaction.
    book(intake, sms("a"))
    book(intake, sms("b", channel="mms"))
    price = rate("mms_message", "0.5", EARLY, tenant="acme")
    with before_write(engine, lambda: lay(engine, price), at=4):
        costing.run(clock=lambda: NOW)
    found = {row.key.channel: (row.price_source, row.estimated_cost) for row in rows(engine)}
    assert ({"sms": ("flat", 8_900_000), "mms": ("tenant", 500_000_000)}, []) == (
        found,
        differences(engine, prices),
    )


def reprice(ledger_url: str) -> None:
    """Reprice all of March by the command, which reads the ledger by itself."""
    span = ("--from", "2026-03-01", "--to", "2026-03-31")
    done = run_here("reprice", *span, "--reason", "why", METERLINE_DATABASE_URL=ledger_url)
    assert 0 == done.returncode


def test_a_price_that_comes_while_days_are_repriced_is_the_one_that_they_take(
    engine: sa.Engine, ledger_url: str, intake: Intake, costing: Costing, prices: FlatMap
) -> None:
    book(intake, sms("a", **INBOUND))
    costing.run(clock=lambda: NOW)

    def price_comes() -> None:
        lay(engine, rate("email_recipient", "0.5", EARLY, direction="inbound"))
        costing.run(clock=lambda: NOW)

    with before_write(sa.Engine, price_comes):
        reprice(ledger_url)
    assert (500_000_000, []) == (only_row(engine).estimated_cost, differences(engine, prices))


def test_a_plan_that_changes_while_days_are_repriced_is_the_one_that_they_take(
    engine: sa.Engine, ledger_url: str, intake: Intake, costing: Costing, prices: FlatMap
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: NOW)
    lay(engine, rate("sms_segment", "0.5", EARLY, plan="Elite"))

    def plan_changes() -> None:
        with operator_session(engine, write=True) as session:
            change_tenant(session, ACME, plan="Elite", now=datetime(2026, 3, 2, tzinfo=UTC))

    with before_write(sa.Engine, plan_changes):
        reprice(ledger_url)
    assert (500_000_000, []) == (only_row(engine).estimated_cost, differences(engine, prices))
