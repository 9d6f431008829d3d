"""Reads the price book as often as it changes, and no more often."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from costing.pricing.books import keep_rates
from costing.pricing.card import Rates
from costing.pricing.flat import FlatMap
from costing.pricing.resolution import Book
from costing.pricing.store import find_newest, read_book
from ledger.session import OperatorSession, operator_session


class BookReader:
    """The price book of a ledger.

    Args:
        engine: of the ledger.
        flat: the flat map in force.
    """

    def __init__(self, engine: sa.Engine, flat: FlatMap) -> None:
        self.flat = flat
        self._engine = engine
        self._known: tuple[int, Book] | None = None

    def read(self, session: OperatorSession) -> tuple[int, Book]:
        """Return the number of what was laid down last, and the book with it.

        Raises:
            MissingError: `edited_price_entry`.
        """
        known, newest = self._known, find_newest(session)
        if known is None or known[0] != newest:
            # As one: other threads read, too.
            known = self._known = (newest, read_book(session, self.flat))
        return known

    def find_book(self, session: OperatorSession) -> Book:
        """Return the book as it is now.

        Raises:
            MissingError: `edited_price_entry`.
        """
        _, book = self.read(session)
        return book

    def keep(self, rates: Iterable[Rates], *, now: datetime) -> None:
        """Keep rates in the ledger, so that they may rate rows."""
        with operator_session(self._engine, write=True) as session:
            keep_rates(session, rates, now=now)
