"""The costing job: turns booked batches into rollup rows, a tenant a transaction.

Work is proportional to new events, not to history. A batch and what it adds to the rollups are
finished in one transaction, so a killed worker leaves the batch as it found it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from itertools import chain
from typing import NamedTuple

import sqlalchemy as sa

from costing.books import read_books, register_book
from costing.prices import PriceBook
from costing.recompute import Change, recompute
from costing.rollup import Rater
from costing.store import Cause, append_journal, lock_costing, sum_batches
from ledger.batches import Claim, claim_batches, finish_batches, list_pending_tenants
from ledger.days import book_days, note_days
from ledger.engine import is_postgresql
from ledger.errors import UnavailableError
from ledger.models import usage_rollups_daily
from ledger.period import closes_at
from ledger.rollups import RollupKey, RollupRow, Tally, read_rollups, write_rollups
from ledger.session import BusyError, TenantSession, insist, operator_session, tenant_session
from ledger.tenant import Tenant, TenantId
from ledger.tenants import find_tenants, get_tenant, list_tenants

CLAIM_EVENTS = 20_000
"""Most events costed in one transaction, unless a single batch is larger."""

TENANTS_AT_ONCE = 4
"""Tenants that one worker costs at a time on PostgreSQL, each in transactions of its own: while one
waits for its sums or for a commit, the others go on."""

_READ_AT_ONCE = 500


class Failure(NamedTuple):
    """A tenant whose usage could not be costed; it stays pending."""

    tenant_id: TenantId
    reason: str


class Outcome(NamedTuple):
    """What a costing run did."""

    batches: int
    failures: tuple[Failure, ...] = ()


class Costing:
    """Costs what was booked, and recomputes rollups on demand.

    Args:
        engine: of the ledger.
        book: the price book in force.
        ships: InfluxDB is configured, so batches go on to the relay when they are costed.
    """

    def __init__(self, engine: sa.Engine, book: PriceBook, *, ships: bool = False) -> None:
        self._engine = engine
        self._book = book
        self._ships = ships

    def run(self, *, now: datetime, wait: bool = False) -> Outcome:
        """Cost everything that is pending, and of a tenant what was when its turn came.

        What goes wrong with one tenant stays with it.

        Args:
            now: the current instant.
            wait: for tenants that another worker has at hand, so that nothing is left; if not,
                they are left to it.

        Raises:
            UnavailableError: the ledger did not answer.
        """
        with operator_session(self._engine) as session:
            pending = list_pending_tenants(session)
        if pending:
            self._register(now=now)
        outcomes = self._run_all(pending, partial(self._try_tenant, now=now, wait=wait))
        failures = chain.from_iterable(outcome.failures for outcome in outcomes)
        return Outcome(sum(outcome.batches for outcome in outcomes), tuple(failures))

    def rebuild(
        self,
        tenant_id: TenantId | None = None,
        *,
        lost_version: str | None = None,
        now: datetime,
    ) -> int:
        """Recompute rollups from raw usage, of one tenant or of all; return the rows mended.

        Args:
            tenant_id: the tenant, or None for all.
            lost_version: price version of rows that are gone and that the journal does not know.
            now: the current instant.

        Raises:
            ConflictError: `ambiguous_price_version`, where a row is gone and several books may
                have rated it.
            MissingError: `unknown_price_version`, where a row names a book that is not kept.
        """
        self._register(now=now)
        with operator_session(self._engine) as session:
            if lost_version is not None:
                read_books(session, self._book).of_version(lost_version)
            if tenant_id is None:
                tenants = list_tenants(session)
            else:
                tenants = [get_tenant(session, tenant_id)]
        return sum(
            self._rebuild_tenant(tenant, lost_version=lost_version, now=now) for tenant in tenants
        )

    def _register(self, *, now: datetime) -> None:
        with operator_session(self._engine) as session:
            registered = read_books(session, self._book).is_registered
        if not registered:
            with operator_session(self._engine, write=True) as session:
                register_book(session, self._book, now=now)

    def _run_all(
        self, tenant_ids: Sequence[TenantId], cost: Callable[[TenantId, Tenant | None], Outcome]
    ) -> list[Outcome]:
        """Cost tenants, several at once where the database lets them."""
        if not is_postgresql(self._engine):
            return [cost(*each) for each in self._read_tenants(tenant_ids)]
        with ThreadPoolExecutor(_at_once(self._engine)) as threads:
            tasks = [threads.submit(cost, *each) for each in self._read_tenants(tenant_ids)]
            try:
                return [task.result() for task in tasks]
            finally:
                for task in tasks:
                    task.cancel()  # the ledger does not answer: the others would wait for it, too

    def _read_tenants(
        self, tenant_ids: Sequence[TenantId]
    ) -> Iterator[tuple[TenantId, Tenant | None]]:
        for start in range(0, len(tenant_ids), _READ_AT_ONCE):
            part = tenant_ids[start : start + _READ_AT_ONCE]
            with operator_session(self._engine) as session:
                found = find_tenants(session, set(part))
            yield from ((tenant_id, found.get(tenant_id)) for tenant_id in part)

    def _try_tenant(
        self, tenant_id: TenantId, tenant: Tenant | None, *, now: datetime, wait: bool
    ) -> Outcome:
        if tenant is None:
            return Outcome(0, (Failure(tenant_id, "it is not registered"),))
        try:
            return Outcome(self._run_tenant(tenant, now=now, wait=wait))
        except Exception as error:
            if isinstance(error, UnavailableError) and not isinstance(error, BusyError):
                raise
            # Whatever it is, the next tenant is not to wait.
            return Outcome(0, (Failure(tenant_id, f"{type(error).__name__}: {error}"),))

    def _run_tenant(self, tenant: Tenant, *, now: datetime, wait: bool) -> int:
        """Cost what is pending of a tenant, some of it in each transaction; return the batches."""

        def cost_some(until: int | None) -> Claim:
            with tenant_session(self._engine, tenant.tenant_id, write=True) as session:
                if not lock_costing(session, now=now, wait=wait):
                    return Claim([], None)
                rater = self._rater(session, tenant)
                return _cost_batches(session, rater, until, ships=self._ships, now=now)

        return _cost_pending(lambda until: insist(partial(cost_some, until)))

    def _rater(self, session: TenantSession, tenant: Tenant) -> Rater:
        return Rater(books=read_books(session, self._book), tenant=tenant)

    def _rebuild_tenant(self, tenant: Tenant, *, lost_version: str | None, now: datetime) -> int:
        def repair() -> int:
            with tenant_session(self._engine, tenant.tenant_id, write=True) as session:
                lock_costing(session, now=now)
                rater = self._rater(session, tenant)
                _cost_pending(partial(_cost_batches, session, rater, ships=self._ships, now=now))
                found = recompute(session, rater, lost_version=lost_version)
                book_days(session, tenant, (key.date for key in found.rows))
                _write(session, tenant, found.changes, cause=Cause.REPAIR, now=now)
                return len(found.changes)

        # What has piled up is costed in short transactions; little is left for the long one.
        self._run_tenant(tenant, now=now, wait=True)
        return insist(repair)


def _at_once(engine: sa.Engine) -> int:
    """Return how many tenants are costed at once: no more than the process keeps connections."""
    pool = engine.pool
    kept = pool.size() if isinstance(pool, sa.QueuePool) else 1
    return min(TENANTS_AT_ONCE, kept)


def _cost_pending(cost_some: Callable[[int | None], Claim]) -> int:
    """Cost what was pending at first; what is booked meanwhile is for the next pass.

    So a tenant that is booked all the time keeps no other one waiting.
    """
    done = 0
    until: int | None = None
    while True:
        batch_ids, until = cost_some(until)
        done += len(batch_ids)
        if not batch_ids or batch_ids[-1] == until:
            return done


def _cost_batches(
    session: TenantSession, rater: Rater, until: int | None, *, ships: bool, now: datetime
) -> Claim:
    claim = claim_batches(session, max_events=CLAIM_EVENTS, until=until)
    if not claim.batch_ids:
        return claim
    # Corrections come second, and what they change is journalled by itself.
    for cause, sums in sum_batches(session, claim.batch_ids).items():
        if sums:
            rows = _read_touched(session, sums)
            changes = [
                Change(rows.get(key), rater.add_usage(rows.get(key), key, tally))
                for key, tally in sums.items()
            ]
            _write(session, rater.tenant, changes, cause=cause, now=now)
    finish_batches(session, claim.batch_ids, ships=ships)
    return claim


def _read_touched(
    session: TenantSession, sums: Mapping[RollupKey, Tally]
) -> dict[RollupKey, RollupRow]:
    columns = usage_rollups_daily.c
    dates = sorted({key.date for key in sums})
    ids = sorted({key.rollup_id for key in sums})
    return read_rollups(session, columns.date.in_(dates), columns.rollup_id.in_(ids))


def _write(
    session: TenantSession,
    tenant: Tenant,
    changes: Sequence[Change],
    *,
    cause: Cause,
    now: datetime,
) -> None:
    write_rollups(session, [change.after for change in changes])
    note_days(session, tenant, (change.after.key.date for change in changes))
    closed = [change for change in changes if now >= closes_at(change.after.key.date, tenant)]
    append_journal(
        session, [(change.before, change.after) for change in closed], cause=cause, now=now
    )
