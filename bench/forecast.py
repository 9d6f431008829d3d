"""How far forecasts of a month end are off, on the usage of the demo: ours against naive ones.

Not a speed: the columns of seconds hold mean errors, in parts of what was spent in the end.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from fractions import Fraction
from statistics import mean
from typing import NamedTuple

from bench.demo_days import spend_by_day
from bench.table import Line
from costing.budgets.forecast import Forecast, forecast_end
from costing.budgets.periods import Period, dates_of
from ledger.money import Nanos
from ledger.period import DateRange

_MONTHS = (date(2026, 1, 1), date(2026, 2, 1))
_DAYS_OF_MONTH = (3, 5, 8, 10, 12, 15, 18, 20, 22, 25, 27)
_DAY = timedelta(days=1)
_FIRST = date(2025, 12, 10)

Spent = Mapping[date, Nanos]


class Case(NamedTuple):
    """A month of a tenant, seen at the start of one of its days."""

    spent: Spent
    month: DateRange
    today: date

    @property
    def known(self) -> Spent:
        """What was spent before that day."""
        return {day: cost for day, cost in self.spent.items() if day < self.today}

    @property
    def end(self) -> int:
        """What the month came to."""
        return sum(self.spent.get(day, 0) for day in self.month)


def measure() -> list[Line]:
    """Compare mean errors, and tell how many months ended within the interval."""
    cases = list(_cases(spend_by_day()))
    forecasts = [(case, found) for case in cases if (found := _ours(case)) is not None]
    ours = float(mean(_error(case, found.expected) for case, found in forecasts))
    lines = [
        _compare(f"error of the month end, weekdays against {name}", forecasts, naive, ours)
        for name, naive in _NAIVE.items()
    ]
    within = sum(found.low <= case.end <= found.high for case, found in forecasts)
    share = within / len(forecasts)
    name = f"{len(forecasts)} months that ended within the interval, of those meant to"
    return [*lines, Line(name, share, 0.8, share / 0.8)]


def _compare(
    name: str,
    forecasts: list[tuple[Case, Forecast]],
    naive: Callable[[Case], Fraction],
    ours: float,
) -> Line:
    other = float(mean(_error(case, naive(case)) for case, _ in forecasts))
    return Line(name, ours, other, ours / other, "at most 1")


def _cases(spend: Mapping[str, Spent]) -> Iterator[Case]:
    for spent in spend.values():
        for first in _MONTHS:
            for day in _DAYS_OF_MONTH:
                today = first.replace(day=day)
                if today - 28 * _DAY >= _FIRST:
                    yield Case(spent, dates_of(Period.MONTHLY, first), today)


def _ours(case: Case) -> Forecast | None:
    return forecast_end(case.known, case.month, today=case.today)


def _error(case: Case, forecast: Fraction | int) -> Fraction:
    return abs(Fraction(forecast) - case.end) / case.end


def _average(case: Case, days: int) -> Fraction:
    """Every day that is left costs what the last ones did on average."""
    last = sum(case.spent.get(case.today - n * _DAY, 0) for n in range(1, days + 1))
    return _so_far(case) + Fraction(last, days) * (case.month.end - case.today).days


def _straight_on(case: Case) -> Fraction:
    """Every day that is left costs what those of the month did so far on average."""
    gone, whole = case.today - case.month.start, case.month.end - case.month.start
    return Fraction(_so_far(case) * whole.days, gone.days)


def _so_far(case: Case) -> int:
    return sum(case.known.get(day, 0) for day in case.month)


_NAIVE: dict[str, Callable[[Case], Fraction]] = {
    "the month so far": _straight_on,
    "the last 7 days": lambda case: _average(case, 7),
    "the last 28 days": lambda case: _average(case, 28),
}
