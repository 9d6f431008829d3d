"""Sums of raw usage, and what costing writes beside the rollups: journal and freshness."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from ledger.batches import OPENING_BATCH
from ledger.columns import is_among, utc_hour, whole_sum
from ledger.hours import NO_PART, HourKey, HourPart
from ledger.measures import MEASURE_COLUMNS, Measures
from ledger.models import (
    costing_state,
    tenants,
    usage_batches,
    usage_checkpoints,
    usage_journal,
    usage_metrics,
    usage_rollups_daily,
    usage_tombstones,
)
from ledger.postgresql import waiting_patiently
from ledger.rollups import EMPTY_TALLY, RollupKey, RollupRow, Tally
from ledger.sequence import take_numbers
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId

_RAW = usage_metrics.c
_MAKE_STATE = sa.text(
    f"INSERT INTO {costing_state.name} (tenant_id) VALUES (:tenant) ON CONFLICT DO NOTHING"
)
_KEY = [_RAW[name] for name in RollupKey._fields]


class Cause(StrEnum):
    """Why a row of a closed day changed."""

    LATE = "late"
    CORRECTION = "correction"
    REPAIR = "repair"
    BACKPRICE = "backprice"
    REPRICE = "reprice"


class BatchSums(NamedTuple):
    """What the rows of some batches come to.

    Attributes:
        tallies: of rollup rows, new usage apart from corrections.
        hours: how all of it is spread over hours.
    """

    tallies: dict[Cause, dict[RollupKey, Tally]]
    hours: dict[HourKey, HourPart]


def sum_batches(session: TenantSession, batch_ids: Sequence[int]) -> BatchSums:
    """Return what the rows of these batches come to."""
    # Without the range SQLite reads all usage of the tenant, to have it in the order of days.
    within = _RAW.batch_id.between(min(batch_ids), max(batch_ids))
    claimed = is_among(_RAW.batch_id, batch_ids, session.connection)
    found = BatchSums({Cause.LATE: {}, Cause.CORRECTION: {}}, {})
    more = (_RAW.corrects, utc_hour(_RAW.time))
    query = _sums(session.tenant_id, *more).where(within, claimed).group_by(*more)
    for *row, corrects, hour in session.connection.execute(query):
        key, tally = _read_sum(row)
        of_cause = found.tallies[Cause.CORRECTION if corrects else Cause.LATE]
        of_cause[key] = of_cause.get(key, EMPTY_TALLY).plus(tally)
        hour_key = HourKey(key.date, hour, key.rollup_id)
        part = HourPart(tally.events, tally.measures.quantity)
        found.hours[hour_key] = found.hours.get(hour_key, NO_PART).plus(part)
    return found


def sum_costed(
    session: TenantSession | OperatorSession, tenant_id: TenantId
) -> dict[RollupKey, Tally]:
    """Return what all costed events of a tenant come to, opening balances left out."""
    query = _sums(tenant_id).where(_RAW.batch_id != OPENING_BATCH, is_costed(tenant_id))
    return dict(map(_read_sum, session.connection.execute(query)))


def sum_hours(session: TenantSession, start: date) -> dict[HourKey, HourPart]:
    """Return what all costed events of a tenant's dates from `start` on come to, by hours."""
    hour = utc_hour(_RAW.time)
    query = (
        sa.select(*_KEY, hour, whole_sum(_RAW["count"]), whole_sum(_RAW.quantity))
        .where(
            _RAW.tenant_id == session.tenant_id,
            _RAW.date >= start,
            _RAW.batch_id != OPENING_BATCH,
            is_costed(session.tenant_id),
        )
        .group_by(*_KEY, hour)
    )
    found: dict[HourKey, HourPart] = {}
    for *parts, hour_start, count, quantity in session.connection.execute(query):
        key = RollupKey(*parts)
        found[HourKey(key.date, hour_start, key.rollup_id)] = HourPart(count, quantity)
    return found


def is_costed(tenant_id: TenantId) -> sa.ColumnElement[bool]:
    """Return the condition on raw rows of a tenant that their batch waits no more."""
    pending = sa.select(usage_batches.c.batch_id).where(usage_batches.c.tenant_id == tenant_id)
    return _RAW.batch_id.not_in(pending)


def _sums(tenant_id: TenantId, *more: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Return the query for signed sums of a tenant's raw rows, by the key of their rollup row."""
    return (
        sa.select(
            *_KEY,
            whole_sum(_RAW["count"]),
            *(whole_sum(_RAW[name]) for name in MEASURE_COLUMNS),
            whole_sum(sa.cast(_RAW.derived, sa.Integer) * _RAW["count"]),
            whole_sum(sa.cast(_RAW.provisional, sa.Integer) * _RAW["count"]),
            *more,
        )
        .where(_RAW.tenant_id == tenant_id)
        .group_by(*_KEY)
    )


def _read_sum(row: Sequence[Any]) -> tuple[RollupKey, Tally]:
    width = len(_KEY)
    count, *measures, derived, provisional = row[width:]
    tally = Tally(count, Measures(*measures), derived, provisional)
    return RollupKey(*row[:width]), tally


def append_journal(
    session: TenantSession,
    changes: Sequence[tuple[RollupRow | None, RollupRow]],
    *,
    cause: Cause,
    now: datetime,
) -> None:
    """Write down what rows of closed days were and what they are now."""
    if not changes:
        return
    numbers = take_numbers(session.connection, len(changes))
    entries = [
        {
            "tenant_id": session.tenant_id,
            "entry_id": number,
            "booked_at": now,
            "date": after.key.date,
            "rollup_id": after.key.rollup_id,
            "cause": str(cause),
            "before": {} if before is None else row_figures(before),
            "after": row_figures(after),
        }
        for number, (before, after) in zip(numbers, changes, strict=True)
    ]
    session.connection.execute(sa.insert(usage_journal), entries)


class JournalEntry(NamedTuple):
    """What a row of a closed day was and became.

    Attributes:
        before: figures by the names of `row_figures`, empty where there was no row. A repricing's
            entry has those alone that a price can change.
        after: the same figures.
    """

    date: date
    rollup_id: UUID
    before: dict[str, Any]
    after: dict[str, Any]


def read_journal(
    session: TenantSession | OperatorSession, tenant_id: TenantId
) -> list[JournalEntry]:
    """Return the journal of a tenant, oldest first."""
    columns = usage_journal.c
    query = (
        sa.select(columns.date, columns.rollup_id, columns.before, columns.after)
        .where(columns.tenant_id == tenant_id)
        .order_by(columns.entry_id)
    )
    return [JournalEntry(*row) for row in session.connection.execute(query)]


def find_unregistered(session: OperatorSession) -> set[TenantId]:
    """Return the tenants that have usage and are not registered."""
    tables = (
        usage_metrics,
        usage_tombstones,
        usage_rollups_daily,
        usage_checkpoints,
        usage_journal,
        usage_batches,
    )
    known = sa.select(tenants.c.tenant_id)
    found: set[TenantId] = set()
    for table in tables:
        query = sa.select(table.c.tenant_id).distinct().where(table.c.tenant_id.not_in(known))
        found.update(session.connection.execute(query).scalars())
    return found


def row_figures(row: RollupRow) -> dict[str, Any]:
    """Return what the journal keeps of a row."""
    return {
        "count": row.tally.events,
        **row.tally.measures._asdict(),
        "estimated_cost": row.estimated_cost,
        "price_version": row.price_version,
        "state": str(row.state),
    }


def lock_costing(session: TenantSession, *, wait: bool = True) -> bool:
    """Take the tenant's costing lock for this transaction, and tell whether it was got.

    Args:
        session: of the tenant, writing.
        wait: for whoever holds it, as long as it takes. If not, somebody else is at work and the
            answer is no.
    """
    own = costing_state.c.tenant_id == session.tenant_id
    row = sa.select(costing_state.c.tenant_id).where(own)
    free = row.with_for_update(skip_locked=True)
    while session.connection.execute(free).first() is None:
        if session.connection.execute(row).first() is None:
            # Registering a tenant makes its row; this is for one that somebody took away since.
            session.connection.execute(_MAKE_STATE, {"tenant": session.tenant_id})
        elif not wait:
            return False
        else:
            with waiting_patiently(session.connection):
                session.connection.execute(row.with_for_update())
    return True


def note_costed(session: TenantSession, *, now: datetime) -> None:
    """Note when the tenant was costed."""
    own = costing_state.c.tenant_id == session.tenant_id
    session.connection.execute(sa.update(costing_state).where(own).values(costed_at=now))


def read_costed_at(session: TenantSession) -> datetime | None:
    """Return when the tenant was last costed, or None."""
    query = sa.select(costing_state.c.costed_at).where(
        costing_state.c.tenant_id == session.tenant_id
    )
    return session.connection.execute(query).scalar_one_or_none()
