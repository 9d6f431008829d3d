"""The repricing of rollup rows: a page a transaction, so that a killed one goes on where it was."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

import sqlalchemy as sa

from costing.looking import FindBook, look
from costing.pricing.books import keep_rates
from costing.pricing.card import Rates
from costing.repricing.changes import PageChanges
from costing.repricing.multiplying import multiplier_values
from costing.repricing.page import Ratings, Sums, sum_changes
from costing.repricing.store import Page, Place, find_page, is_on, read_kinds, read_rows
from costing.store import lock_costing
from costing.writing import keeping_rates, read_needed
from ledger.clock import Clock
from ledger.days import note_days
from ledger.errors import InvalidError
from ledger.period import DateRange, closes_at
from ledger.rollups import RollupKey
from ledger.session import TenantSession, insist, operator_session, tenant_session
from ledger.tenant import TenantId

MAX_REASON = 255


class Scope(NamedTuple):
    """Which rows are rated again.

    Attributes:
        dates: local dates of each tenant.
        model: only rows of this model; None: all rows.
    """

    dates: DateRange
    model: str | None = None

    def has(self, key: RollupKey) -> bool:
        """Whether a row of a tenant that is repriced is among them."""
        within = self.dates.start <= key.date < self.dates.end
        return within and self.model in {None, key.model}


class Repricing:
    """Rates rows again by a price book.

    Args:
        engine: of the ledger.
        find_book: returns the book by which rows are rated, as it is in each transaction.
        scope: which rows.
    """

    def __init__(self, engine: sa.Engine, find_book: FindBook, scope: Scope) -> None:
        self._engine = engine
        self._find_book = find_book
        self._scope = scope

    def preview(self, tenant_id: TenantId) -> Sums:
        """Return what a repricing of a tenant would come to, and change nothing.

        Raises:
            MissingError: `unknown_tenant`.
        """
        ratings = Ratings(look(self._engine, tenant_id, self._find_book).rates_of)
        sums = Sums()
        place: Place | None = None
        with tenant_session(self._engine, tenant_id) as session:
            while True:
                page = self._find_page(session, place)
                changes = ratings.rate(read_rows(session, *is_on(session, page)))
                sums, place = sums.plus(sum_changes(changes)), page.end
                if place is None:
                    return sums

    def run(self, tenant_id: TenantId, *, clock: Clock, reason: str) -> Iterator[Sums]:
        """Rate a tenant's rows again; yield what each transaction changed.

        Args:
            tenant_id: whose rows.
            clock: read in each transaction, since a day may close while many are done.
            reason: see `parse_reason`.

        Raises:
            MissingError: `unknown_tenant`.
            UnavailableError: the ledger did not answer. What was written stays.
        """

        def write(place: Place | None) -> tuple[Sums, Place | None]:
            with tenant_session(self._engine, tenant_id, write=True) as session:
                lock_costing(session)
                pricing, now = look(self._engine, tenant_id, self._find_book), clock()
                tenant = pricing.tenant
                page = self._find_page(session, place)
                changes = _find_changes(session, Ratings(pricing.rates_of), page)
                sums = changes.sum()
                if sums.rows:
                    changes.write()
                    dates = changes.dates()
                    note_days(session, tenant, dates, now=now)
                    closed = [day for day in dates if now >= closes_at(day, tenant)]
                    if closed:
                        changes.journal(until=max(closed), count=sums.rows, now=now, reason=reason)
                changes.clear()
            return sums, page.end

        place: Place | None = None
        while True:
            transaction = partial(insist, partial(write, place))
            sums, place = keeping_rates(partial(self._keep, clock), transaction)
            yield sums
            if place is None:
                return

    def _find_page(self, session: TenantSession, after: Place | None) -> Page:
        return find_page(session, self._scope.dates, model=self._scope.model, after=after)

    def _keep(self, clock: Clock, rates: Iterable[Rates]) -> None:
        with operator_session(self._engine, write=True) as session:
            keep_rates(session, rates, now=clock())


def _find_changes(session: TenantSession, ratings: Ratings, page: Page) -> PageChanges:
    """Return what changes of a page.

    Raises:
        UnkeptError: where rates that rows take have to be kept first.
    """
    ready = {kind: ratings.of(kind) for kind in read_kinds(session, page)}
    changes = PageChanges(session)
    changes.find(page, [multiplier_values(kind, *found) for kind, found in ready.items()])
    if beyond := changes.read_beyond():
        changes.put_beyond(ratings.rate(beyond))
    by_version = {rates.price_version: rates for rates, _ in ready.values()}
    read_needed(session, (), [by_version[version] for version in changes.versions()])
    return changes


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
