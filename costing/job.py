"""The costing job: turns booked batches into rollup rows, a tenant a transaction.

Work is proportional to new events, not to history. A batch and what it adds to the rollups are
finished in one transaction, so a killed worker leaves the batch as it found it.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import chain
from typing import NamedTuple, TypeVar

import sqlalchemy as sa

from costing.backpricing import Page, Place, backprice, list_unpriced_tenants
from costing.batches import cost_batches, cost_pending
from costing.hours import list_outgrown, prune_hours, rebuild_hours
from costing.looking import look
from costing.pricing.books import read_kept
from costing.pricing.card import Rates
from costing.pricing.flat import FlatMap
from costing.pricing.reader import BookReader
from costing.recompute import recompute
from costing.rollup import Pricing, Rater
from costing.store import Cause, lock_costing
from costing.waiting import Waiting
from costing.writing import keeping_rates, read_needed, write_changes
from ledger.batches import Claim, list_pending_tenants
from ledger.clock import Clock
from ledger.days import book_days
from ledger.engine import is_postgresql
from ledger.errors import UnavailableError
from ledger.session import BusyError, insist, operator_session, tenant_session
from ledger.shipping import does_ship
from ledger.tenant import TenantId
from ledger.tenants import get_tenant, list_tenants

TENANTS_AT_ONCE = 4
"""Tenants that one worker costs at a time on PostgreSQL, each in transactions of its own: while one
waits for its sums or for a commit, the others go on."""

_T = TypeVar("_T")


class Failure(NamedTuple):
    """A tenant whose usage could not be costed; it stays pending."""

    tenant_id: TenantId
    reason: str


class Outcome(NamedTuple):
    """What a costing run did.

    Attributes:
        batches: that were costed.
        backpriced: rows that had no price and have one now.
    """

    batches: int
    failures: tuple[Failure, ...] = ()
    backpriced: int = 0


class Costing:
    """Costs what was booked, and recomputes rollups on demand.

    Args:
        engine: of the ledger.
        flat: the flat map of prices in force.
        ships: InfluxDB is configured, so batches go on to the relay when they are costed. Of a
            ledger that ships already they do in any case.
    """

    def __init__(self, engine: sa.Engine, flat: FlatMap, *, ships: bool = False) -> None:
        self._engine = engine
        self._reader = BookReader(engine, flat)
        self._ships = ships
        self._waiting = Waiting()

    def run(self, *, clock: Clock, wait: bool = False) -> Outcome:
        """Cost everything that is pending, and of a tenant what was when its turn came.

        What goes wrong with one tenant stays with it.

        Args:
            clock: read in each transaction, since a day may close while many are done.
            wait: for tenants that another worker has at hand, so that nothing is left; if not,
                they are left to it.

        Raises:
            UnavailableError: the ledger did not answer.
        """
        with operator_session(self._engine) as session:
            newest, _ = self._reader.read(session)
            pending = list_pending_tenants(session)
            now = clock()
            unpriced = self._waiting.find(session, newest, now=now)
            outgrown = list_outgrown(session, now=now)
            ships = self._ships or does_ship(session)
        cost = partial(self._run_tenant, clock=clock, wait=wait, ships=ships)
        outcomes = self._run_all(pending, partial(self._try_tenant, cost))
        price = partial(self._backprice_tenant, newest=newest, clock=clock, wait=wait)
        priced = self._run_all(unpriced, partial(self._try_tenant, price))
        self._prune(outgrown, clock)
        failures = chain.from_iterable(outcome.failures for outcome in (*outcomes, *priced))
        return Outcome(
            sum(outcome.batches for outcome in outcomes),
            tuple(failures),
            sum(outcome.backpriced for outcome in priced),
        )

    def backprice(self, *, clock: Clock) -> Outcome:
        """Price what has no price and can have one now, as every run does when a price has come.

        Tenants that somebody has at hand are waited for.

        Args:
            clock: see `run`.

        Raises:
            UnavailableError: the ledger did not answer.
        """
        with operator_session(self._engine) as session:
            newest, _ = self._reader.read(session)
            unpriced = list_unpriced_tenants(session)
        price = partial(self._backprice_tenant, newest=newest, clock=clock, wait=True)
        priced = self._run_all(unpriced, partial(self._try_tenant, price))
        failures = chain.from_iterable(outcome.failures for outcome in priced)
        return Outcome(0, tuple(failures), sum(outcome.backpriced for outcome in priced))

    def rebuild(
        self,
        tenant_id: TenantId | None = None,
        *,
        lost_version: str | None = None,
        clock: Clock,
    ) -> int:
        """Recompute rollups from raw usage, of one tenant or of all; return the rows mended.

        Rows of hours are counted, too.

        Args:
            tenant_id: the tenant, or None for all.
            lost_version: price version of rows that are gone and that the journal does not know.
            clock: see `run`.

        Raises:
            ConflictError: `ambiguous_price_version`, where a row is gone and one price or another
                may have rated it.
            MissingError: `unknown_price_version`, where a row names rates that are not kept.
        """
        with operator_session(self._engine) as session:
            if lost_version is not None:
                read_kept(session, {lost_version}).of_version(lost_version)
            if tenant_id is None:
                tenants = list_tenants(session)
            else:
                tenants = [get_tenant(session, tenant_id)]
            ships = self._ships or does_ship(session)
        return sum(
            self._rebuild_tenant(
                tenant.tenant_id, lost_version=lost_version, clock=clock, ships=ships
            )
            for tenant in tenants
        )

    def _run_all(
        self, tenant_ids: Sequence[TenantId], cost: Callable[[TenantId], Outcome]
    ) -> list[Outcome]:
        """Cost tenants, several at once where the database lets them."""
        if not is_postgresql(self._engine):
            return [cost(tenant_id) for tenant_id in tenant_ids]
        with ThreadPoolExecutor(_at_once(self._engine)) as threads:
            tasks = [threads.submit(cost, tenant_id) for tenant_id in tenant_ids]
            try:
                return [task.result() for task in tasks]
            finally:
                for task in tasks:
                    task.cancel()  # the ledger does not answer: the others would wait for it, too

    def _try_tenant(self, do: Callable[[TenantId], Outcome], tenant_id: TenantId) -> Outcome:
        try:
            return do(tenant_id)
        except Exception as error:
            if isinstance(error, UnavailableError) and not isinstance(error, BusyError):
                raise
            # Whatever it is, the next tenant is not to wait.
            return Outcome(0, (Failure(tenant_id, f"{type(error).__name__}: {error}"),))

    def _run_tenant(self, tenant_id: TenantId, *, clock: Clock, wait: bool, ships: bool) -> Outcome:
        """Cost what is pending of a tenant, some of it in each transaction."""

        def cost_some(until: int | None) -> Claim:
            with tenant_session(self._engine, tenant_id, write=True) as session:
                if not lock_costing(session, wait=wait):
                    return Claim([], None)
                look_now = partial(self._look, tenant_id, clock)
                return cost_batches(session, look_now, until, ships=ships)

        return Outcome(cost_pending(lambda until: self._write(partial(cost_some, until), clock)))

    def _backprice_tenant(
        self, tenant_id: TenantId, *, newest: int, clock: Clock, wait: bool
    ) -> Outcome:
        """Look through a tenant's unpriced rows, from where the last run left them on."""

        def price_some(after: Place | None) -> Page | None:
            with tenant_session(self._engine, tenant_id, write=True) as session:
                if not lock_costing(session, wait=wait):
                    return None
                pricing, now = self._look(tenant_id, clock)
                return backprice(session, pricing, after=after, now=now)

        rows = 0
        place = self._waiting.place(tenant_id, newest)
        while page := self._write(partial(price_some, place), clock):
            rows, place = rows + page.priced, page.end
            self._waiting.note(tenant_id, newest, place)
            if place is None:
                break
        return Outcome(0, backpriced=rows)

    def _prune(self, tenant_ids: Sequence[TenantId], clock: Clock) -> None:
        for tenant_id in tenant_ids:
            # Whoever is in the way: the next run comes by again.
            with (
                suppress(BusyError),
                tenant_session(self._engine, tenant_id, write=True) as session,
            ):
                if lock_costing(session, wait=False):
                    prune_hours(session, now=clock())

    def _rebuild_tenant(
        self, tenant_id: TenantId, *, lost_version: str | None, clock: Clock, ships: bool
    ) -> int:
        def repair() -> int:
            with tenant_session(self._engine, tenant_id, write=True) as session:
                lock_costing(session)
                look_now = partial(self._look, tenant_id, clock)
                cost_pending(partial(cost_batches, session, look_now, ships=ships))
                pricing, now = look_now()
                tenant = pricing.tenant
                rater = Rater(pricing=pricing, kept=read_kept(session))
                found = recompute(session, rater, lost_version=lost_version)
                read_needed(session, (), found.lost)
                book_days(session, tenant, (key.date for key in found.rows), now=now)
                write_changes(session, tenant, found.changes, cause=Cause.REPAIR, now=now)
                rows = {
                    **found.rows,
                    **{change.after.key: change.after for change in found.changes},
                }
                return len(found.changes) + rebuild_hours(session, rows.values(), now=now)

        # What has piled up is costed in short transactions; little is left for the long one.
        self._run_tenant(tenant_id, clock=clock, wait=True, ships=ships)
        return self._write(repair, clock)

    def _look(self, tenant_id: TenantId, clock: Clock) -> tuple[Pricing, datetime]:
        """Return what a tenant pays and the instant; see `look`."""
        return look(self._engine, tenant_id, self._reader.find_book), clock()

    def _write(self, transaction: Callable[[], _T], clock: Clock) -> _T:
        def keep(rates: Iterable[Rates]) -> None:
            self._reader.keep(rates, now=clock())

        return keeping_rates(keep, partial(insist, transaction))


def _at_once(engine: sa.Engine) -> int:
    """Return how many tenants are costed at once: as many as two connections each are kept for.

    Each has two for a moment: its own, and one that looks at the prices.
    """
    pool = engine.pool
    kept = pool.size() if isinstance(pool, sa.QueuePool) else 1
    return min(TENANTS_AT_ONCE, max(kept // 2, 1))
