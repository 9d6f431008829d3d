"""The price books that have rated rows, kept in the ledger for ever."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache

import sqlalchemy as sa

from costing.prices import PriceBook, restore_price_book
from ledger.errors import ConflictError, InvalidError, MissingError
from ledger.models import price_books
from ledger.session import OperatorSession, TenantSession


class Books:
    """The book in force, and every older one that a row may name."""

    def __init__(self, current: PriceBook, kept: Mapping[str, PriceBook]) -> None:
        self.current = current
        self.kept = kept
        self._by_version = {**kept, current.price_version: current}

    @property
    def is_registered(self) -> bool:
        """Whether the book in force is kept, so that it may rate rows."""
        return self.current.price_version in self.kept

    def of_lost_row(self, named: str | None) -> PriceBook:
        """Return the book that rated a row of which nothing is left.

        Args:
            named: the version that somebody says it was, or None.

        Raises:
            ConflictError: `ambiguous_price_version`, where several books may have rated it.
            MissingError: `unknown_price_version`.
        """
        if named is not None:
            return self.of_version(named)
        versions = sorted(self.kept) or [self.current.price_version]
        if len(versions) > 1:
            raise ConflictError(
                "ambiguous_price_version",
                "a rollup row is gone and any of several price books may have rated it; name one"
                f" with --price-version: {', '.join(versions)}",
                key="price_version",
            )
        return self.of_version(versions[0])

    def of_version(self, price_version: str) -> PriceBook:
        """Return the book that a row names.

        Raises:
            MissingError: `unknown_price_version`.
        """
        try:
            return self._by_version[price_version]
        except KeyError:
            raise MissingError(
                "unknown_price_version",
                f"no price book {price_version} is kept in the ledger",
                key="price_version",
                value=price_version,
            ) from None


def register_book(session: OperatorSession, book: PriceBook, *, now: datetime) -> None:
    """Keep a book in the ledger, once, before it rates anything."""
    known = sa.select(price_books.c.price_version).where(
        price_books.c.price_version == book.price_version
    )
    if session.connection.execute(known).first() is None:
        session.connection.execute(
            sa.insert(price_books).values(
                price_version=book.price_version, document=book.document, registered_at=now
            )
        )


def read_books(session: OperatorSession | TenantSession, current: PriceBook) -> Books:
    """Return all kept books.

    Rows are rated in the transaction that reads the books: a row can name a book that another
    worker has brought a moment ago.

    Raises:
        MissingError: `edited_price_book`, when a kept book no longer matches its version.
    """
    kept = {}
    rows = session.connection.execute(
        sa.select(price_books.c.price_version, price_books.c.document)
    )
    for price_version, document in rows:
        book = _restored(document)
        if book.price_version != price_version:
            raise MissingError(
                "edited_price_book",
                f"price book {price_version} was edited in the ledger:"
                f" it now is {book.price_version}",
                key="price_version",
                value=price_version,
            )
        kept[price_version] = book
    return Books(current, kept)


@cache
def _restored(document: str) -> PriceBook:
    try:
        return restore_price_book(document)
    except (InvalidError, ValueError) as error:
        raise MissingError(
            "edited_price_book", f"a price book in the ledger was edited and is none now: {error}"
        ) from error
