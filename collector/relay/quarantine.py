"""The SQL of the quarantine: points that were refused, kept, tried again, and forgotten."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from collector.relay.backoff import backoff
from collector.relay.parcels import Refusal
from collector.relay.points import NANOS_A_SECOND, Point, to_stamp
from ledger.models import quarantined_points
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId

_REFUSED = quarantined_points.c
_FIRST = timedelta(minutes=1)
_MOST = timedelta(hours=6)


def count_retries(
    session: OperatorSession, *, only: TenantId | None, now: datetime, most: int
) -> dict[TenantId, int]:
    """Return how many refused points of which tenants are to be tried again now, up to a most."""
    query = _retries(_REFUSED.tenant_id, now=now).limit(most)
    if only is not None:
        query = query.where(_REFUSED.tenant_id == only)
    return dict(Counter(session.connection.execute(query).scalars()))


def read_retries(session: TenantSession, *, now: datetime, most: int) -> list[Point]:
    """Return refused points of a tenant that are to be tried again now.

    The caller holds the tenant's lease: another relay may have sent something newer of them since
    they were counted.
    """
    columns = (_REFUSED.measurement, _REFUSED.point_id, _REFUSED.time, _REFUSED.line)
    query = _retries(*columns, now=now).where(_REFUSED.tenant_id == session.tenant_id).limit(most)
    return [
        Point(measurement, point_id, to_stamp(time), line)
        for measurement, point_id, time, line in session.connection.execute(query)
    ]


def retry_at_once(session: TenantSession, start: datetime, end: datetime) -> None:
    """Let refused points of a stretch of time be tried again with the next run."""
    session.connection.execute(
        sa.update(quarantined_points)
        .where(_REFUSED.tenant_id == session.tenant_id, _REFUSED.time >= start, _REFUSED.time < end)
        .values(retry_at=None)
    )


def _retries(*columns: sa.Column[Any], now: datetime) -> sa.Select[Any]:
    return (
        sa.select(*columns)
        .where(sa.or_(_REFUSED.retry_at.is_(None), _REFUSED.retry_at <= now))
        .order_by(_REFUSED.retry_at, _REFUSED.tenant_id, _REFUSED.measurement, _REFUSED.point_id)
    )


def settle_refusals(
    session: TenantSession, sent: Iterable[Point], refusals: Sequence[Refusal], *, now: datetime
) -> None:
    """Keep what was refused; forget what was refused once and has arrived now."""
    query = sa.select(_REFUSED.measurement, _REFUSED.point_id, _REFUSED.tries).where(
        _REFUSED.tenant_id == session.tenant_id
    )
    tries = {(row[0], row[1]): row[2] for row in session.connection.execute(query)}
    if tries:
        _forget(session, {_key(point) for point in sent} & tries.keys())
    if refusals:
        session.connection.execute(
            sa.insert(quarantined_points),
            [
                _values(session.tenant_id, each, tries.get(_key(each.point), 0) + 1, now)
                for each in refusals
            ],
        )


def _forget(session: TenantSession, keys: Collection[tuple[str, str]]) -> None:
    if keys:
        session.connection.execute(
            sa.delete(quarantined_points).where(
                _REFUSED.tenant_id == session.tenant_id,
                _REFUSED.measurement == sa.bindparam("of_measurement"),
                _REFUSED.point_id == sa.bindparam("of_id"),
            ),
            [{"of_measurement": key[0], "of_id": key[1]} for key in sorted(keys)],
        )


def _key(point: Point) -> tuple[str, str]:
    return point.measurement, str(point.point_id)


def _values(tenant_id: TenantId, refusal: Refusal, tries: int, now: datetime) -> dict[str, object]:
    point = refusal.point
    return {
        "tenant_id": tenant_id,
        "measurement": point.measurement,
        "point_id": str(point.point_id),
        "time": datetime.fromtimestamp(point.stamp // NANOS_A_SECOND, UTC),
        "line": point.line,
        "reason": refusal.reason,
        "quarantined_at": now,
        "tries": tries,
        "retry_at": now + backoff(tries, first=_FIRST, most=_MOST),
    }
