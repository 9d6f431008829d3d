"""Fixtures: budgets on a ledger, and receivers of what they tell on loopback."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from costing.budgets.budget import parse_budget
from costing.budgets.changing import set_budget
from costing.budgets.job import Budgeting
from costing.job import Costing
from costing.pricing.flat import build_flat_map
from ledger.budget_notices import Medium
from ledger.models import budget_crossings, budget_notices
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from tests.builders import sms
from tests.conftest import Book
from tests.costed import ACME
from tests.standins import sendgrid_api
from tests.standins.server import Answer, Asked, StandIn

BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
PAT = "pat@acme.example"

SetBudget = Callable[..., None]
Spend = Callable[..., None]


@pytest.fixture
def costing(engine: sa.Engine) -> Costing:
    """One dollar a message, so that a test's quantities are its dollars; e-mail has no price."""
    rates = {"sms": {"outbound": "1", "inbound": "1"}}
    return Costing(engine, build_flat_map({"name": "whole", "currency": "USD", "rates": rates}))


@pytest.fixture
def set_one(engine: sa.Engine) -> SetBudget:
    """Set a budget of 100 USD a month, or another, as of January."""

    def put(*, tenant: TenantId = ACME, now: datetime = BEFORE, **changes: Any) -> None:
        budget = parse_budget({"period": "monthly", "amount": "100", **changes})
        with tenant_session(engine, tenant, write=True) as session:
            set_budget(session, budget, by="a test", now=now)

    return put


@pytest.fixture
def spend(book: Book) -> Spend:
    """Book and cost a usage of so many dollars."""
    numbers = iter(range(1000))

    def use(dollars: int, **changes: Any) -> None:
        book(sms(f"SM-{next(numbers)}", quantity=dollars, **changes))

    return use


@pytest.fixture
def budgeting(engine: sa.Engine) -> Budgeting:
    return Budgeting(engine, media=list(Medium))


@pytest.fixture
def receiver() -> Iterator[StandIn]:
    """A receiver of webhooks that takes everything."""
    receiver = StandIn(lambda _asked: Answer(b"", 204))
    yield receiver
    receiver.close()


@pytest.fixture
def sendgrid() -> Iterator[StandIn]:
    """A stand-in of SendGrid's API."""
    standin = StandIn(sendgrid_api.accept)
    yield standin
    standin.close()


def ids(asked: list[Asked]) -> list[str]:
    """Return the ids of notices that a receiver was sent."""
    return [one.headers["meterline-notice"] for one in asked]


def crossings(engine: sa.Engine, tenant: TenantId = ACME) -> list[tuple[str, str, int]]:
    """Return budget, start of the period and threshold of each crossing."""
    columns = budget_crossings.c
    query = (
        sa.select(columns.budget_id, columns.period_start, columns.threshold)
        .where(columns.tenant_id == tenant)
        .order_by(columns.crossed_at, columns.budget_id, columns.period_start, columns.threshold)
    )
    with operator_session(engine) as session:
        return [(row[0], str(row[1]), row[2]) for row in session.connection.execute(query)]


def notices(engine: sa.Engine) -> list[sa.RowMapping]:
    """Return all notices, in the order of their ids."""
    query = sa.select(budget_notices).order_by(budget_notices.c.notice_id)
    with operator_session(engine) as session:
        return list(session.connection.execute(query).mappings())
