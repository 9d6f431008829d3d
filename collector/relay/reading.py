"""Turns what is due of one tenant into parcels, a short reading transaction each."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from collector.relay.days import read_due_days, read_due_rows, sum_days
from collector.relay.parcels import DayMark, EndOfBatch, Parcel, PartOfBatch, RowMark
from collector.relay.points import (
    MEASUREMENTS,
    TENANT_DAY,
    USAGE,
    USAGE_COST,
    Point,
    cost_point,
    day_point,
    to_stamp,
    usage_points,
)
from collector.relay.store import CALL_POINTS, list_batches, read_events, read_some_events
from ledger.session import tenant_session
from ledger.tenant import TenantId
from ledger.tenants import get_own_tenant

_USAGE = frozenset({USAGE})


@dataclass(frozen=True, kw_only=True, slots=True)
class Oldest:
    """From when on the buckets keep points; None: from ever on."""

    usage: datetime | None = None
    figures: datetime | None = None


def read_parcels(
    engine: sa.Engine,
    tenant_id: TenantId,
    oldest: Oldest,
    *,
    of: Collection[str] = MEASUREMENTS,
) -> Iterator[Parcel]:
    """Yield what is due of a tenant, each parcel once: figures of days first, then raw usage.

    Args:
        engine: of the ledger.
        tenant_id: the tenant.
        oldest: from when on the buckets keep points.
        of: these measurements alone.
    """
    figures = frozenset(of) - {USAGE}
    if figures:
        yield from _read_days(engine, tenant_id, oldest.figures, figures)
    if USAGE in of:
        yield from _read_batches(engine, tenant_id, oldest.usage)


def _read_days(
    engine: sa.Engine, tenant_id: TenantId, oldest: datetime | None, of: frozenset[str]
) -> Iterator[Parcel]:
    after = None
    while True:
        with tenant_session(engine, tenant_id) as session:
            days = read_due_days(session, of=of, after=after, points=CALL_POINTS)
            if not days:
                return
            tenant = get_own_tenant(session)
            rows = read_due_rows(session, days) if USAGE_COST in of else []
            sums = sum_days(session, days) if TENANT_DAY in of else {}
        after = max(days)
        points = [cost_point(tenant_id, days[row.key.date].plan, row) for row in rows]
        points += [
            day_point(tenant, day.plan, date, day.start, sums[date])
            for date, day in (days.items() if TENANT_DAY in of else ())
        ]
        yield _parcel(
            tenant_id,
            points,
            oldest,
            measurements=of,
            rows=tuple(RowMark(r.key.date, r.key.rollup_id, r.revision) for r in rows),
            days=tuple(DayMark(date, day.revision) for date, day in days.items()),
        )


def _read_batches(
    engine: sa.Engine, tenant_id: TenantId, oldest: datetime | None
) -> Iterator[Parcel]:
    after = -1
    while True:
        with tenant_session(engine, tenant_id) as session:
            waiting = list_batches(session, after=after)
        if not waiting:
            return
        chosen: list[int] = []
        events = 0
        for batch_id, count, shipped_until in waiting:
            if chosen and events + count > CALL_POINTS:
                yield _read_whole(engine, tenant_id, chosen, oldest)
                chosen, events = [], 0
            if count > CALL_POINTS:
                yield from _read_large(engine, tenant_id, batch_id, shipped_until or "", oldest)
            else:
                chosen.append(batch_id)
                events += count
            after = batch_id
        if chosen:
            yield _read_whole(engine, tenant_id, chosen, oldest)


def _read_whole(
    engine: sa.Engine, tenant_id: TenantId, batch_ids: list[int], oldest: datetime | None
) -> Parcel:
    with tenant_session(engine, tenant_id) as session:
        events = read_events(session, batch_ids)
    points = list(usage_points(tenant_id, events))
    return _parcel(tenant_id, points, oldest, measurements=_USAGE, batches=tuple(batch_ids))


def _read_large(
    engine: sa.Engine, tenant_id: TenantId, batch_id: int, after: str, oldest: datetime | None
) -> Iterator[Parcel]:
    while True:
        with tenant_session(engine, tenant_id) as session:
            events = read_some_events(session, batch_id, after=after)
        if not events:
            end = EndOfBatch(batch_id, after)
            yield Parcel(tenant_id=tenant_id, measurements=_USAGE, points=[], part=end)
            return
        part = PartOfBatch(batch_id, after, events[-1][0])
        after = part.until
        points = list(usage_points(tenant_id, events))
        yield _parcel(tenant_id, points, oldest, measurements=_USAGE, part=part)


def _parcel(
    tenant_id: TenantId, points: list[Point], oldest: datetime | None, **marks: Any
) -> Parcel:
    first = None if oldest is None else to_stamp(oldest)
    kept = points if first is None else [point for point in points if point.stamp >= first]
    expired = len(points) - len(kept)
    return Parcel(tenant_id=tenant_id, points=kept, expired=expired, **marks)
