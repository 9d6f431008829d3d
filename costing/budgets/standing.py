"""How far a tenant is with a budget in a period. Reads rollups alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from costing.budgets.budget import Budget
from costing.reports.figures import Figures, add_figures
from costing.reports.store import Group, read_groups
from ledger.money import Nanos
from ledger.period import DateRange
from ledger.session import TenantSession


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetStanding:
    """A budget in one period, and what was spent of it.

    Attributes:
        dates: the local dates of the period.
        figures: all that the budget is about; what has no price is no part of its cost.
    """

    budget: Budget
    dates: DateRange
    figures: Figures

    @property
    def spent(self) -> Nanos:
        """What is known to be spent: usage without a price costs more than that."""
        return self.figures.estimated_cost or Nanos(0)

    @property
    def percent(self) -> int:
        """How much of the amount is spent, in whole percents, rounded down."""
        return self.spent * 100 // self.budget.amount


def reached(standing: BudgetStanding) -> tuple[int, ...]:
    """Return the thresholds that spend has reached, ascending; to hit one exactly reaches it."""
    spent = standing.spent * 100
    budget = standing.budget
    return tuple(n for n in budget.thresholds if spent >= n * budget.amount)


class Spending:
    """What a tenant spent in each period, read once a period.

    Args:
        session: of the tenant; all is of one snapshot where it only reads.
    """

    def __init__(self, session: TenantSession) -> None:
        self._session = session
        self._found: dict[DateRange, Mapping[str | None, Figures]] = {}

    def stand(self, budget: Budget, dates: DateRange) -> BudgetStanding:
        """Return how far a budget is in a period."""
        if dates not in self._found:
            self._found[dates] = _by_feature(read_groups(self._session, dates))
        by_feature = self._found[dates]
        if budget.feature is None:
            figures = add_figures(by_feature.values())
        else:
            figures = by_feature.get(budget.feature, add_figures(()))
        return BudgetStanding(budget=budget, dates=dates, figures=figures)


def _by_feature(groups: Iterable[Group]) -> dict[str | None, Figures]:
    parts: dict[str | None, list[Figures]] = {}
    for group in groups:
        parts.setdefault(group.feature, []).append(group.figures)
    return {feature: add_figures(figures) for feature, figures in parts.items()}
