"""What usage costs. Pure functions of usage and rates; the only place that rounds a cost."""

from fractions import Fraction
from functools import lru_cache
from operator import mul
from typing import NamedTuple

from costing.pricing.card import Multiplier, Rates, build_multiplier
from ledger.measures import Measures
from ledger.money import MAX_NANOS, Nanos
from ledger.rollups import RollupKey, State


class Rated(NamedTuple):
    """The cost of a rollup row. `cost` is None exactly when the state is `unpriced`."""

    cost: Nanos | None
    price_source: str | None
    state: State


UNPRICED = Rated(None, None, State.UNPRICED)


class Rating(NamedTuple):
    """Rates made ready for one kind of usage, and the layer that they are from."""

    multiplier: Multiplier
    source: str

    def rate(self, measures: Measures) -> Rated:
        """Rate sums. Unknown is never zero: what has no price is unpriced."""
        numerators, denominator, unrated, billed = self.multiplier
        for place in unrated:
            if measures[place]:
                return UNPRICED
        scaled = sum(map(mul, numerators, measures))
        cost = divide_to_nanos(scaled, denominator)
        if cost > MAX_NANOS or cost < -MAX_NANOS:
            # A cost that no column holds is unknown, too: it must not stop the costing of the rest.
            return UNPRICED
        if scaled or not any(measures[place] for place in billed):
            return Rated(cost, self.source, State.ESTIMATED)
        return Rated(cost, self.source, State.FREE)


def divide_to_nanos(scaled: int, denominator: int) -> Nanos:
    """Return what `round_to_nanos` makes of the quotient, without making a fraction first."""
    whole, rest = divmod(scaled, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and whole & 1):
        whole += 1
    return Nanos(whole)


def exact_cost(rates: Rates, key: RollupKey, measures: Measures) -> Fraction | None:
    """Return the exact cost in nano-dollars, or None where a unit that was used has no rate."""
    multiplier = build_multiplier(rates, key.channel, key.direction, key.price_class)
    if multiplier is None or any(measures[place] for place in multiplier.unrated):
        return None
    return Fraction(sum(map(mul, multiplier.numerators, measures)), multiplier.denominator)


def rate_usage(rates: Rates, key: RollupKey, measures: Measures) -> Rated:
    """Rate a row's sums. Unknown is never zero: what has no price is unpriced."""
    rating = make_ready(rates, key.channel, key.direction, key.price_class)
    return UNPRICED if rating is None else rating.rate(measures)


@lru_cache(maxsize=65_536)
def make_ready(rates: Rates, channel: str, direction: str, price_class: str) -> Rating | None:
    """Return the rates ready for one kind of usage, None where no unit counts it."""
    multiplier = build_multiplier(rates, channel, direction, price_class)
    return None if multiplier is None else Rating(multiplier, rates.source)
