"""What will have been spent at the end of a period, with an interval. Pure functions.

Each day that is left is expected to cost what the same weekday cost in the four weeks before, later
weeks weighing more. The interval takes days to vary as they did in these weeks, each by itself, and
their level to move, too: the further the end is, the more of the interval is due to that. What is
before the first spend is not known and no zero: whoever began two weeks ago has two weeks to go by.
Why so simple, and how well it does on the demo's usage: docs/adr/0015.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from math import isqrt

from ledger.money import Nanos, round_to_nanos
from ledger.period import DateRange

WEIGHTS = (4, 3, 2, 1)
"""Of the weeks before, the newest first."""

DAYS = 7 * len(WEIGHTS)
"""How many dates before today it goes by."""

MIN_SPENT_DAYS = 14
"""Fewest of these dates with any spend: before that nobody knows how it goes on."""

INTERVAL_PERCENT = 80
"""In how many of a hundred forecasts the amount is meant to end within the interval."""

_SIGMAS = Fraction(12816, 10000)
"""Half the width of that, in standard deviations of a normal distribution."""
_LEVEL = Fraction(1, 4)
"""Variance of the level of the days to come, in variances of a day."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """An amount at the end of a period: expected, and where it is likely to end."""

    low: Nanos
    expected: Nanos
    high: Nanos


def forecast_end(spent: Mapping[date, Nanos], dates: DateRange, *, today: date) -> Forecast | None:
    """Return what will have been spent at the end of a period; None: there is too little to go by.

    Args:
        spent: what has a price, by local date; a date that is missing had none.
        dates: of the period.
        today: a date of the period, which is running: spend on it so far is known.
    """
    before = [today - n * _DAY for n in range(1, DAYS + 1)]
    spent_on = [day for day in before if spent.get(day)]
    if len(spent_on) < MIN_SPENT_DAYS:
        return None
    # As many dates as have spend are two of each weekday at least.
    before = [day for day in before if day >= spent_on[-1]]
    usual = {day.weekday(): _usual(spent, day, since=spent_on[-1]) for day in before[:7]}
    known = sum(cost for day, cost in spent.items() if dates.start <= day <= today)
    left = (dates.end - today).days
    to_come = max(usual[today.weekday()] - spent.get(today, 0), Fraction(0))
    to_come += sum(usual[(today + n * _DAY).weekday()] for n in range(1, left))
    squares = sum((spent.get(day, 0) - usual[day.weekday()]) ** 2 for day in before)
    variance = squares / (len(before) - len(usual)) * (left + _LEVEL * left**2)
    half = _SIGMAS * isqrt(round(variance))
    return Forecast(
        # What is spent is not taken back.
        low=round_to_nanos(max(known + to_come - half, Fraction(known))),
        expected=round_to_nanos(known + to_come),
        high=round_to_nanos(known + to_come + half),
    )


def _usual(spent: Mapping[date, Nanos], latest: date, *, since: date) -> Fraction:
    """Return what a weekday usually costs, from its latest date back to a date."""
    dates = (latest - 7 * n * _DAY for n in range(len(WEIGHTS)))
    weighed = [(w, day) for w, day in zip(WEIGHTS, dates, strict=True) if day >= since]
    return Fraction(sum(w * spent.get(day, 0) for w, day in weighed), sum(w for w, _ in weighed))
