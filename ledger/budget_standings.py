"""Where budgets stand in the period that is running, as the worker saw it last."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from ledger.models import budget_standings, tenants
from ledger.money import Nanos
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId

_STANDING = budget_standings.c
# A quotient of integers would be cut to a whole number.
_USED = sa.cast(_STANDING.spent, sa.Float) / _STANDING.amount
_OF_TENANT = budget_standings.join(tenants, tenants.c.tenant_id == _STANDING.tenant_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How much of a budget is spent.

    Attributes:
        budget_id: unique within the tenant.
        period: `monthly` or `daily`.
        feature: None: all usage of the tenant.
        spent: on what has a price.
        has_unpriced: there is usage that has none, so that more was spent.
        ends_at: the end of the period (UTC).
    """

    budget_id: str
    period: str
    feature: str | None
    amount: Nanos
    spent: Nanos
    has_unpriced: bool
    ends_at: datetime


def replace_standings(session: TenantSession, standings: Iterable[Standing]) -> None:
    """Write down where the tenant's budgets stand; what was there before is gone."""
    own = _STANDING.tenant_id == session.tenant_id
    session.connection.execute(sa.delete(budget_standings).where(own))
    rows = [
        {
            "tenant_id": session.tenant_id,
            "budget_id": one.budget_id,
            "period": one.period,
            "feature": one.feature,
            "amount": one.amount,
            "spent": one.spent,
            "has_unpriced": one.has_unpriced,
            "ends_at": one.ends_at,
        }
        for one in standings
    ]
    if rows:
        session.connection.execute(sa.insert(budget_standings), rows)


def read_most_used(
    session: OperatorSession, *, now: datetime, limit: int
) -> list[tuple[TenantId, Standing]]:
    """Return the budgets of all tenants of which most is used, in periods that are running."""
    query = (
        sa.select(budget_standings)
        .select_from(_OF_TENANT)
        .where(*_runs(now))
        .order_by(_USED.desc(), _STANDING.tenant_id, _STANDING.budget_id)
        .limit(limit)
    )
    return [
        (
            TenantId(row["tenant_id"]),
            Standing(**{name: row[name] for name in Standing.__slots__}),
        )
        for row in session.connection.execute(query).mappings()
    ]


def count_standings(session: OperatorSession, *, now: datetime) -> tuple[int, int]:
    """Return how many budgets run, and how many of them are spent in full."""
    spent = sa.case((_STANDING.spent >= _STANDING.amount, _STANDING.tenant_id))
    query = sa.select(sa.func.count(), sa.func.count(spent)).select_from(_OF_TENANT)
    running, exceeded = session.connection.execute(query.where(*_runs(now))).one()
    return running, exceeded


def _runs(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions that a period is not over, nor its tenant closed since it was noted."""
    closed_at = tenants.c.closed_at
    return _STANDING.ends_at > now, sa.or_(closed_at.is_(None), closed_at > now)
