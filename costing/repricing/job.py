"""The repricing of rollup rows: a page a transaction, so that a killed one goes on where it was."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache, partial
from typing import NamedTuple

import sqlalchemy as sa

from costing.changes import keeping_rates, read_needed
from costing.pricing.books import keep_rates
from costing.pricing.card import Rates
from costing.pricing.resolution import Book
from costing.repricing.page import Pages, Row, Sums, sum_changes
from costing.repricing.store import Place, journal_page, read_page, write_page
from costing.rollup import Pricing
from costing.store import lock_costing
from ledger.days import note_days
from ledger.errors import InvalidError
from ledger.period import DateRange, closes_at
from ledger.session import TenantSession, insist, operator_session, tenant_session
from ledger.tenant import Tenant

MAX_REASON = 255


class Scope(NamedTuple):
    """Which rows are rated again.

    Attributes:
        dates: local dates of each tenant.
        model: only rows of this model; None: all rows.
    """

    dates: DateRange
    model: str | None = None


class Repricing:
    """Rates rows again by a price book.

    Args:
        engine: of the ledger.
        book: by which rows are rated.
        scope: which rows.
    """

    def __init__(self, engine: sa.Engine, book: Book, scope: Scope) -> None:
        self._engine = engine
        self._book = book
        self._scope = scope

    def preview(self, tenant: Tenant) -> Sums:
        """Return what a repricing of a tenant would come to, and change nothing."""
        pages = Pages(Pricing(book=self._book, tenant=tenant).rates_of)
        sums = Sums()
        with tenant_session(self._engine, tenant.tenant_id) as session:
            for rows in self._read(session):
                sums = sums.plus(sum_changes(pages.rate(rows)))
        return sums

    def run(self, tenant: Tenant, *, now: datetime, reason: str) -> Iterator[Sums]:
        """Rate a tenant's rows again; yield what each transaction changed.

        Args:
            tenant: whose rows.
            now: the current instant.
            reason: see `parse_reason`.

        Raises:
            UnavailableError: the ledger did not answer. What was written stays.
        """
        pages = Pages(Pricing(book=self._book, tenant=tenant).rates_of)
        is_closed = cache(lambda day: now >= closes_at(day, tenant))

        def write(place: Place | None) -> tuple[Sums, Place | None]:
            with tenant_session(self._engine, tenant.tenant_id, write=True) as session:
                lock_costing(session, now=None)
                rows, end = self._read_page(session, place)
                changes = pages.rate(rows)
                read_needed(session, (), pages.needed.values())
                write_page(session, changes)
                note_days(session, tenant, {change.row.date for change in changes}, now=now)
                closed = [change for change in changes if is_closed(change.row.date)]
                journal_page(session, closed, now=now, reason=reason)
            return sum_changes(changes), end

        place: Place | None = None
        while True:
            transaction = partial(insist, partial(write, place))
            sums, place = keeping_rates(partial(self._keep, now=now), transaction)
            yield sums
            if place is None:
                return

    def _read(self, session: TenantSession) -> Iterator[list[Row]]:
        place: Place | None = None
        while True:
            rows, place = self._read_page(session, place)
            yield rows
            if place is None:
                return

    def _read_page(
        self, session: TenantSession, place: Place | None
    ) -> tuple[list[Row], Place | None]:
        return read_page(
            session, session.tenant_id, self._scope.dates, model=self._scope.model, after=place
        )

    def _keep(self, rates: Iterable[Rates], *, now: datetime) -> None:
        with operator_session(self._engine, write=True) as session:
            keep_rates(session, rates, now=now)


def parse_reason(text: str) -> str:
    """Check why prices of the past change: 1 to 255 printable characters.

    Raises:
        InvalidError: `invalid_reason`.
    """
    reason = text.strip()
    if not 1 <= len(reason) <= MAX_REASON or not reason.isprintable():
        raise InvalidError(
            "invalid_reason",
            f"say why, in 1 to {MAX_REASON} printable characters on one line",
            key="reason",
            value=text,
        )
    return reason
