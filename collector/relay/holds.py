"""The SQL of what is held back: measurements of a tenant of which InfluxDB refuses most."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from collector.relay.backoff import backoff
from ledger.models import relay_holds
from ledger.session import TenantSession

_HOLD = relay_holds.c
_FIRST = timedelta(seconds=1)
_MOST = timedelta(minutes=10)


def hold(session: TenantSession, reasons: Mapping[str, str], *, now: datetime) -> None:
    """Hold measurements back, those that are held already for twice as long as before."""
    known = sa.select(_HOLD.measurement, _HOLD.failures).where(_HOLD.tenant_id == session.tenant_id)
    failures = {row[0]: row[1] for row in session.connection.execute(known)}
    for measurement, reason in sorted(reasons.items()):
        count = failures.get(measurement, 0) + 1
        values = {
            "failures": count,
            "reason": reason,
            "retry_at": now + backoff(count, first=_FIRST, most=_MOST),
        }
        statement: sa.Update | sa.Insert
        if measurement in failures:
            statement = sa.update(relay_holds).where(_is_of(session, [measurement]))
        else:
            statement = sa.insert(relay_holds)
            values |= {
                "tenant_id": session.tenant_id, "measurement": measurement, "held_since": now
            }  # fmt: skip
        session.connection.execute(statement.values(values))


def lift(session: TenantSession, measurements: Collection[str]) -> None:
    """Hold measurements back no more."""
    session.connection.execute(sa.delete(relay_holds).where(_is_of(session, measurements)))


def _is_of(session: TenantSession, measurements: Collection[str]) -> sa.ColumnElement[bool]:
    return sa.and_(
        _HOLD.tenant_id == session.tenant_id, _HOLD.measurement.in_(sorted(measurements))
    )
