"""What waits to be shipped to InfluxDB, what could not be, and how it goes."""

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from ledger.models import (
    quarantined_points,
    relay_holds,
    relay_state,
    unshipped_batches,
    usage_metrics,
    usage_rollups_daily,
    usage_tenant_days,
    worker_health,
)
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId

_UNSHIPPED = unshipped_batches.c
_DAY = usage_tenant_days.c
_ROW = usage_rollups_daily.c

INFLUXDB = "influxdb"
"""The name under which the health of the relay is kept."""


class Unshipped(NamedTuple):
    """What waits for the relay.

    Attributes:
        events: raw usage that is costed and not shipped.
        oldest: since when the first of these events or figures has been due, or None.
        days: tenant days whose figures changed since they were shipped as a whole.
        rows: rollup rows that changed since they were shipped.
        quarantined: points that InfluxDB refused.
        held: measurements of tenants that wait since InfluxDB refuses most of them.
        expired: points that were older than their bucket keeps any, ever since.
    """

    events: int
    oldest: datetime | None
    days: int
    rows: int
    quarantined: int
    held: int
    expired: int

    @property
    def points(self) -> int:
        """How many points that makes."""
        return self.events + self.rows + self.days


class Hold(NamedTuple):
    """A measurement of a tenant that waits since InfluxDB refuses most of it, and the reason."""

    tenant_id: TenantId
    measurement: str
    failures: int
    reason: str
    held_since: datetime
    retry_at: datetime


class Health(NamedTuple):
    """The last failure of the relay, and whether it was overcome (`recovered_at` not None)."""

    failures: int
    last_error: str
    failed_at: datetime
    recovered_at: datetime | None


def does_ship(session: OperatorSession) -> bool:
    """Whether this ledger ships: something of it went to InfluxDB, or waits to.

    The ledger says so, whatever the settings of a process do: one that was started without the
    address of InfluxDB would take what the relay has not seen.
    """
    tables = (relay_state, unshipped_batches)
    query = sa.select(sa.or_(*(sa.exists(sa.select(t.c.tenant_id)) for t in tables)))
    return bool(session.connection.execute(query).scalar_one())


def stop_shipping(session: OperatorSession) -> int:
    """Let this ledger ship no more; return how many events waited, and wait no more.

    What InfluxDB refused stays put aside: it may be all that there is of raw usage that is gone.
    """
    waited = measure_unshipped(session).events
    for table in (unshipped_batches, relay_state):
        session.connection.execute(sa.delete(table))
    return waited


def is_shipped(tenant_id: TenantId) -> sa.ColumnElement[bool]:
    """Return the condition on costed raw rows of a tenant that their batch waits for no relay."""
    waiting = sa.select(_UNSHIPPED.batch_id).where(_UNSHIPPED.tenant_id == tenant_id)
    return usage_metrics.c.batch_id.not_in(waiting)


def is_day_due() -> sa.ColumnElement[bool]:
    """Return the condition on days that something of theirs changed since it was shipped."""
    return sa.or_(is_day_point_due(), are_day_rows_due())


def is_day_point_due() -> sa.ColumnElement[bool]:
    """Return the condition on days that what they say as a whole is to be shipped."""
    return _DAY.revision > _DAY.shipped_revision


def are_day_rows_due() -> sa.ColumnElement[bool]:
    """Return the condition on days that rollup rows of theirs may have to be shipped."""
    return _DAY.revision > _DAY.rows_shipped_revision


def due_since(now: datetime) -> sa.ColumnElement[datetime]:
    """Return since when days are due that become so now, unless they are already."""
    instant = sa.literal(now, _DAY.due_since.type)
    known = sa.func.coalesce(_DAY.due_since, instant)
    return sa.case((is_day_due(), known), else_=instant)


def is_row_due() -> sa.ColumnElement[bool]:
    """Return the condition on rollup rows that they changed since they were shipped."""
    return _ROW.revision > _ROW.shipped_revision


def measure_unshipped(
    session: TenantSession | OperatorSession, tenant_id: TenantId | None = None
) -> Unshipped:
    """Return what waits: to an operator of one tenant or of all, to a tenant of itself alone."""
    if isinstance(session, TenantSession):
        tenant_id = session.tenant_id
    # By day and not joined: a planner cannot know how few days are due, and reads all rows instead.
    of_day = (
        sa.select(sa.func.count())
        .where(_ROW.tenant_id == _DAY.tenant_id, _ROW.date == _DAY.date, is_row_due())
        .scalar_subquery()
    )
    rows = sa.select(sa.func.coalesce(sa.func.sum(of_day), 0)).select_from(usage_tenant_days)
    events = sa.func.coalesce(sa.func.sum(_UNSHIPPED.event_count), 0)
    expired = sa.func.coalesce(sa.func.sum(relay_state.c.expired_count), 0)

    def read(query: sa.Select[Any], table: sa.Table) -> Any:
        if tenant_id is not None:
            query = query.where(table.c.tenant_id == tenant_id)
        return session.connection.execute(query).one()

    waiting, booked = read(sa.select(events, sa.func.min(_UNSHIPPED.booked_at)), unshipped_batches)
    points = sa.func.coalesce(sa.func.sum(sa.case((is_day_point_due(), 1), else_=0)), 0)
    of_days: sa.Select[Any] = sa.select(points, sa.func.min(_DAY.due_since)).where(is_day_due())
    days, changed = read(of_days, usage_tenant_days)
    held = sa.select(sa.func.count()).select_from(relay_holds)
    refused = sa.select(sa.func.count()).select_from(quarantined_points)
    return Unshipped(
        events=int(waiting),
        oldest=min(filter(None, (booked, changed)), default=None),
        days=int(days),
        rows=int(read(rows.where(are_day_rows_due()), usage_tenant_days)[0]),
        quarantined=read(refused, quarantined_points)[0],
        held=read(held, relay_holds)[0],
        expired=int(read(sa.select(expired), relay_state)[0]),
    )


def read_refusal(session: OperatorSession) -> tuple[str, str] | None:
    """Return the line and the reason of the point that was refused last, if any is."""
    columns = quarantined_points.c
    query = sa.select(columns.line, columns.reason).order_by(columns.quarantined_at.desc()).limit(1)
    row = session.connection.execute(query).first()
    return None if row is None else (row[0], row[1])


def list_holds(session: OperatorSession) -> list[Hold]:
    """Return what is held back, of all tenants, longest first."""
    query = sa.select(*(relay_holds.c[name] for name in Hold._fields)).order_by(
        relay_holds.c.held_since, relay_holds.c.tenant_id, relay_holds.c.measurement
    )
    return [Hold(*row) for row in session.connection.execute(query)]


def read_health(session: OperatorSession) -> Health | None:
    """Return the last failure of the relay, or None where there never was one."""
    columns = worker_health.c
    query = sa.select(
        columns.failures, columns.last_error, columns.failed_at, columns.recovered_at
    ).where(columns.name == INFLUXDB)
    row = session.connection.execute(query).first()
    return None if row is None else Health(*row)


def note_failure(session: OperatorSession, error: str, *, failures: int, now: datetime) -> None:
    """Write down that shipping failed, for whoever looks."""
    values = {
        "failures": failures,
        "last_error": error,
        "failed_at": now,
        "recovered_at": None,
    }
    changed = session.connection.execute(
        sa.update(worker_health).where(worker_health.c.name == INFLUXDB).values(values)
    ).rowcount
    if not changed:
        session.connection.execute(sa.insert(worker_health).values(name=INFLUXDB, **values))


def note_recovery(session: OperatorSession, *, now: datetime) -> None:
    """Write down that shipping works again."""
    session.connection.execute(
        sa.update(worker_health)
        .where(worker_health.c.name == INFLUXDB, worker_health.c.recovered_at.is_(None))
        .values(recovered_at=now)
    )
