"""Rollup rows, rated again. Pure functions of rows and the price book."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import NamedTuple
from uuid import UUID

from costing.pricing.card import Rates
from costing.pricing.rating import UNPRICED, Rated, Rating, make_ready
from ledger.measures import Measures
from ledger.money import Nanos
from ledger.rollups import RollupKey


class RowKind(NamedTuple):
    """What the price of a tenant's rollup row depends on. Neither source nor feature has a part."""

    date: date
    channel: str
    direction: str
    model: str | None
    price_class: str


KIND = RowKind._fields


class Row(NamedTuple):
    """A rollup row without what has no part in its price.

    Attributes:
        cost: None: it has none.
    """

    kind: RowKind
    rollup_id: UUID
    measures: Measures
    cost: Nanos | None
    price_version: str
    state: str


class Change(NamedTuple):
    """A row and what it is to be rated as."""

    row: Row
    rated: Rated
    price_version: str


class Sums(NamedTuple):
    """What a repricing comes to.

    Attributes:
        rows: that change.
        before: known cost of these rows as they are, in nano-dollars.
        after: known cost of them as they will be.
        unpriced_before: of these rows, those without a price as they are.
        unpriced_after: of these rows, those without a price then.
    """

    rows: int = 0
    before: int = 0
    after: int = 0
    unpriced_before: int = 0
    unpriced_after: int = 0

    def plus(self, other: "Sums") -> "Sums":
        """Return both together."""
        return Sums(*(a + b for a, b in zip(self, other, strict=True)))


class Ready(NamedTuple):
    """The rates of one kind of usage, and what they are made ready as; None: no unit counts it."""

    rates: Rates
    rating: Rating | None


class Ratings:
    """Rates one tenant's rows; what it found for one row serves all of its kind.

    Args:
        find: returns the rates that the book has for a row.
    """

    def __init__(self, find: Callable[[RollupKey], Rates]) -> None:
        self._find = find
        self._known: dict[RowKind, Ready] = {}

    def of(self, kind: RowKind) -> Ready:
        """Return by what rows of a kind are rated."""
        known = self._known.get(kind)
        if known is None:
            day, channel, direction, model, price_class = kind
            rates = self._find(RollupKey(day, channel, direction, None, None, model, price_class))
            known = Ready(rates, make_ready(rates, channel, direction, price_class))
            self._known[kind] = known
        return known

    def rate(self, rows: Iterable[Row]) -> list[Change]:
        """Return the rows that change."""
        changes = []
        for row in rows:
            rates, rating = self.of(row.kind)
            rated = UNPRICED if rating is None else rating.rate(row.measures)
            version = rates.price_version
            if (row.price_version, row.cost, row.state) != (version, rated.cost, rated.state):
                changes.append(Change(row, rated, version))
        return changes


def sum_changes(changes: Iterable[Change]) -> Sums:
    """Return what changes come to."""
    rows = before = after = unpriced_before = unpriced_after = 0
    for change in changes:
        rows += 1
        before += change.row.cost or 0
        after += change.rated.cost or 0
        unpriced_before += change.row.cost is None
        unpriced_after += change.rated.cost is None
    return Sums(rows, before, after, unpriced_before, unpriced_after)
