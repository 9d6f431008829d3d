"""Booked batches: what was booked and not yet costed. A row is there exactly as long as that."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from ledger.columns import is_among, whole_sum
from ledger.models import costing_state, unshipped_batches, usage_batches
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId

OPENING_BATCH = 0
"""Batch of the raw rows that an opening balance already contains: they are never costed again."""


CLAIM_BATCHES = 1000
"""Most batches claimed at once, so that their numbers fit into one statement."""


class Backlog(NamedTuple):
    """What waits for costing: batches, their events, and when the oldest was booked."""

    batches: int
    events: int
    oldest: datetime | None


class Claim(NamedTuple):
    """Batches to cost, and the newest one that was pending when the first of them were claimed."""

    batch_ids: list[int]
    until: int | None


def add_batch(
    session: TenantSession, batch_id: int, *, event_count: int, booked_at: datetime
) -> None:
    """Announce a batch in the transaction that books its events."""
    session.connection.execute(
        sa.insert(usage_batches).values(
            tenant_id=session.tenant_id,
            batch_id=batch_id,
            event_count=event_count,
            booked_at=booked_at,
        )
    )


def list_pending_tenants(session: OperatorSession) -> list[TenantId]:
    """Return the tenants that have batches to cost, ordered, so that workers lock in one order."""
    query = sa.select(usage_batches.c.tenant_id).distinct().order_by(usage_batches.c.tenant_id)
    return list(session.connection.execute(query).scalars())


def claim_batches(session: TenantSession, *, max_events: int, until: int | None = None) -> Claim:
    """Claim pending batches of the tenant, oldest first: one at least, up to `max_events`.

    Args:
        session: of the tenant, writing.
        max_events: where to stop, unless a single batch is larger.
        until: the newest batch that is claimed; None: the newest that there is.
    """
    query = (
        sa.select(usage_batches.c.batch_id, usage_batches.c.event_count, _newest(session, until))
        .where(usage_batches.c.tenant_id == session.tenant_id)
        .order_by(usage_batches.c.batch_id)
        .limit(CLAIM_BATCHES)
    )
    if until is not None:
        query = query.where(usage_batches.c.batch_id <= until)
    claimed: list[int] = []
    events = 0
    for batch_id, event_count, newest in session.connection.execute(query):
        until = newest
        events += event_count
        if claimed and events > max_events:
            break
        claimed.append(batch_id)
    return Claim(claimed, until)


def _newest(session: TenantSession, until: int | None) -> sa.ColumnElement[int]:
    if until is not None:
        return sa.literal(until, sa.BigInteger)
    others = usage_batches.alias()
    newest = sa.select(sa.func.max(others.c.batch_id))
    return newest.where(others.c.tenant_id == session.tenant_id).scalar_subquery()


def finish_batches(session: TenantSession, batch_ids: Iterable[int], *, ships: bool) -> None:
    """Mark batches done by taking their rows away, in the transaction that costed them.

    Args:
        session: of the tenant, writing.
        batch_ids: what was costed.
        ships: hand them to the relay, which has to ship their events.
    """
    done = (
        usage_batches.c.tenant_id == session.tenant_id,
        is_among(usage_batches.c.batch_id, batch_ids, session.connection),
    )
    if ships:
        columns = ("tenant_id", "batch_id", "event_count", "booked_at")
        costed = sa.select(*(usage_batches.c[name] for name in columns)).where(*done)
        session.connection.execute(sa.insert(unshipped_batches).from_select(columns, costed))
    session.connection.execute(sa.delete(usage_batches).where(*done))


def measure_backlog(
    session: TenantSession | OperatorSession, tenant_id: TenantId | None = None
) -> Backlog:
    """Return what waits: to an operator of one tenant or of all, to a tenant of itself alone."""
    if isinstance(session, TenantSession):
        tenant_id = session.tenant_id
    query = sa.select(
        sa.func.count(),
        sa.func.coalesce(whole_sum(usage_batches.c.event_count), 0),
        sa.func.min(usage_batches.c.booked_at),
    )
    if tenant_id is not None:
        query = query.where(usage_batches.c.tenant_id == tenant_id)
    batches, events, oldest = session.connection.execute(query).one()
    return Backlog(batches=batches, events=events, oldest=oldest)


def read_last_costed(session: OperatorSession) -> datetime | None:
    """Return when usage of any tenant was last costed, or None where none ever was."""
    query = sa.select(sa.func.max(costing_state.c.costed_at))
    costed_at: datetime | None = session.connection.execute(query).scalar_one()
    return costed_at
