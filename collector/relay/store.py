"""The SQL of the relay: what is due of a tenant, read; what was shipped, marked."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from collector.relay.parcels import DayMark, Delivered, Parcel, PartOfBatch, RowMark
from collector.relay.points import EVENT_COLUMNS, NANOS_A_SECOND
from ledger.columns import epoch_seconds, is_among
from ledger.models import (
    quarantined_points,
    relay_state,
    unshipped_batches,
    usage_metrics,
    usage_rollups_daily,
    usage_tenant_days,
)
from ledger.session import OperatorSession, TenantSession
from ledger.shipping import is_day_due
from ledger.tenant import TenantId

CALL_POINTS = 5000
"""About how many points go to InfluxDB in one call: what its makers found to be best."""

Events = Sequence[tuple[Any, ...]]

_RAW = usage_metrics.c
_BATCH = unshipped_batches.c
_ROW = usage_rollups_daily.c
_DAY = usage_tenant_days.c
_REFUSED = quarantined_points.c
_STAMP = (
    epoch_seconds(_RAW.time) * sa.literal_column(str(NANOS_A_SECOND), sa.BigInteger)
    + _RAW.id % sa.literal_column(str(NANOS_A_SECOND), sa.BigInteger)
).label("stamp")
_EVENT = [_STAMP if name == "stamp" else _RAW[name] for name in EVENT_COLUMNS]


class Waiting(NamedTuple):
    """A batch to ship; `shipped_until` is the id up to which a large one is shipped already."""

    batch_id: int
    event_count: int
    shipped_until: str | None


def list_due_tenants(session: OperatorSession) -> list[TenantId]:
    """Return the tenants of which something is to be shipped, ordered; takes no locks."""
    query = sa.union(
        sa.select(_BATCH.tenant_id).distinct(),
        sa.select(_DAY.tenant_id).distinct().where(is_day_due()),
    )
    return sorted(session.connection.execute(query).scalars())


def list_batches(session: TenantSession, *, after: int) -> list[Waiting]:
    """Return some batches to ship, oldest first."""
    query = (
        sa.select(_BATCH.batch_id, _BATCH.event_count, _BATCH.shipped_until)
        .where(_BATCH.tenant_id == session.tenant_id, _BATCH.batch_id > after)
        .order_by(_BATCH.batch_id)
        .limit(CALL_POINTS)
    )
    return [Waiting(*row) for row in session.connection.execute(query)]


def read_events(session: TenantSession, batch_ids: Sequence[int]) -> Events:
    """Return all events of a few batches as `EVENT_COLUMNS`."""
    query = sa.select(*_EVENT).where(
        _RAW.tenant_id == session.tenant_id,
        # Without the range SQLite may read all usage of the tenant.
        _RAW.batch_id.between(min(batch_ids), max(batch_ids)),
        is_among(_RAW.batch_id, batch_ids, session.connection),
    )
    return _tuples(session, query)


def read_some_events(session: TenantSession, batch_id: int, *, after: str) -> Events:
    """Return the next events of a large batch, in the order of their ids."""
    query = (
        sa.select(*_EVENT)
        .where(
            _RAW.tenant_id == session.tenant_id,
            # An expression, so that the events are read in the order of the key and not sorted:
            # such a batch is all that a tenant had before there was Meterline.
            _RAW.batch_id + 0 == batch_id,
            _RAW.event_id > after,
        )
        .order_by(_RAW.event_id)
        .limit(CALL_POINTS)
    )
    return _tuples(session, query)


def _tuples(session: TenantSession, query: sa.Select[Any]) -> Events:
    # As the driver returns them: they are numbers and texts, and rows that can be read by name take
    # a tenth of the relay's time.
    return session.connection.execute(query).cursor.fetchall()


def mark_shipped(
    session: TenantSession, parcels: Sequence[Parcel], delivered: Delivered, now: datetime
) -> None:
    """Mark parcels of a tenant as shipped. The caller holds its lease in this transaction.

    Rows are locked as costing locks them: in the order of their keys, and before any day.
    """
    for parcel in parcels:
        _mark_batches(session, parcel.batches, parcel.part)
    _mark_rows(session, sorted(row for parcel in parcels for row in parcel.rows))
    _mark_days(session, sorted(day for parcel in parcels for day in parcel.days))
    _quarantine(session, parcels, delivered, now)
    expired = delivered.expired + sum(parcel.expired for parcel in parcels)
    if expired:
        session.connection.execute(
            sa.update(relay_state)
            .where(relay_state.c.tenant_id == session.tenant_id)
            .values(expired_count=relay_state.c.expired_count + expired)
        )


def _mark_batches(session: TenantSession, batches: Sequence[int], part: PartOfBatch | None) -> None:
    if batches:
        session.connection.execute(
            sa.delete(unshipped_batches).where(
                _BATCH.tenant_id == session.tenant_id,
                is_among(_BATCH.batch_id, batches, session.connection),
            )
        )
    if part is not None:
        session.connection.execute(
            sa.update(unshipped_batches)
            .where(_BATCH.tenant_id == session.tenant_id, _BATCH.batch_id == part.batch_id)
            .values(shipped_until=part.until)
        )


def _mark_rows(session: TenantSession, rows: Sequence[RowMark]) -> None:
    if rows:
        session.connection.execute(
            sa.update(usage_rollups_daily)
            .where(
                _ROW.tenant_id == session.tenant_id,
                _ROW.date == sa.bindparam("of_date"),
                _ROW.rollup_id == sa.bindparam("of_id"),
            )
            .values(shipped_revision=sa.bindparam("sent")),
            [{"of_date": m.date, "of_id": m.rollup_id, "sent": m.revision} for m in rows],
        )


def _mark_days(session: TenantSession, days: Sequence[DayMark]) -> None:
    if days:
        session.connection.execute(
            sa.update(usage_tenant_days)
            .where(_DAY.tenant_id == session.tenant_id, _DAY.date == sa.bindparam("of_date"))
            .values(shipped_revision=sa.bindparam("sent")),
            [{"of_date": mark.date, "sent": mark.revision} for mark in days],
        )


def _quarantine(
    session: TenantSession, parcels: Sequence[Parcel], delivered: Delivered, now: datetime
) -> None:
    """Keep what was refused; forget what was refused once and has arrived now."""
    query = sa.select(_REFUSED.measurement, _REFUSED.point_id).where(
        _REFUSED.tenant_id == session.tenant_id
    )
    known = {tuple(row) for row in session.connection.execute(query)}
    arrived = [
        point
        for parcel in parcels
        for point in (parcel.points if known else ())
        if (point.measurement, str(point.point_id)) in known
    ]
    if arrived:
        session.connection.execute(
            sa.delete(quarantined_points).where(
                _REFUSED.tenant_id == session.tenant_id,
                _REFUSED.measurement == sa.bindparam("of_measurement"),
                _REFUSED.point_id == sa.bindparam("of_id"),
            ),
            [{"of_measurement": p.measurement, "of_id": str(p.point_id)} for p in arrived],
        )
    if delivered.refusals:
        session.connection.execute(
            sa.insert(quarantined_points),
            list(_refused_values(session.tenant_id, delivered, now)),
        )


def _refused_values(
    tenant_id: TenantId, delivered: Delivered, now: datetime
) -> Iterator[dict[str, object]]:
    for point, reason in delivered.refusals:
        yield {
            "tenant_id": tenant_id,
            "measurement": point.measurement,
            "point_id": str(point.point_id),
            "time": datetime.fromtimestamp(point.stamp // NANOS_A_SECOND, UTC),
            "line": point.line,
            "reason": reason,
            "quarantined_at": now,
        }
