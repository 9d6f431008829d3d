"""The SQL of the relay: what is due of a tenant, read; what was shipped, marked."""

from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from collector.relay.parcels import (
    DayMark,
    Delivered,
    EndOfBatch,
    Parcel,
    PartOfBatch,
    RowMark,
)
from collector.relay.points import (
    EVENT_COLUMNS,
    NANOS_A_SECOND,
    TENANT_DAY,
    USAGE,
    USAGE_COST,
)
from collector.relay.quarantine import settle_refusals
from ledger.columns import epoch_seconds, is_among
from ledger.models import (
    relay_state,
    unshipped_batches,
    usage_metrics,
    usage_rollups_daily,
    usage_tenant_days,
)
from ledger.session import OperatorSession, TenantSession
from ledger.shipping import are_day_rows_due, is_day_due, is_day_point_due
from ledger.tenant import TenantId

CALL_POINTS = 5000
"""About how many points go to InfluxDB in one call: what its makers found to be best."""

Events = Sequence[tuple[Any, ...]]

_RAW = usage_metrics.c
_BATCH = unshipped_batches.c
_ROW = usage_rollups_daily.c
_DAY = usage_tenant_days.c
_DAY_MARKS = {TENANT_DAY: "shipped_revision", USAGE_COST: "rows_shipped_revision"}
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


def list_due(session: OperatorSession) -> dict[TenantId, frozenset[str]]:
    """Return of which tenants something is to be shipped, ordered, and of which measurements.

    Takes no locks.
    """
    due: defaultdict[TenantId, set[str]] = defaultdict(set)
    for tenant_id in session.connection.execute(sa.select(_BATCH.tenant_id).distinct()).scalars():
        due[tenant_id].add(USAGE)
    days = (
        sa.select(_DAY.tenant_id, _any(is_day_point_due()), _any(are_day_rows_due()))
        .where(is_day_due())
        .group_by(_DAY.tenant_id)
    )
    for tenant_id, is_point_due, are_rows_due in session.connection.execute(days):
        due[tenant_id] |= {TENANT_DAY} if is_point_due else set()
        due[tenant_id] |= {USAGE_COST} if are_rows_due else set()
    return {tenant_id: frozenset(due[tenant_id]) for tenant_id in sorted(due)}


def _any(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.max(sa.case((condition, 1), else_=0))


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
    session: TenantSession,
    parcels: Sequence[Parcel],
    delivered: Delivered,
    *,
    held: AbstractSet[str],
    now: datetime,
) -> None:
    """Mark parcels of a tenant as shipped. The caller holds its lease in this transaction.

    Rows are locked as costing locks them: in the order of their keys, and before any day.

    Args:
        session: of the tenant.
        parcels: what was sent.
        delivered: what became of it.
        held: measurements of which nothing is marked.
        now: the current instant.
    """
    for parcel in parcels:
        if USAGE in parcel.measurements - held:
            _mark_batches(session, parcel.batches)
            _mark_part(session, parcel.part)
    figures = [parcel for parcel in parcels if parcel.days]
    if USAGE_COST not in held:
        _mark_rows(session, sorted(row for parcel in figures for row in parcel.rows))
    for parcel in sorted(figures, key=lambda each: each.days):
        _mark_days(session, parcel.days, parcel.measurements - held, now)
    sent = (point for parcel in parcels for point in parcel.points if point.measurement not in held)
    refusals = [each for each in delivered.refusals if each.point.measurement not in held]
    settle_refusals(session, sent, refusals, now=now)
    expired = delivered.expired + sum(p.expired for p in parcels if p.measurements - held)
    if expired:
        session.connection.execute(
            sa.update(relay_state)
            .where(relay_state.c.tenant_id == session.tenant_id)
            .values(expired_count=relay_state.c.expired_count + expired)
        )


def _mark_batches(session: TenantSession, batches: Sequence[int]) -> None:
    if batches:
        session.connection.execute(
            sa.delete(unshipped_batches).where(
                _BATCH.tenant_id == session.tenant_id,
                is_among(_BATCH.batch_id, batches, session.connection),
            )
        )


def _mark_part(session: TenantSession, part: PartOfBatch | EndOfBatch | None) -> None:
    """Mark a part of a batch, unless the one before it was not marked: that is due still."""
    if part is None:
        return
    of_batch = (
        _BATCH.tenant_id == session.tenant_id,
        _BATCH.batch_id == part.batch_id,
        sa.func.coalesce(_BATCH.shipped_until, "") == part.after,
    )
    if isinstance(part, EndOfBatch):
        session.connection.execute(sa.delete(unshipped_batches).where(*of_batch))
    else:
        update = sa.update(unshipped_batches).where(*of_batch)
        session.connection.execute(update.values(shipped_until=part.until))


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


def _mark_days(
    session: TenantSession, days: Sequence[DayMark], arrived: AbstractSet[str], now: datetime
) -> None:
    """Mark what arrived of days. One that changed meanwhile is due since about now."""
    marks = [_DAY[name] for of, name in _DAY_MARKS.items() if of in arrived]
    if not marks:
        return
    sent = sa.bindparam("sent", type_=sa.BigInteger)
    others = [_DAY[name] >= sent for of, name in _DAY_MARKS.items() if of not in arrived]
    has_changed = sa.and_(_DAY.revision > sent, *others)
    instant = sa.literal(now, _DAY.due_since.type)
    session.connection.execute(
        sa.update(usage_tenant_days)
        .where(_DAY.tenant_id == session.tenant_id, _DAY.date == sa.bindparam("of_date"))
        .values(
            {
                **{mark.name: sent for mark in marks},
                "due_since": sa.case((has_changed, instant), else_=_DAY.due_since),
            }
        ),
        [{"of_date": mark.date, "sent": mark.revision} for mark in sorted(days)],
    )
