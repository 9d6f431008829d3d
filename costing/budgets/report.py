"""Budgets as people are shown them: where each stands, and where its month is going."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from costing.budgets.budget import Budget
from costing.budgets.forecast import DAYS, Forecast, forecast_end
from costing.budgets.periods import Period, running
from costing.budgets.standing import BudgetStanding, Spending, reached
from costing.budgets.store import read_budgets
from costing.budgets.telling import Told, read_told
from costing.reports.store import read_daily_spend
from ledger.money import Nanos
from ledger.period import DateRange
from ledger.session import TenantSession
from ledger.tenant import Tenant


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownBudget:
    """A budget in the period that is running.

    Attributes:
        reached: thresholds that spend has reached as it is now, ascending.
        told: who knows of the thresholds that were reached in this period at any time.
        forecast: of the end of the month; None: there is too little to go by, or it is for a day.
    """

    standing: BudgetStanding
    reached: tuple[int, ...]
    told: Told
    forecast: Forecast | None

    @property
    def budget(self) -> Budget:
        """What is meant to be spent."""
        return self.standing.budget


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetReport:
    """All budgets of a tenant, and where its month is going as a whole.

    Attributes:
        revision: of the budgets, to name when changing them.
        month: the dates of the month that is running.
        forecast: of all that the tenant spends in it.
    """

    revision: int
    budgets: tuple[ShownBudget, ...]
    month: DateRange
    forecast: Forecast | None


def report_budgets(session: TenantSession, tenant: Tenant, *, now: datetime) -> BudgetReport:
    """Return where a tenant's budgets stand, by the rollups as they are now."""
    kept = read_budgets(session)
    today = now.astimezone(tenant.zone_at(now)).date()
    month = running(Period.MONTHLY, tenant, now=now)
    first = min(month.start, today - timedelta(days=DAYS))
    by_feature = read_daily_spend(session, DateRange(start=first, end=month.end))
    spending = Spending(session)
    periods = {one.budget_id: running(one.period, tenant, now=now) for one in kept.budgets}
    told = read_told(session, periods)

    def show(budget: Budget) -> ShownBudget:
        dates = periods[budget.budget_id]
        standing = spending.stand(budget, dates)
        is_long = budget.period is Period.MONTHLY
        spent = _spent(by_feature, budget.feature)
        return ShownBudget(
            standing=standing,
            reached=reached(standing),
            told=told[budget.budget_id],
            forecast=forecast_end(spent, dates, today=today) if is_long else None,
        )

    return BudgetReport(
        revision=kept.revision,
        budgets=tuple(map(show, kept.budgets)),
        month=month,
        forecast=forecast_end(_spent(by_feature, None), month, today=today),
    )


def _spent(
    by_feature: Mapping[str | None, Mapping[date, Nanos]], feature: str | None
) -> Mapping[date, Nanos]:
    """Return what was spent by date on a feature, or on everything."""
    if feature is not None:
        return by_feature.get(feature, {})
    total: dict[date, Nanos] = {}
    for spent in by_feature.values():
        for day, cost in spent.items():
            total[day] = Nanos(total.get(day, 0) + cost)
    return total
