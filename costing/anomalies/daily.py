"""What is unusual about a day's spend: pure functions of what was spent on the days before.

The usual of a date is the median of the same weekday in the four weeks before, so that quiet
weekends are nobody's surprise. How far the days of these weeks were from the median of their own
weekday, again by the median, is how much the tenant varies. A single wild day in the weeks before
moves neither, which a mean and a standard deviation would let it.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from fractions import Fraction
from statistics import median

from ledger.anomalies import Anomaly
from ledger.money import NANOS_PER_USD, Nanos, round_to_nanos

WEEKS = 4
DAYS = 7 * WEEKS
"""How many dates before a date it is compared with."""

MIN_SPENT_DAYS = 14
"""Fewest of these dates with any spend: before that nobody knows what is usual."""

MIN_EXCESS = Nanos(5 * NANOS_PER_USD)
"""Least amount above the usual that is worth telling."""

_SPREADS = 6
_SIGMAS_A_MAD = Fraction(14826, 10000)
"""A median deviation in standard deviations, where they are normally distributed."""
_LEAST_SPREAD = Fraction(1, 10)
"""Of the usual: a tenant that always spends the same would otherwise be told of a cent."""
_DAY = timedelta(days=1)


def find_anomaly(channel: str, day: date, spent: Mapping[date, Nanos]) -> Anomaly | None:
    """Return what is unusual about a date; None: nothing, or nobody knows yet.

    Args:
        channel: what was spent on.
        day: a date that is over, or that is running: spend so far can only be too much.
        spent: what has a price, by date; a date that is missing had none.
    """
    before = [day - n * _DAY for n in range(1, DAYS + 1)]
    if sum(1 for one in before if spent.get(one)) < MIN_SPENT_DAYS:
        return None
    by_weekday = {
        weekday: median(Fraction(spent.get(one, 0)) for one in before if one.weekday() == weekday)
        for weekday in range(7)
    }
    usual = by_weekday[day.weekday()]
    deviations = (abs(spent.get(one, 0) - by_weekday[one.weekday()]) for one in before)
    spread = max(median(deviations) * _SIGMAS_A_MAD, usual * _LEAST_SPREAD)
    bound = max(usual + _SPREADS * spread, usual + MIN_EXCESS)
    amount = spent.get(day, Nanos(0))
    if amount <= bound:
        return None
    return Anomaly(
        date=day,
        channel=channel,
        spent=amount,
        usual=round_to_nanos(usual),
        bound=round_to_nanos(bound),
    )
