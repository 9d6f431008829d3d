"""Where an axis has its ticks: whole steps of money, and dates that do not crowd each other."""

from collections.abc import Sequence
from datetime import date

from ledger.money import Nanos

_FACTORS = (1, 2, 5)
_WANTED_STEPS = 4
_DAY_STEPS = (1, 2, 3, 5, 7, 10, 14, 21, 30, 60, 90, 180, 365, 730)


def money_step(low: Nanos, high: Nanos) -> Nanos:
    """Return the least of 1, 2, 5, 10, … nano-dollars that cuts the span into at most four steps.

    Args:
        low: what the axis shows at least, zero or below.
        high: what the axis shows at most, zero or above.
    """
    exponent = 0
    while True:
        for factor in _FACTORS:
            step = factor * 10**exponent
            if -(low // step) + -(-high // step) <= _WANTED_STEPS:
                return Nanos(step)
        exponent += 1


def money_ticks(low: Nanos, high: Nanos) -> tuple[Nanos, ...]:
    """Return ticks from at or below `low` to at or above `high`; zero is one of them."""
    step = money_step(low, high)
    first, last = low // step, -(-high // step)
    return tuple(Nanos(number * step) for number in range(first, last + 1))


def day_ticks(days: Sequence[date], most: int) -> tuple[date, ...]:
    """Return at most `most` of the days, evenly apart; the last day is one of them."""
    steps = [step for step in _DAY_STEPS if -(-len(days) // step) <= most]
    step = steps[0] if steps else -(-len(days) // most)
    return tuple(reversed(days[::-1][::step]))
