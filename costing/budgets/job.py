"""Evaluates budgets: notes thresholds that were reached, once a period, and who is to be told.

Only tenants are looked at whose usage, budgets or time zone changed, or whose period ended, since
the last time; what is looked at is written in one transaction a tenant.
"""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import sqlalchemy as sa

from costing.budgets.budget import Budget
from costing.budgets.periods import ends_at, open_periods, running
from costing.budgets.standing import BudgetStanding, Spending, reached
from costing.budgets.store import (
    Basis,
    Crossing,
    list_budgeted,
    lock_evaluation,
    note_crossing,
    note_evaluation,
    read_budgets,
    read_evaluated,
)
from costing.budgets.wording import make_notice
from ledger.budget_notices import BudgetNotice, Medium, add_notices
from ledger.budget_standings import Standing, replace_standings
from ledger.errors import UnavailableError
from ledger.money import MAX_NANOS, Nanos
from ledger.period import CLOSES_AFTER
from ledger.session import BusyError, TenantSession, insist, operator_session, tenant_session
from ledger.tenant import Tenant, TenantId
from ledger.tenants import get_own_tenant

_BEHIND = CLOSES_AFTER + timedelta(days=1)
"""How far before now (UTC) a period may have ended anywhere that is still evaluated."""


class Failure(NamedTuple):
    """A tenant whose budgets could not be evaluated; they will be, later."""

    tenant_id: TenantId
    reason: str


class Evaluated(NamedTuple):
    """What a run did: tenants looked at, and thresholds that were reached since the last one."""

    tenants: int
    crossings: int
    failures: tuple[Failure, ...] = ()


class Budgeting:
    """Evaluates the budgets of all tenants.

    Args:
        engine: of the ledger.
        media: by what notices can go out here. A crossing that is noted while there is none is
            never told.
    """

    def __init__(self, engine: sa.Engine, *, media: Collection[Medium] = ()) -> None:
        self._engine = engine
        self._media = frozenset(media)

    def run(self, *, now: datetime) -> Evaluated:
        """Evaluate what may come to something else than the last time.

        Raises:
            UnavailableError: the ledger did not answer.
        """
        since = (now - _BEHIND).date().replace(day=1)
        with operator_session(self._engine) as session:
            evaluated = read_evaluated(session)
            due = [
                (tenant_id, basis)
                for tenant_id, basis in list_budgeted(session, since=since, now=now)
                if _is_due(basis, evaluated.get(tenant_id), now=now)
            ]
        crossings, failures = 0, []
        for tenant_id, basis in due:
            try:
                crossings += self.evaluate(tenant_id, basis, now=now)
            except Exception as error:
                if isinstance(error, UnavailableError) and not isinstance(error, BusyError):
                    raise
                # Whatever it is, the next tenant is not to wait.
                failures.append(Failure(tenant_id, f"{type(error).__name__}: {error}"))
        return Evaluated(len(due), crossings, tuple(failures))

    def evaluate(self, tenant_id: TenantId, basis: Basis, *, now: datetime) -> int:
        """Evaluate the budgets of one tenant; return how many thresholds were reached newly.

        Args:
            tenant_id: whose.
            basis: read before this; what changed since makes the tenant due again.
            now: the current instant.
        """

        def evaluate() -> int:
            with tenant_session(self._engine, tenant_id, write=True) as session:
                lock_evaluation(session, since=basis.since)
                return _evaluate(session, basis, self._media, now=now)

        return insist(evaluate)


def _is_due(basis: Basis, last: tuple[Basis, datetime | None] | None, *, now: datetime) -> bool:
    if last is None or last[0] != basis:
        return True
    until = last[1]
    return until is not None and until <= now


def _evaluate(
    session: TenantSession, basis: Basis, media: Collection[Medium], *, now: datetime
) -> int:
    tenant = get_own_tenant(session)
    # Whoever closed spends no more, and nobody of it is to be written to.
    budgets = () if tenant.is_closed_at(now) else read_budgets(session).budgets
    spending = Spending(session)
    notices: list[BudgetNotice] = []
    crossings = 0
    for budget in budgets:
        for standing in _standings(budget, tenant, spending, now=now):
            new = _note_reached(session, standing, now=now)
            crossings += len(new)
            make = partial(make_notice, standing, tenant=tenant, now=now)
            notices += [make(n, medium) for n in new for medium in _media_of(budget, media)]
    add_notices(session, notices)
    standings = [_running_standing(budget, tenant, spending, now=now) for budget in budgets]
    replace_standings(session, standings)
    until = min((standing.ends_at for standing in standings), default=None)
    note_evaluation(session, basis, ends_at=until)
    return crossings


def _standings(
    budget: Budget, tenant: Tenant, spending: Spending, *, now: datetime
) -> Iterator[BudgetStanding]:
    for dates in open_periods(budget.period, tenant, now=now):
        # A budget says nothing about what was over when it was set.
        if budget.set_at is None or ends_at(dates, tenant) > budget.set_at:
            yield spending.stand(budget, dates)


def _note_reached(session: TenantSession, standing: BudgetStanding, *, now: datetime) -> list[int]:
    """Note the thresholds that spend has reached; return those that it had not before."""
    budget = standing.budget

    def is_new(threshold: int) -> bool:
        crossing = Crossing(
            budget.budget_id,
            standing.dates.start,
            threshold,
            budget.amount,
            _storable(standing.spent),
        )
        return note_crossing(session, crossing, now=now)

    return [threshold for threshold in reached(standing) if is_new(threshold)]


def _media_of(budget: Budget, media: Collection[Medium]) -> list[Medium]:
    return [one for one in Medium if one in media and (one is Medium.WEBHOOK or budget.recipients)]


def _running_standing(
    budget: Budget, tenant: Tenant, spending: Spending, *, now: datetime
) -> Standing:
    dates = running(budget.period, tenant, now=now)
    standing = spending.stand(budget, dates)
    return Standing(
        budget_id=budget.budget_id,
        period=str(budget.period),
        feature=budget.feature,
        amount=budget.amount,
        spent=_storable(standing.spent),
        has_unpriced=standing.figures.has_unpriced,
        ends_at=ends_at(dates, tenant),
    )


def _storable(amount: Nanos) -> Nanos:
    """Return an amount that a column holds: a sum may be larger, which no budget is."""
    return Nanos(max(-MAX_NANOS, min(amount, MAX_NANOS)))
