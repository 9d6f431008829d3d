"""What a rollup row must say, given its sums. Pure functions of values."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time

from costing.books import Books
from costing.prices import PriceBook
from costing.rating import rate_usage
from ledger.money import Nanos
from ledger.period import day_start
from ledger.rollups import (
    FIRST_REVISION,
    SP3_PRICE_VERSION,
    RollupKey,
    RollupRow,
    State,
    Tally,
)
from ledger.tenant import Tenant


@dataclass(frozen=True, kw_only=True, slots=True)
class Rater:
    """Rates the rows of one tenant. The book that rates a row first rates it ever after."""

    books: Books
    tenant: Tenant

    def add_usage(self, row: RollupRow | None, key: RollupKey, tally: Tally) -> RollupRow:
        """Return the row with usage added; a new one takes the book in force.

        Raises:
            MissingError: `unknown_price_version`.
        """
        if row is None:
            return self.new_row(key, tally, self.books.current)
        return self.correct(row, row.tally.plus(tally))

    def correct(self, row: RollupRow, tally: Tally) -> RollupRow:
        """Return the row as it should be, given its true sums: never at another price version.

        An unpriced row keeps its version, too: pricing it is an act of its own.

        Raises:
            MissingError: `unknown_price_version`.
        """
        return _rated(row, tally, self.books.of_version(row.price_version))

    def new_row(self, key: RollupKey, tally: Tally, book: PriceBook) -> RollupRow:
        """Return the first revision of a row."""
        rated = rate_usage(book, key, tally.measures)
        return RollupRow(
            key=key,
            tally=tally,
            day_start_utc=day_start(key.date, self.tenant),
            estimated_cost=rated.cost,
            price_version=book.price_version,
            price_source=rated.price_source,
            state=rated.state,
            settled_count=0,
            revision=FIRST_REVISION,
        )


def opening_row(
    row: RollupRow | None, key: RollupKey, tally: Tally, cost: Nanos | None
) -> RollupRow:
    """Return the row of an opening balance of SP-3, whose cost is given and whose days are UTC."""
    return RollupRow(
        key=key,
        tally=tally,
        day_start_utc=datetime.combine(key.date, time(), UTC),
        estimated_cost=cost,
        price_version=SP3_PRICE_VERSION,
        price_source=SP3_PRICE_VERSION,
        state=State.UNPRICED if cost is None else State.ESTIMATED,
        settled_count=0,
        revision=FIRST_REVISION if row is None else row.revision + 1,
    )


def same_figures(a: RollupRow, b: RollupRow) -> bool:
    """Whether two rows say the same, whatever their revisions."""
    return replace(a, revision=b.revision) == b


def _rated(row: RollupRow, tally: Tally, book: PriceBook) -> RollupRow:
    rated = rate_usage(book, row.key, tally.measures)
    return replace(
        row,
        tally=tally,
        estimated_cost=rated.cost,
        price_version=book.price_version,
        price_source=rated.price_source,
        state=rated.state,
        revision=row.revision + 1,
    )
