"""A tenant changes its plan and its time zone while its usage is costed: new days are its new ones.

What a day's row and the day itself say first they say for ever.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from collector.events import Rules
from collector.intake import Intake
from costing.job import Costing
from costing.pricing.flat import FlatMap
from ledger.engine import create_ledger_engine
from ledger.models import usage_tenant_days
from ledger.session import operator_session
from ledger.tenants import change_tenant
from tests.builders import NOW, sms
from tests.costed import ACME, book, differences, only_row, tamper
from tests.interleaving import before_statement, before_write
from tests.pricing import lay, rate

SINCE = datetime(2026, 3, 2, tzinfo=UTC)
"""When the tenant changes: before the day of the events."""
BEGINS = datetime(2026, 3, 8, 19, tzinfo=UTC)
"""When the day of the events begins in Karachi."""

Act = Callable[[Costing], object]


@pytest.fixture
def other_engine(ledger_url: str) -> Iterator[sa.Engine]:
    """The same ledger, as another process has it."""
    engine = create_ledger_engine(ledger_url)
    yield engine
    engine.dispose()


def change(engine: sa.Engine, *, now: datetime = SINCE) -> None:
    with operator_session(engine, write=True) as session:
        change_tenant(session, ACME, plan="Elite", timezone="Asia/Karachi", now=now)


def lay_dear(engine: sa.Engine) -> None:
    """Let text messages cost 0.50 USD on the new plan."""
    lay(engine, rate("sms_segment", "0.5", date(2026, 1, 1), plan="Elite"))


def days(engine: sa.Engine) -> list[tuple[str, datetime]]:
    day = usage_tenant_days.c
    with operator_session(engine) as session:
        found = session.connection.execute(
            sa.select(day.plan, day.day_start_utc).order_by(day.date)
        )
        return [(plan, start) for plan, start in found]


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda costing: costing.run(clock=lambda: NOW), id="a run"),
        pytest.param(lambda costing: costing.rebuild(clock=lambda: NOW), id="rebuild"),
    ],
)
def test_a_new_day_has_the_plan_and_the_zone_that_its_tenant_has_when_its_turn_comes(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap, act: Act
) -> None:
    lay_dear(engine)
    book(intake, sms("a"))
    with before_write(engine, lambda: change(engine)):
        act(costing)
    row = only_row(engine)
    assert (500_000_000, BEGINS, [("Elite", BEGINS)], []) == (
        row.estimated_cost,
        row.day_start_utc,
        days(engine),
        differences(engine, prices),
    )


def test_a_day_that_is_mended_has_the_plan_and_the_zone_of_then(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: NOW)
    tamper(engine, "DELETE FROM usage_tenant_days")
    # The first looks for batches, the second mends.
    with before_write(engine, lambda: change(engine), at=2):
        costing.rebuild(clock=lambda: NOW)
    assert [("Elite", BEGINS)] == days(engine)


# On SQLite nobody books amid a transaction.
@pytest.mark.ledger("postgresql")
def test_usage_of_a_new_zone_that_is_booked_amid_a_transaction_is_costed_in_it(
    engine: sa.Engine, other_engine: sa.Engine, intake: Intake, costing: Costing, rules: Rules
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: NOW)  # keeps the rates: what follows is one transaction
    book(intake, sms("b"))
    evening = datetime(2026, 3, 10, 20, tzinfo=UTC)
    soon = evening + timedelta(minutes=1)

    def move_and_use() -> None:
        change(other_engine, now=evening)
        event = sms("c", time=soon.isoformat())
        Intake(other_engine, rules=rules).book([event], only_tenant=None, now=soon)

    with before_statement(engine, "SELECT usage_batches.batch_id", move_and_use):
        costing.run(clock=lambda: soon)
    # The eleventh begins with the change: before it there was no such date.
    assert [("Pro", datetime(2026, 3, 9, tzinfo=UTC)), ("Elite", evening)] == days(engine)
