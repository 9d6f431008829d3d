"""Shares of spend: exact fractions inside, percentages with one decimal where they are shown."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import floor

from ledger.money import Nanos

_STEPS = 1000
"""Steps of a tenth of a percent in the whole."""


def share_of(part: Nanos | None, whole: Nanos | None) -> Fraction | None:
    """Return part of whole, exactly; None where it is not known.

    A part that is zero has the share zero, even where nothing was spent at all. Where credits leave
    nothing or less to divide, other parts have no share.
    """
    if part == 0:
        return Fraction(0)
    if part is None or whole is None or whole <= 0:
        return None
    return Fraction(part, whole)


def round_percent(share: Fraction | None) -> Decimal | None:
    """Return one share as a percentage, rounded half to even: for a share that stands alone."""
    return None if share is None else _percent(round(share * _STEPS))


def split_percent(shares: Sequence[Fraction | None]) -> tuple[Decimal | None, ...]:
    """Return the shares of one whole as percentages that sum to 100.0, by largest remainder.

    Each is rounded down first; the tenths that are then missing go to those that lost most, the
    earlier one where two lost the same. Unknown shares stay unknown and shares of nothing are 0.0.
    """
    exact = [None if share is None else share * _STEPS for share in shares]
    steps = [None if share is None else floor(share) for share in exact]
    lost = {
        place: share - floor(share)
        for place, share in enumerate(exact)
        if share is not None and share != floor(share)
    }
    missing = round(sum(lost.values()))
    winners = sorted(lost, key=lambda place: (-lost[place], place))[:missing]
    return tuple(
        None if step is None else _percent(step + (place in winners))
        for place, step in enumerate(steps)
    )


def _percent(steps: int) -> Decimal:
    return Decimal(steps).scaleb(-1)
