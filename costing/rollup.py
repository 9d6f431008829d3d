"""What a rollup row must say, given its sums. Pure functions of values."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from functools import cached_property

from costing.pricing.books import NOTHING, Kept
from costing.pricing.card import UNPRICED_VERSION, Rates
from costing.pricing.rating import rate_usage
from costing.pricing.resolution import Book, Kind, kind_of
from ledger.errors import ConflictError
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


@dataclass(frozen=True, kw_only=True)
class Pricing:
    """The price book, as one tenant has it."""

    book: Book
    tenant: Tenant

    def rates_of(self, key: RollupKey) -> Rates:
        """Return what a new row is rated by: its own rates, or nothing."""
        return self.book.resolve(self._kind(key)) or NOTHING

    def lost_rates(self, key: RollupKey, kept: Kept, named: str | None) -> Rates:
        """Return what rated a row of which nothing is left.

        Args:
            key: of the row.
            kept: all that ever rated a row.
            named: the version that somebody says it was, or None.

        Raises:
            ConflictError: `ambiguous_price_version`, where it may have been one or the other.
            MissingError: `unknown_price_version`.
        """
        if named is not None:
            return kept.of_version(named)
        ever = self.book.resolve_ever(self._kind(key), kept.flat_maps)
        # What is not kept never rated anything.
        possible = {v: rates for v, rates in ever.items() if rates is None or v in kept}
        if len(possible) > 1:
            names = ", ".join(version or UNPRICED_VERSION for version in sorted(possible))
            raise ConflictError(
                "ambiguous_price_version",
                "a rollup row is gone and any of several prices may have rated it; name one"
                f" with --price-version: {names}",
                key="price_version",
            )
        (rates,) = possible.values() or [self.rates_of(key)]
        return rates or NOTHING

    def _kind(self, key: RollupKey) -> Kind:
        plan = self._plans.get(key.date)
        if plan is None:
            plan = self.tenant.period_at(day_start(key.date, self.tenant)).plan
            self._plans[key.date] = plan
        return kind_of(self.tenant.tenant_id, plan, key)

    @cached_property
    def _plans(self) -> dict[date, str]:
        return {}


@dataclass(frozen=True, kw_only=True)
class Rater:
    """Rates the rows of one tenant. What rates a row first rates it ever after."""

    pricing: Pricing
    kept: Kept

    @property
    def tenant(self) -> Tenant:
        """Whose rows they are."""
        return self.pricing.tenant

    def add_usage(self, row: RollupRow | None, key: RollupKey, tally: Tally) -> RollupRow:
        """Return the row with usage added; a new one takes the rates in force on its date.

        Raises:
            MissingError: `unknown_price_version`.
        """
        if row is None:
            return self.new_row(key, tally, self.pricing.rates_of(key))
        return self.correct(row, row.tally.plus(tally))

    def correct(self, row: RollupRow, tally: Tally) -> RollupRow:
        """Return the row as it should be, given its true sums: never at another price version.

        An unpriced row keeps its version, too: pricing it is an act of its own.

        Raises:
            MissingError: `unknown_price_version`.
        """
        return rate_again(row, tally, self.kept.of_version(row.price_version))

    def new_row(self, key: RollupKey, tally: Tally, rates: Rates) -> RollupRow:
        """Return the first revision of a row."""
        rated = rate_usage(rates, key, tally.measures)
        return RollupRow(
            key=key,
            tally=tally,
            day_start_utc=day_start(key.date, self.tenant),
            estimated_cost=rated.cost,
            price_version=rates.price_version,
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


def rate_again(row: RollupRow, tally: Tally, rates: Rates) -> RollupRow:
    """Return the next revision of a row, with these sums at these rates."""
    rated = rate_usage(rates, row.key, tally.measures)
    return replace(
        row,
        tally=tally,
        estimated_cost=rated.cost,
        price_version=rates.price_version,
        price_source=rated.price_source,
        state=rated.state,
        revision=row.revision + 1,
    )
