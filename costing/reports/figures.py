"""How much usage and what it costs, where some of it may have no price."""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.money import Nanos


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Sums over rollup rows.

    Attributes:
        count: usages; corrections carry a sign.
        estimated_cost: what the priced usages come to; None where there is usage and none of it is
            priced. Nothing at all costs zero.
        has_unpriced: whether any row has no price, so that its cost is not known. Counts cannot say
            so: those of corrections carry a sign, and usage that is left may come to a count of 0.
        unpriced_count: those of the usages that have no price.
        flat_rated_count: those of the AI usages that the flat price map rated.
    """

    count: int
    estimated_cost: Nanos | None
    has_unpriced: bool
    unpriced_count: int
    flat_rated_count: int


NOTHING = Figures(
    count=0,
    estimated_cost=Nanos(0),
    has_unpriced=False,
    unpriced_count=0,
    flat_rated_count=0,
)


def known_cost(priced: int | None, *, has_unpriced: bool) -> Nanos | None:
    """Return the sum of the priced rows, or None where there are unpriced ones alone."""
    if priced is None:
        return None if has_unpriced else Nanos(0)
    return Nanos(priced)


def add_figures(parts: Iterable[Figures]) -> Figures:
    """Return the sum; its cost is None only where no part has a known one."""
    listed = [part for part in parts if part != NOTHING]
    if not listed:
        return NOTHING
    costs = [part.estimated_cost for part in listed if part.estimated_cost is not None]
    return Figures(
        count=sum(part.count for part in listed),
        estimated_cost=Nanos(sum(costs)) if costs else None,
        has_unpriced=any(part.has_unpriced for part in listed),
        unpriced_count=sum(part.unpriced_count for part in listed),
        flat_rated_count=sum(part.flat_rated_count for part in listed),
    )
