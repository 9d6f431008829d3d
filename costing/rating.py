"""What usage costs. Pure functions of usage and price book; the only place that rounds a cost."""

from fractions import Fraction
from typing import NamedTuple

from costing.prices import FLAT_SOURCE, PriceBook
from ledger.measures import Measures
from ledger.money import MAX_NANOS, Nanos, round_to_nanos
from ledger.rollups import RollupKey, State
from ledger.units import load_catalogue


class Rated(NamedTuple):
    """The cost of a rollup row. `cost` is None exactly when the state is `unpriced`."""

    cost: Nanos | None
    price_source: str | None
    state: State


UNPRICED = Rated(None, None, State.UNPRICED)


def exact_cost(book: PriceBook, key: RollupKey, measures: Measures) -> Fraction | None:
    """Return the exact cost in nano-dollars, or None where a unit that was used has no rate."""
    units = load_catalogue().units_of(key.channel, key.price_class)
    if not units:
        return None
    total = Fraction()
    for unit in units:
        used = getattr(measures, unit.column)
        if not used:
            continue
        rate = book.rate(unit, key.direction)
        if rate is None:
            return None
        total += used * rate
    return total


def rate_usage(book: PriceBook, key: RollupKey, measures: Measures) -> Rated:
    """Rate a row's sums. Unknown is never zero: what has no price is unpriced."""
    exact = exact_cost(book, key, measures)
    if exact is None or round_to_nanos(exact) > MAX_NANOS:
        # A cost that no column holds is unknown, too: it must not stop the costing of the rest.
        return UNPRICED
    units = load_catalogue().units_of(key.channel, key.price_class)
    used = any(getattr(measures, unit.column) for unit in units)
    state = State.FREE if used and not exact else State.ESTIMATED
    return Rated(round_to_nanos(exact), FLAT_SOURCE, state)
