"""Booking in SQL: the claim of an identity and the write of its event are one transaction."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from ledger.batches import add_batch
from ledger.event import Status, UsageEvent
from ledger.models import usage_metrics
from ledger.sequence import take_numbers
from ledger.session import TenantSession

UNKNOWN_FINGERPRINT = b"\x00"
"""Fingerprint of a row taken over from SP-3: nobody knows what was submitted."""

_COLUMNS = usage_metrics.c


def book_events(
    session: TenantSession, events: Sequence[UsageEvent], *, now: datetime
) -> list[Status]:
    """Book what is new of `events`; answer for each, in order.

    The transaction must be a writing one. It is committed by the caller; until then nothing is
    acknowledged.
    """
    known = _find_fingerprints(session, [event.event_id for event in events])
    new: list[UsageEvent] = []
    statuses: list[Status] = []
    for event in events:
        before = known.get(event.event_id)
        if before is None:
            known[event.event_id] = event.fingerprint
            new.append(event)
            statuses.append(Status.STORED)
        elif before in (event.fingerprint, UNKNOWN_FINGERPRINT):
            statuses.append(Status.DUPLICATE)
        else:
            statuses.append(Status.CONFLICT)
    if new:
        numbers = take_numbers(session.connection, len(new))
        add_batch(session, numbers[0], event_count=len(new), booked_at=now)
        _insert(session, new, numbers)
    return statuses


def _find_fingerprints(session: TenantSession, event_ids: list[str]) -> dict[str, bytes]:
    query = sa.select(_COLUMNS.event_id, _COLUMNS.fingerprint).where(
        _COLUMNS.tenant_id == session.tenant_id, _COLUMNS.event_id.in_(event_ids)
    )
    return {row.event_id: row.fingerprint for row in session.connection.execute(query)}


def _insert(session: TenantSession, events: Sequence[UsageEvent], numbers: range) -> None:
    batch_id = numbers[0]
    tenant_id = session.tenant_id
    rows: list[tuple[Any, ...]] = [
        (
            tenant_id,
            event.event_id,
            number,
            batch_id,
            event.fingerprint,
            # The driver's own text form of instants: SQLAlchemy's type would write the same.
            event.time.isoformat(" ", "microseconds")[:26],
            event.date.isoformat(),
            event.channel,
            event.direction,
            event.source,
            event.feature,
            event.model,
            event.price_class,
            *event.measures,
            event.derived,
            event.provisional,
            event.metadata,
        )
        for number, event in zip(numbers, events, strict=True)
    ]
    # Rows go to the driver as tuples: per-row parameter handling costs as much as the insert.
    session.connection.exec_driver_sql(_insert_statement(session.connection.dialect), rows)


@cache
def _insert_statement(dialect: sa.Dialect) -> str:
    return str(sa.insert(usage_metrics).compile(dialect=dialect))
