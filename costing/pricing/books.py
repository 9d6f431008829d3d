"""The rates that have rated rows, kept in the ledger for ever under their versions."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import cache

import orjson
import sqlalchemy as sa

from costing.pricing.card import UNPRICED_VERSION, RateCard, Rates, restore_card
from costing.pricing.flat import FlatMap, restore_flat_map
from ledger.errors import InvalidError, MissingError
from ledger.models import price_books
from ledger.session import OperatorSession, TenantSession

NOTHING = RateCard(source=UNPRICED_VERSION, amounts={})
"""What rates the rows that nothing has a rate for. It is not kept: it says nothing."""


class Kept:
    """Rates by their versions, as the ledger has them."""

    def __init__(self, rates: Mapping[str, Rates]) -> None:
        self._rates = rates

    def __contains__(self, price_version: str) -> bool:
        return price_version == UNPRICED_VERSION or price_version in self._rates

    @property
    def flat_maps(self) -> list[FlatMap]:
        """The flat maps among them, without markups, in the order of their versions."""
        flats = {r.unmarked for r in self._rates.values() if isinstance(r, FlatMap)}
        return sorted(flats, key=lambda flat: flat.price_version)

    def of_version(self, price_version: str) -> Rates:
        """Return the rates that a row names.

        Raises:
            MissingError: `unknown_price_version`.
        """
        if price_version == UNPRICED_VERSION:
            return NOTHING
        try:
            return self._rates[price_version]
        except KeyError:
            raise MissingError(
                "unknown_price_version",
                f"no rates {price_version} are kept in the ledger",
                key="price_version",
                value=price_version,
            ) from None


def keep_rates(session: OperatorSession, rates: Iterable[Rates], *, now: datetime) -> None:
    """Keep rates in the ledger, once, before they rate anything."""
    wanted = {each.price_version: each for each in rates}
    known = sa.select(price_books.c.price_version).where(
        price_books.c.price_version.in_(sorted(wanted))
    )
    there = set(session.connection.execute(known).scalars())
    new = [
        {"price_version": version, "document": each.document, "registered_at": now}
        for version, each in sorted(wanted.items())
        if version not in there
    ]
    if new:
        session.connection.execute(sa.insert(price_books), new)


def read_kept(
    session: OperatorSession | TenantSession, versions: Collection[str] | None = None
) -> Kept:
    """Return the kept rates of these versions, or all.

    Rows are rated in the transaction that reads them: a row can name rates that another worker has
    brought a moment ago.

    Raises:
        MissingError: `edited_price_book`, when kept rates no longer match their version.
    """
    query = sa.select(price_books.c.price_version, price_books.c.document)
    if versions is not None:
        query = query.where(price_books.c.price_version.in_(sorted(versions)))
    kept: dict[str, Rates] = {}
    for price_version, document in session.connection.execute(query):
        rates = _restored(document)
        if rates.price_version != price_version:
            raise MissingError(
                "edited_price_book",
                f"price book {price_version} was edited in the ledger:"
                f" it now is {rates.price_version}",
                key="price_version",
                value=price_version,
            )
        kept[price_version] = rates
    return Kept(kept)


@cache
def _restored(document: str) -> Rates:
    try:
        said = orjson.loads(document)
        is_card = isinstance(said, dict) and "units" in said
        return restore_card(document) if is_card else restore_flat_map(document)
    except (InvalidError, ValueError) as error:
        raise MissingError(
            "edited_price_book",
            f"a price book in the ledger was edited and can no longer be read: {error}",
        ) from error
