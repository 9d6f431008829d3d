"""Keeps the hours of a tenant's rollup rows: in step with the rows, for 35 days.

`costing_state.hours_from` says from which local date on they are kept, and those are complete: it
moves when older ones are pruned, so that whether they tie does not depend on the clock. Every
change is made under the tenant's costing lock.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from costing.store import sum_hours
from ledger.columns import whole_sum
from ledger.engine import is_postgresql
from ledger.hours import NO_PART, HourKey, HourPart, first_hours_date
from ledger.models import costing_state, usage_checkpoints, usage_rollups_hourly
from ledger.rollups import SP3_PRICE_VERSION, RollupKey, RollupRow
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId

PRUNED_AT_ONCE = 20
"""Most tenants whose hours one run of costing prunes: all outgrow theirs at the same midnight."""

_HOUR = usage_rollups_hourly.c
_STATE = costing_state.c


def open_hours(session: TenantSession, *, now: datetime) -> date:
    """Return from which date on the tenant's hours are kept.

    At first, what was costed before is summed: after an upgrade, that is usage which had no hours.
    """
    kept = _read_start(session, session.tenant_id)
    if kept is not None:
        return kept
    start = max(first_hours_date(now), _first_whole_date(session))
    _write(session, sum_hours(session, start))
    _move_start(session, start)
    return start


def add_hours(
    session: TenantSession, parts: Mapping[HourKey, HourPart], *, hours_from: date
) -> None:
    """Add usage to hours; that of older dates has none."""
    _write(session, {key: part for key, part in parts.items() if key.date >= hours_from})


def rebuild_hours(session: TenantSession, rows: Iterable[RollupRow], *, now: datetime) -> int:
    """Sum hours anew from raw usage, as far as all of it is there; return the rows that were wrong.

    Where retention took usage, hours cannot be summed any more: they stay where they tie with their
    daily rows, and are given up where they do not.
    """
    whole = max(open_hours(session, now=now), _first_whole_date(session))
    right = sum_hours(session, whole)
    query = sa.select(*_KEY, _HOUR["count"], _HOUR.quantity).where(*_since(session, whole))
    rows_there = session.connection.execute(query)
    found = {HourKey(*row[:3]): HourPart(*row[3:]) for row in rows_there}
    wrong = {key for key in found.keys() | right.keys() if found.get(key) != right.get(key)}
    if wrong:
        session.connection.execute(sa.delete(usage_rollups_hourly).where(*_since(session, whole)))
        _write(session, right)
    if any(key.date < whole for key, _, _ in find_untied(session, session.tenant_id, rows)):
        _delete_before(session, whole)
    return len(wrong)


def list_outgrown(session: OperatorSession, *, now: datetime) -> Sequence[TenantId]:
    """Return tenants that keep hours of older dates than they have to, some of them."""
    query = (
        sa.select(_STATE.tenant_id)
        .where(_STATE.hours_from < first_hours_date(now))
        .order_by(_STATE.tenant_id)
        .limit(PRUNED_AT_ONCE)
    )
    return [TenantId(tenant_id) for tenant_id in session.connection.execute(query).scalars()]


def prune_hours(session: TenantSession, *, now: datetime) -> None:
    """Delete the hours of dates that are too old."""
    _delete_before(session, first_hours_date(now))


def find_untied(
    session: TenantSession | OperatorSession, tenant_id: TenantId, rows: Iterable[RollupRow]
) -> Iterator[tuple[RollupKey, HourPart, HourPart]]:
    """Return the rows whose hours come to something else: what they should, and what they do."""
    start = _read_start(session, tenant_id)
    if start is None:
        return
    query = (
        sa.select(_HOUR.date, _HOUR.rollup_id, whole_sum(_HOUR["count"]), whole_sum(_HOUR.quantity))
        .where(_HOUR.tenant_id == tenant_id, _HOUR.date >= start)
        .group_by(_HOUR.date, _HOUR.rollup_id)
    )
    found = {
        (day, rollup_id): HourPart(count, quantity)
        for day, rollup_id, count, quantity in session.connection.execute(query)
    }
    for row in rows:
        # Of an opening balance nobody knows the hours.
        if row.key.date < start or row.key.price_class == SP3_PRICE_VERSION:
            continue
        right = HourPart(row.tally.events, row.tally.measures.quantity)
        part = found.get((row.key.date, row.key.rollup_id), NO_PART)
        if part != right:
            yield row.key, right, part


_KEY = (_HOUR.date, _HOUR.hour, _HOUR.rollup_id)


def _read_start(session: TenantSession | OperatorSession, tenant_id: TenantId) -> date | None:
    query = sa.select(_STATE.hours_from).where(_STATE.tenant_id == tenant_id)
    return session.connection.execute(query).scalar_one_or_none()


def _since(session: TenantSession, start: date) -> tuple[sa.ColumnElement[bool], ...]:
    return (_HOUR.tenant_id == session.tenant_id, _HOUR.date >= start)


def _delete_before(session: TenantSession, start: date) -> None:
    session.connection.execute(
        sa.delete(usage_rollups_hourly).where(
            _HOUR.tenant_id == session.tenant_id, _HOUR.date < start
        )
    )
    _move_start(session, start)


def _move_start(session: TenantSession, start: date) -> None:
    session.connection.execute(
        sa.update(costing_state)
        .where(_STATE.tenant_id == session.tenant_id)
        .values(hours_from=start)
    )


def _first_whole_date(session: TenantSession) -> date:
    """Return the first date from which on retention took nothing."""
    taken = sa.select(sa.func.max(usage_checkpoints.c.date)).where(
        usage_checkpoints.c.tenant_id == session.tenant_id, usage_checkpoints.c.taken_count > 0
    )
    last = session.connection.execute(taken).scalar_one()
    return date.min if last is None else last + timedelta(days=1)


def _write(session: TenantSession, parts: Mapping[HourKey, HourPart]) -> None:
    """Add these to what is there."""
    if not parts:
        return
    insert = postgresql.insert if is_postgresql(session.connection) else sqlite.insert
    statement = insert(usage_rollups_hourly)
    more = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=[_HOUR.tenant_id, *_KEY],
        set_={
            "count": _HOUR["count"] + more["count"],
            "quantity": _HOUR.quantity + more.quantity,
        },
    )
    session.connection.execute(
        statement,
        [
            {
                "tenant_id": session.tenant_id,
                **key._asdict(),
                "count": parts[key].usages,
                "quantity": parts[key].quantity,
            }
            for key in sorted(parts)
        ],
    )
