"""Budgets in SQL: their revisions, the crossings of their thresholds, what was evaluated last."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from costing.budgets.budget import Budget
from costing.budgets.periods import Period
from ledger.columns import whole_sum
from ledger.errors import ConflictError
from ledger.models import (
    budget_crossings,
    budget_evaluations,
    budget_revisions,
    tenant_periods,
    tenants,
    usage_tenant_days,
)
from ledger.money import Nanos, format_usd, parse_usd
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId
from ledger.zones import is_in_force

_REVISION = budget_revisions.c
_EVALUATION = budget_evaluations.c
_DAY = usage_tenant_days.c

NO_REVISION = 0
"""Revision of a tenant that never had a budget."""

_LOCK = sa.text(
    f"INSERT INTO {budget_evaluations.name}"
    " (tenant_id, budget_revision, since, usage_revision, timezone)"
    f" VALUES (:tenant, {NO_REVISION}, :since, 0, '')"
    " ON CONFLICT (tenant_id) DO UPDATE SET tenant_id = excluded.tenant_id"
).bindparams(sa.bindparam("since", type_=sa.Date))
_CROSS = sa.text(
    f"INSERT INTO {budget_crossings.name}"
    " (tenant_id, budget_id, period_start, threshold, amount, spent, crossed_at)"
    " VALUES (:tenant, :budget, :start, :threshold, :amount, :spent, :now) ON CONFLICT DO NOTHING"
).bindparams(
    sa.bindparam("start", type_=sa.Date),
    sa.bindparam("now", type_=budget_crossings.c.crossed_at.type),
)


class ChangedError(ConflictError):
    """Somebody else changed a tenant's budgets since they were looked at."""


class Budgets(NamedTuple):
    """All budgets of a tenant, and the revision that says so."""

    revision: int
    budgets: tuple[Budget, ...]


class Basis(NamedTuple):
    """What an evaluation rests on: where any of it is another, another result may come."""

    budget_revision: int
    since: date
    usage_revision: int
    timezone: str


class Crossing(NamedTuple):
    """A threshold that was reached, in percent of the amount."""

    budget_id: str
    period_start: date
    threshold: int
    amount: Nanos
    spent: Nanos


def read_budgets(session: TenantSession) -> Budgets:
    """Return a tenant's budgets, in the order of their ids."""
    query = (
        sa.select(_REVISION.revision, _REVISION.document)
        .where(_REVISION.tenant_id == session.tenant_id)
        .order_by(_REVISION.revision.desc())
        .limit(1)
    )
    row = session.connection.execute(query).first()
    return Budgets(NO_REVISION, ()) if row is None else Budgets(row[0], _load(row[1]))


def replace_budgets(
    session: TenantSession,
    budgets: Sequence[Budget],
    *,
    expected: int | None,
    by: str,
    now: datetime,
) -> Budgets:
    """Make these the tenant's budgets, and keep what they were; return them.

    Where they are the same already nothing is written.

    Args:
        session: of the tenant, writing.
        budgets: all of them, checked together.
        expected: the revision that the change started from; None: whatever it is.
        by: who changes it.
        now: noted with each budget that is another.

    Raises:
        ChangedError: `budgets_changed`, by somebody else meanwhile.
    """
    before = read_budgets(session)
    if expected is not None and expected != before.revision:
        raise budgets_changed()
    known = {one.budget_id: one for one in before.budgets}
    after = tuple(_dated(one, known.get(one.budget_id), now=now) for one in budgets)
    if after == before.budgets:
        return before
    revision = before.revision + 1
    values = {"revision": revision, "document": _dump(after), "set_by": by, "set_at": now}
    try:
        session.connection.execute(
            sa.insert(budget_revisions).values(tenant_id=session.tenant_id, **values)
        )
    except IntegrityError:
        raise budgets_changed() from None
    return Budgets(revision, after)


def list_budgeted(
    session: OperatorSession, *, since: date, now: datetime
) -> list[tuple[TenantId, Basis]]:
    """Return the tenants that have or had budgets, with what an evaluation would rest on now."""
    newest = (
        sa.select(_REVISION.tenant_id, sa.func.max(_REVISION.revision).label("revision"))
        .group_by(_REVISION.tenant_id)
        .subquery()
    )
    # By tenant and not joined: whoever has budgets, all days there ever were would be read.
    usage = (
        sa.select(whole_sum(_DAY.revision))
        .where(_DAY.tenant_id == newest.c.tenant_id, _DAY.date >= since)
        .scalar_subquery()
    )
    query = (
        sa.select(newest.c.tenant_id, newest.c.revision, usage, tenant_periods.c.timezone)
        .select_from(
            newest.join(tenants, tenants.c.tenant_id == newest.c.tenant_id).join(
                tenant_periods, is_in_force(now)
            )
        )
        .order_by(newest.c.tenant_id)
    )
    return [
        (TenantId(tenant_id), Basis(revision, since, usage or 0, timezone))
        for tenant_id, revision, usage, timezone in session.connection.execute(query)
    ]


def read_evaluated(session: OperatorSession) -> dict[TenantId, tuple[Basis, datetime | None]]:
    """Return by tenant what the last evaluation rested on, and until when it holds."""
    rows = session.connection.execute(sa.select(budget_evaluations)).mappings()
    return {
        TenantId(row["tenant_id"]): (
            Basis(row["budget_revision"], row["since"], row["usage_revision"], row["timezone"]),
            row["ends_at"],
        )
        for row in rows
    }


def lock_evaluation(session: TenantSession, *, since: date) -> None:
    """Let nobody else evaluate the tenant until this transaction ends."""
    session.connection.execute(_LOCK, {"tenant": session.tenant_id, "since": since})


def note_evaluation(session: TenantSession, basis: Basis, *, ends_at: datetime | None) -> None:
    """Note what an evaluation rested on, in its transaction."""
    statement = sa.update(budget_evaluations).where(_EVALUATION.tenant_id == session.tenant_id)
    session.connection.execute(statement.values(**basis._asdict(), ends_at=ends_at))


def note_crossing(session: TenantSession, crossing: Crossing, *, now: datetime) -> bool:
    """Note that a threshold was reached; tell whether it had not been in that period."""
    values = {
        "tenant": session.tenant_id,
        "budget": crossing.budget_id,
        "start": crossing.period_start,
        "threshold": crossing.threshold,
        "amount": crossing.amount,
        "spent": crossing.spent,
        "now": now,
    }
    return session.connection.execute(_CROSS, values).rowcount == 1


def read_crossings(session: TenantSession, *, since: date) -> dict[tuple[str, date], list[int]]:
    """Return the thresholds that were reached, by budget and first date of the period."""
    columns = budget_crossings.c
    query = (
        sa.select(columns.budget_id, columns.period_start, columns.threshold)
        .where(columns.tenant_id == session.tenant_id, columns.period_start >= since)
        .order_by(columns.threshold)
    )
    found: dict[tuple[str, date], list[int]] = {}
    for budget_id, start, threshold in session.connection.execute(query):
        found.setdefault((budget_id, start), []).append(threshold)
    return found


def budgets_changed() -> ChangedError:
    """Return the error of a change that started from budgets that are no more."""
    return ChangedError(
        "budgets_changed", "somebody changed the budgets meanwhile; look at them and change again"
    )


def _dated(budget: Budget, known: Budget | None, *, now: datetime) -> Budget:
    """Return a budget with the instant since which it is what it is."""
    if known is not None and known.is_like(budget):
        return known
    return replace(budget, set_at=now)


def _dump(budgets: Iterable[Budget]) -> str:
    return orjson.dumps(
        [
            {
                "period": str(one.period),
                "feature": one.feature,
                "amount": format_usd(one.amount),
                "thresholds": one.thresholds,
                "recipients": one.recipients,
                "set_at": one.set_at,
            }
            for one in budgets
        ]
    ).decode()


def _load(document: str) -> tuple[Budget, ...]:
    return tuple(map(_budget, orjson.loads(document)))


def _budget(fields: dict[str, Any]) -> Budget:
    return Budget(
        period=Period(fields["period"]),
        feature=fields["feature"],
        amount=parse_usd(fields["amount"]),
        thresholds=tuple(fields["thresholds"]),
        recipients=tuple(fields["recipients"]),
        set_at=datetime.fromisoformat(fields["set_at"]),
    )
