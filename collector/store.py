"""Booking in SQL: the claim of an identity and the write of its event are one transaction."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from collector.facts.reconcile import reconcile_batch
from collector.insert import INSERT_ALONE, alone_values, insert_events
from ledger.batches import add_batch
from ledger.engine import is_postgresql
from ledger.event import UNKNOWN_FINGERPRINT, Status, UsageEvent
from ledger.models import (
    BOOKING_SEQUENCE,
    usage_balances,
    usage_batches,
    usage_metrics,
    usage_tombstones,
)
from ledger.one_message import tell
from ledger.sequence import take_numbers
from ledger.session import TenantSession
from ledger.tenant import TenantId

_COLUMNS = usage_metrics.c
_TOMBSTONES = usage_tombstones.c
# Scalar subqueries, since PostgreSQL turns EXISTS into a join and then reads all tombstones of a
# tenant: 55 ms for 1,000 events and 200,000 tombstones, where looking each id up takes 2.
_ANY_TOMBSTONE = (
    sa.select(_TOMBSTONES.event_id)
    .where(_TOMBSTONES.tenant_id == sa.bindparam("tenant"))
    .order_by(_TOMBSTONES.event_id)
    .limit(1)
    .scalar_subquery()
)
_OWN_TOMBSTONE = (
    sa.select(_TOMBSTONES.event_id)
    .where(_TOMBSTONES.tenant_id == _COLUMNS.tenant_id, _TOMBSTONES.event_id == _COLUMNS.event_id)
    .scalar_subquery()
)
_BATCH = sa.bindparam("batch", type_=sa.BigInteger)
_WITHDRAW = sa.delete(usage_metrics).where(
    _COLUMNS.tenant_id == sa.bindparam("tenant"),
    # A batch is never NULL. As a condition of its own, "has any" is asked anew for every row.
    _COLUMNS.batch_id == sa.case((_ANY_TOMBSTONE.is_not(None), _BATCH)),
    _OWN_TOMBSTONE.is_not(None),
)

# The same steps for an event that is alone. Its key is at hand, so that none of them looks further.
# A statement sees what was committed before it began, as in a transaction of its own. Where there
# is a tombstone, or a fact of the usage, the second one breaks a constraint and with that takes
# back the first.
_ALONE = (
    INSERT_ALONE,
    (
        f"INSERT INTO {usage_batches.name} (tenant_id, batch_id, event_count, booked_at)"
        " SELECT tenant_id, batch_id,"
        f" CASE WHEN EXISTS (SELECT FROM {usage_tombstones.name} AS t"
        " WHERE t.tenant_id = %(tenant_id)s AND t.event_id = %(event_id)s)"
        f" OR %(channel)s <> 'ai' AND EXISTS (SELECT FROM {usage_balances.name} AS b"
        " WHERE b.tenant_id = %(tenant_id)s AND b.usage_id = %(event_id)s) THEN NULL ELSE 1 END,"
        f" %(now)s FROM {usage_metrics.name}"
        " WHERE tenant_id = %(tenant_id)s AND event_id = %(event_id)s"
        f" AND id = currval('{BOOKING_SEQUENCE}')"
    ),
)


def book_events(
    session: TenantSession, events: Sequence[UsageEvent], *, now: datetime
) -> list[Status]:
    """Book what is new of `events`; answer for each, in order.

    The transaction must be a writing one. It is committed by the caller; until then nothing is
    acknowledged. A duplicate uses up a booking number: numbers are unique and growing, not dense.
    """
    numbers = take_numbers(session.connection, len(events))
    stored = insert_events(session, events, numbers)
    if stored:
        stored -= _withdraw(session, numbers[0])
    if stored:
        may_be_told = any(event.channel != "ai" for event in events)
        corrections = reconcile_batch(session, numbers[0]) if may_be_told else 0
        add_batch(session, numbers[0], event_count=stored + corrections, booked_at=now)
    if stored == len(events):  # nearly always: nothing has to be looked up
        return [Status.STORED] * stored
    booked = _find_booked(session, [event.event_id for event in events])
    return [
        _status(event, number, *booked[event.event_id])
        for event, number in zip(events, numbers, strict=True)
    ]


def book_alone(engine: sa.Engine, tenant_id: TenantId, event: UsageEvent, *, now: datetime) -> bool:
    """Book one event in one message to PostgreSQL; tell whether that is known to be done.

    If not, the event has to go through `book_events`, which finds out what it is. That may be a
    duplicate of itself, where the connection died after the commit.
    """
    if not is_postgresql(engine):
        return False
    values = {**alone_values(tenant_id, event), "now": now}
    try:
        return tell(engine, tenant_id, _ALONE, values, order=event.event_id) == [1, 1]
    except IntegrityError:
        return False


def _status(event: UsageEvent, number: int, booked_as: int | None, fingerprint: bytes) -> Status:
    if booked_as == number:
        return Status.STORED
    known = fingerprint in (event.fingerprint, UNKNOWN_FINGERPRINT)
    return Status.DUPLICATE if known else Status.CONFLICT


def _withdraw(session: TenantSession, batch_id: int) -> int:
    """Take back those events of a new batch whose id has a tombstone; return how many.

    Comes after the insert, never before: retention may take a raw row while we wait for its id, and
    then only a statement that begins later sees the tombstone. A tenant without any pays for one
    look into the index, the others for one a new event.
    """
    values = {"tenant": session.tenant_id, "batch": batch_id}
    return session.connection.execute(_WITHDRAW, values).rowcount


def _find_booked(
    session: TenantSession, event_ids: list[str]
) -> dict[str, tuple[int | None, bytes]]:
    """Return number and fingerprint under which these ids are booked; no number: a tombstone.

    Raw rows and tombstones are read in one statement, so that none is missed on its way.
    """
    raw = sa.select(_COLUMNS.event_id, _COLUMNS.id, _COLUMNS.fingerprint).where(
        _COLUMNS.tenant_id == session.tenant_id, _COLUMNS.event_id.in_(event_ids)
    )
    taken = sa.select(_TOMBSTONES.event_id, sa.null(), _TOMBSTONES.fingerprint).where(
        _TOMBSTONES.tenant_id == session.tenant_id, _TOMBSTONES.event_id.in_(event_ids)
    )
    rows = session.connection.execute(raw.union_all(taken))
    return {event_id: (number, fingerprint) for event_id, number, fingerprint in rows}
