"""Makes series due again, and drops them where InfluxDB can: what `rebuild series` does first."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import partial

import sqlalchemy as sa

from collector.influx.buckets import Buckets, Flavour
from collector.influx.query import Reader, quote_name, quote_text
from collector.influx.target import Target
from collector.influx.transport import Transport
from collector.relay.holds import lift
from collector.relay.points import MEASUREMENTS, USAGE, bucket_of, to_stamp
from collector.relay.quarantine import retry_at_once
from ledger.columns import in_order_of
from ledger.errors import InvalidError
from ledger.models import (
    unshipped_batches,
    usage_batches,
    usage_checkpoints,
    usage_metrics,
    usage_rollups_daily,
    usage_tenant_days,
)
from ledger.period import FIRST_DATE, LAST_DATE, DateRange, day_start
from ledger.session import TenantSession, insist, tenant_session
from ledger.shipping import due_since
from ledger.tenant import Tenant

_RAW = usage_metrics.c
_BATCH = unshipped_batches.c
_ROW = usage_rollups_daily.c
_DAY = usage_tenant_days.c
_ONE_DAY = timedelta(days=1)

_MOST_BATCHES = 1000
"""Most batches handed over by one statement, so that their numbers fit into it."""

EVER = DateRange(start=FIRST_DATE, end=LAST_DATE)


def make_due(
    engine: sa.Engine, tenant: Tenant, dates: DateRange, *, now: datetime
) -> Iterator[date]:
    """Make all points of a tenant's dates due; yield each date when it is.

    A date a transaction, so that others can write in between. The caller holds the tenant's lease.
    """
    with tenant_session(engine, tenant.tenant_id) as session:
        found = _list_dates(session, dates)
    for day in found:
        insist(partial(_make_day_due, engine, tenant, day, now=now))
        yield day
    with tenant_session(engine, tenant.tenant_id, write=True) as session:
        # Not forgotten: raw usage of before may be gone, and its point is in quarantine alone.
        retry_at_once(session, day_start(dates.start, tenant), day_start(dates.end, tenant))
        lift(session, MEASUREMENTS)


def _make_day_due(engine: sa.Engine, tenant: Tenant, day: date, *, now: datetime) -> None:
    with tenant_session(engine, tenant.tenant_id, write=True) as session:
        _make_batches_due(session, day, now=now)
        _make_figures_due(session, day, now=now)


def _list_dates(session: TenantSession, dates: DateRange) -> list[date]:
    found: set[date] = set()
    for table in (usage_metrics, usage_tenant_days):
        query = (
            sa.select(table.c.date)
            .distinct()
            .where(
                table.c.tenant_id == session.tenant_id,
                table.c.date >= dates.start,
                table.c.date < dates.end,
            )
        )
        found.update(session.connection.execute(query).scalars())
    return sorted(found)


def _make_batches_due(session: TenantSession, day: date, *, now: datetime) -> None:
    """Hand the batches that have events of a date to the relay, unless they wait already."""
    query = (
        sa.select(_RAW.batch_id)
        .distinct()
        .where(_RAW.tenant_id == session.tenant_id, _RAW.date == day)
        .order_by(_RAW.batch_id)
    )
    found = list(session.connection.execute(query).scalars())
    for start in range(0, len(found), _MOST_BATCHES):
        part = found[start : start + _MOST_BATCHES]
        session.connection.execute(
            sa.update(unshipped_batches)
            .where(_BATCH.tenant_id == session.tenant_id, _BATCH.batch_id.in_(part))
            .values(shipped_until=None)
        )
        new = sorted(set(part) - _find_waiting(session, part))
        if new:
            _queue_batches(session, new, now=now)


def _find_waiting(session: TenantSession, batch_ids: Sequence[int]) -> set[int]:
    """Return those batches that wait to be costed, and will be shipped then, or to be shipped."""
    found: set[int] = set()
    for table in (usage_batches, unshipped_batches):
        query = sa.select(table.c.batch_id).where(
            table.c.tenant_id == session.tenant_id, table.c.batch_id.in_(batch_ids)
        )
        found.update(session.connection.execute(query).scalars())
    return found


def _queue_batches(session: TenantSession, batch_ids: Sequence[int], *, now: datetime) -> None:
    counted = (
        sa.select(
            _RAW.tenant_id, _RAW.batch_id, sa.func.count(), sa.literal(now, _BATCH.booked_at.type)
        )
        .where(
            _RAW.tenant_id == session.tenant_id,
            # Without the range SQLite reads all usage of the tenant.
            _RAW.batch_id.between(batch_ids[0], batch_ids[-1]),
            _RAW.batch_id.in_(batch_ids),
        )
        .group_by(_RAW.tenant_id, _RAW.batch_id)
    )
    columns = ["tenant_id", "batch_id", "event_count", "booked_at"]
    session.connection.execute(sa.insert(unshipped_batches).from_select(columns, counted))


def _make_figures_due(session: TenantSession, day: date, *, now: datetime) -> None:
    rows = (_ROW.tenant_id == session.tenant_id, _ROW.date == day)
    session.connection.execute(
        sa.update(usage_rollups_daily)
        .where(in_order_of(_ROW.rollup_id, *rows))
        .values(shipped_revision=0)
    )
    session.connection.execute(
        sa.update(usage_tenant_days)
        .where(_DAY.tenant_id == session.tenant_id, _DAY.date == day)
        .values(shipped_revision=0, rows_shipped_revision=0, due_since=due_since(now))
    )


class Dropping:
    """Deletes points of tenants, on the versions of InfluxDB that can."""

    def __init__(self, engine: sa.Engine, target: Target) -> None:
        transport = Transport(target.patient)
        self._engine = engine
        self._target = target
        self._buckets = Buckets(target, transport)
        self._reader = Reader(transport)

    def check(self) -> None:
        """Check that this InfluxDB can delete points.

        Raises:
            InvalidError: `influx_cannot_drop`.
            MeterlineError: see `Transport.send`.
        """
        if self._buckets.find_server().flavour is Flavour.V3:
            raise InvalidError(
                "influx_cannot_drop",
                "InfluxDB 3 deletes no points; rebuild without --drop, or into another database",
            )

    def drop(self, tenant: Tenant, *, before_call: Callable[[], None]) -> None:
        """Delete all points of a tenant, but for those that could not be sent again.

        Args:
            tenant: the tenant.
            before_call: is called before each deletion; an error of it stops the dropping.

        Raises:
            MeterlineError: see `Reader.run`.
        """
        with tenant_session(self._engine, tenant.tenant_id) as session:
            taken = read_last_taken(session)
        for measurement in MEASUREMENTS:
            start = EVER.start
            if measurement == USAGE and taken is not None:
                start = max(start, taken + _ONE_DAY)
            before_call()
            bucket = bucket_of(measurement, self._target)
            self._reader.run(
                f"DELETE FROM {quote_name(measurement)}"
                f' WHERE "tenant" = {quote_text(tenant.tenant_id)}'
                f" AND time >= {to_stamp(day_start(start, tenant))}"
                f" AND time < {to_stamp(day_start(EVER.end, tenant))}",
                bucket=bucket,
            )


def read_last_taken(session: TenantSession) -> date | None:
    """Return the last date of which retention took raw usage: nobody can make its points again."""
    columns = usage_checkpoints.c
    query = sa.select(sa.func.max(columns.date)).where(
        columns.tenant_id == session.tenant_id, columns.taken_count > 0
    )
    last: date | None = session.connection.execute(query).scalar_one()
    return last
