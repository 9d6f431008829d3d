"""What the usage page says of budgets, as text and as bars: made of the report alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from api.pages.money import choose_places, show_dates, show_unpriced, show_usd
from api.pages.usage_view import Money, show_money
from costing.budgets.budget import DEFAULT_THRESHOLDS, Budget
from costing.budgets.forecast import INTERVAL_PERCENT, Forecast
from costing.budgets.periods import Period
from costing.budgets.report import BudgetReport, ShownBudget
from ledger.money import Nanos, format_usd

_PERIODS = {Period.MONTHLY: "this month", Period.DAILY: "today"}
_FULL = 100
_LONGEST_PERCENT = 200
"""Where a bar ends at most, so that a budget far overspent leaves room for its amount."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A bar of a hundred units: what is spent, where the month may end, and the thresholds."""

    spent: float
    low: float | None
    high: float | None
    ticks: tuple[float, ...]
    amount: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Typed:
    """What the form for a budget has in its fields."""

    period: str = str(Period.MONTHLY)
    feature: str = ""
    amount: str = ""
    thresholds: str = ", ".join(map(str, DEFAULT_THRESHOLDS))
    recipients: str = ""


NOTHING_TYPED = Typed()


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetLine:
    """A budget as it is shown."""

    label: str
    period: str
    dates: str
    spent: Money
    amount: str
    percent: str
    is_over: bool
    unpriced: str | None
    forecast: str | None
    told: str | None
    waiting: str | None
    untold: str | None
    bar: Bar
    typed: Typed


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetsView:
    """All that the page shows of budgets.

    Attributes:
        month: where the month ends as a whole; None: a budget says so, or too little is known.
        features: names that the form offers.
    """

    lines: tuple[BudgetLine, ...]
    month: str | None
    periods: tuple[tuple[str, str], ...]
    features: tuple[str, ...]
    sends_mail: bool


def build_budgets_view(
    report: BudgetReport, *, features: Sequence[str], sends_mail: bool
) -> BudgetsView:
    """Return what the page shows of budgets."""
    amounts: list[Nanos | None] = [one.standing.spent for one in report.budgets]
    places = choose_places([*amounts, *(one.budget.amount for one in report.budgets)])
    is_shown = any(one.budget.budget_id == str(Period.MONTHLY) for one in report.budgets)
    return BudgetsView(
        lines=tuple(_line(shown, places) for shown in report.budgets),
        month=None if is_shown else _forecast(report.forecast),
        periods=((str(Period.MONTHLY), "Each month"), (str(Period.DAILY), "Each day")),
        features=tuple(dict.fromkeys(features)),
        sends_mail=sends_mail,
    )


def _line(shown: ShownBudget, places: int) -> BudgetLine:
    budget, standing = shown.budget, shown.standing
    figures = standing.figures
    return BudgetLine(
        label="All usage" if budget.feature is None else budget.feature,
        period=_PERIODS[budget.period],
        dates=show_dates(standing.dates.start, standing.dates.end - timedelta(days=1)),
        spent=show_money(standing.spent, places),
        amount=show_usd(budget.amount, places),
        percent=f"{standing.percent}%",
        is_over=standing.spent >= budget.amount,
        unpriced=show_unpriced(figures.unpriced_count, exists=figures.has_unpriced),
        forecast=_forecast(shown.forecast),
        told=_percents(shown.told.told),
        waiting=_percents(shown.told.waiting),
        untold=_percents(shown.told.untold),
        bar=draw_bar(shown),
        typed=_typed(budget),
    )


def _percents(thresholds: Sequence[int]) -> str | None:
    return ", ".join(f"{n}%" for n in thresholds) or None


def _forecast(forecast: Forecast | None) -> str | None:
    if forecast is None:
        return None
    # To the cent, which is finer than anybody knows it.
    expected, low, high = (show_usd(n, 2) for n in (forecast.expected, forecast.low, forecast.high))
    return f"about {expected}, {INTERVAL_PERCENT} of 100 times between {low} and {high}"


def draw_bar(shown: ShownBudget) -> Bar:
    """Return the places of what a bar shows, on a scale that holds the amount and, mostly, all."""
    budget, forecast = shown.budget, shown.forecast

    def percent(amount: int) -> float:
        return min(max(amount * _FULL / budget.amount, 0), _LONGEST_PERCENT)

    spent = percent(shown.standing.spent)
    high = None if forecast is None else percent(forecast.high)
    low = None if forecast is None else percent(forecast.low)
    ticks = [float(n) for n in budget.thresholds if n <= _LONGEST_PERCENT]
    longest = max(_FULL, spent, high or 0)

    def place(value: float) -> float:
        return round(value * _FULL / longest, 2)

    return Bar(
        spent=place(spent),
        low=None if low is None else place(low),
        high=None if high is None else place(high),
        ticks=tuple(place(n) for n in ticks if n <= longest),
        amount=place(_FULL),
    )


def _typed(budget: Budget) -> Typed:
    return Typed(
        period=str(budget.period),
        feature=budget.feature or "",
        amount=format_usd(budget.amount),
        thresholds=", ".join(map(str, budget.thresholds)),
        recipients=", ".join(budget.recipients),
    )
