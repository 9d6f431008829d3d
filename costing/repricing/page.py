"""One page of a tenant's rollup rows, rated again. Pure functions of rows and the price book."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, NamedTuple

from costing.pricing.card import Rates
from costing.pricing.rating import UNPRICED, Rated, Rating, make_ready
from ledger.measures import MEASURE_COLUMNS, Measures
from ledger.money import Nanos
from ledger.rollups import RollupKey


class Row(NamedTuple):
    """A rollup row without what has no part in its price, as the database driver gives it.

    Attributes:
        rollup_id: in the form of the driver, to be given back as it is.
        cost: None: it has none.
    """

    date: date
    rollup_id: Any
    channel: str
    direction: str
    model: str | None
    price_class: str
    events: int
    measures: Measures
    cost: Nanos | None
    price_version: str
    price_source: str | None
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


Find = Callable[[RollupKey], Rates]


class Pages:
    """Rates pages of one tenant's rows; what it found for one row serves all of its kind.

    Args:
        find: returns the rates that the book has for a row.
    """

    def __init__(self, find: Find) -> None:
        self._find = find
        self._known: dict[tuple[object, ...], tuple[Rates, Rating | None]] = {}
        self.needed: dict[str, Rates] = {}

    def rate(self, rows: Iterable[Row]) -> list[Change]:
        """Return the rows that change; the rates that they take are in `needed`."""
        changes = []
        for row in rows:
            kind = (row.date, row.channel, row.direction, row.model, row.price_class)
            found = self._known.get(kind)
            if found is None:
                found = self._known[kind] = self._look_up(row)
            rates, rating = found
            rated = UNPRICED if rating is None else rating.rate(row.measures)
            version = rates.price_version
            if row.price_version == version and row.cost == rated.cost and row.state == rated.state:
                continue
            self.needed[version] = rates
            changes.append(Change(row, rated, version))
        return changes

    def _look_up(self, row: Row) -> tuple[Rates, Rating | None]:
        # Neither source nor feature has a part in a price.
        key = RollupKey(
            row.date, row.channel, row.direction, None, None, row.model, row.price_class
        )
        rates = self._find(key)
        return rates, make_ready(rates, row.channel, row.direction, row.price_class)


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


def figures_before(row: Row) -> dict[str, object]:
    """Return what the journal keeps of a row as it is, as `costing.store.row_figures` does."""
    return _figures(row, row.cost, row.price_version, row.state)


def figures_after(change: Change) -> dict[str, object]:
    """Return what the journal keeps of a row as it will be."""
    rated = change.rated
    return _figures(change.row, rated.cost, change.price_version, str(rated.state))


def _figures(row: Row, cost: Nanos | None, version: str, state: str) -> dict[str, object]:
    return {
        "count": row.events,
        **dict(zip(MEASURE_COLUMNS, row.measures, strict=True)),
        "estimated_cost": cost,
        "price_version": version,
        "state": state,
    }
