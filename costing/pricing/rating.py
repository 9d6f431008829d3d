"""What usage costs. Pure functions of usage and rates; the only place that rounds a cost."""

from collections.abc import Callable
from functools import lru_cache
from operator import mul
from typing import NamedTuple

from costing.pricing.card import Multiplier, Rates, build_multiplier
from ledger.measures import MEASURE_COLUMNS, Measures
from ledger.money import MAX_NANOS, Nanos
from ledger.rollups import RollupKey, State


class Rated(NamedTuple):
    """The cost of a rollup row. `cost` is None exactly when the state is `unpriced`."""

    cost: Nanos | None
    price_source: str | None
    state: State


UNPRICED = Rated(None, None, State.UNPRICED)

_QUANTITY = MEASURE_COLUMNS.index("quantity")
_AUDIO_MS = MEASURE_COLUMNS.index("audio_ms")


class Rating:
    """Rates made ready for one kind of usage, and the layer that they are from.

    Attributes:
        multiplier: what measures are multiplied with.
        cost: returns the cost of measures, rounded half to even, or None where a unit that was used
            has no rate. It may be more than a column holds.
    """

    __slots__ = ("_source", "cost", "multiplier")

    def __init__(self, multiplier: Multiplier, source: str) -> None:
        self.multiplier = multiplier
        self.cost = _multiply_by(multiplier)
        self._source = source

    def rate(self, measures: Measures) -> Rated:
        """Rate sums. Unknown is never zero: what has no price is unpriced."""
        cost = self.cost(measures)
        if cost is None or not -MAX_NANOS <= cost <= MAX_NANOS:
            # A cost that no column holds is unknown, too: it must not stop the costing of the rest.
            return UNPRICED
        if cost or self._is_no_free_usage(measures):
            return Rated(cost, self._source, State.ESTIMATED)
        return Rated(cost, self._source, State.FREE)

    def _is_no_free_usage(self, measures: Measures) -> bool:
        """Whether a cost of zero was rounded, or nothing was used: no price of zero."""
        numerators, _, _, billed = self.multiplier
        exact = sum(map(mul, numerators, measures))
        return bool(exact) or not any(measures[place] for place in billed)


def _multiply_by(multiplier: Multiplier) -> Callable[[Measures], Nanos | None]:
    """Return the multiplication: whole numbers over one denominator, for a tenth of the time.

    It does what `round_to_nanos` does with the fraction. Without an object around it, and without
    a division where nothing is to be divided, it takes half the time again.
    """
    numerators, denominator, unrated, _ = multiplier
    if denominator == 1 and unrated == (_AUDIO_MS,) and not numerators[_QUANTITY]:
        return _multiply_tokens_by(numerators)

    def multiply(measures: Measures) -> Nanos | None:
        for place in unrated:
            if measures[place]:
                return None
        scaled: int = sum(map(mul, numerators, measures))
        if denominator == 1:
            return scaled  # type: ignore[return-value] # these are nano-dollars
        whole, rest = divmod(scaled, denominator)
        rest *= 2
        if rest > denominator or (rest == denominator and whole & 1):
            whole += 1
        return Nanos(whole)

    return multiply


def _multiply_tokens_by(numerators: tuple[int, ...]) -> Callable[[Measures], Nanos | None]:
    """Return the same for nearly all usage of AI: tokens at whole nano-dollars, and no seconds.

    Spelled out, and without the kinds of tokens that usage seldom has, it takes a third less time.
    """
    _, a, b, c, d, e, f, g, h, _ = numerators

    def multiply(measures: Measures) -> Nanos | None:
        _, inputs, cached, written, outputs, audio_in, audio_out, image_in, image_out, ms = measures
        if ms:
            return None
        cost = inputs * a + outputs * d
        if cached:
            cost += cached * b
        if written:
            cost += written * c
        if audio_in:
            cost += audio_in * e
        if audio_out:
            cost += audio_out * f
        if image_in:
            cost += image_in * g
        if image_out:
            cost += image_out * h
        return cost  # type: ignore[return-value] # these are nano-dollars

    return multiply


def rate_usage(rates: Rates, key: RollupKey, measures: Measures) -> Rated:
    """Rate a row's sums. Unknown is never zero: what has no price is unpriced."""
    rating = make_ready(rates, key.channel, key.direction, key.price_class)
    return UNPRICED if rating is None else rating.rate(measures)


@lru_cache(maxsize=65_536)
def make_ready(rates: Rates, channel: str, direction: str, price_class: str) -> Rating | None:
    """Return the rates ready for one kind of usage, None where no unit counts it."""
    multiplier = build_multiplier(rates, channel, direction, price_class)
    return None if multiplier is None else Rating(multiplier, rates.source)
