"""Anomalies of spend in SQL: the list of what was found."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ledger.engine import is_postgresql
from ledger.models import tenants, usage_anomalies
from ledger.money import Nanos
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId

LISTED_DAYS = 7
"""How many local dates are listed at least, those that are running included: late usage is found as
long as that."""

_ANOMALY = usage_anomalies.c


@dataclass(frozen=True, kw_only=True, slots=True)
class Anomaly:
    """A local date on which more was spent on a channel than the weeks before let expect.

    Attributes:
        usual: what they let expect.
        bound: what would still have been within the usual.
    """

    date: date
    channel: str
    spent: Nanos
    usual: Nanos
    bound: Nanos


def listed_since(now: datetime) -> date:
    """Return the first date of which anomalies are looked for, listed and counted.

    West of UTC today can be yesterday still, and has as many dates then as elsewhere.
    """
    return now.astimezone(UTC).date() - timedelta(days=LISTED_DAYS)


def replace_anomalies(session: TenantSession, anomalies: Iterable[Anomaly], *, since: date) -> None:
    """Write down what was found of a tenant from a date on; what was there of it is gone.

    Where another transaction has written down the same day meanwhile, what that one found stays: it
    is as fresh, and the next search compares.
    """
    session.connection.execute(
        sa.delete(usage_anomalies).where(
            _ANOMALY.tenant_id == session.tenant_id, _ANOMALY.date >= since
        )
    )
    rows = [
        {
            "tenant_id": session.tenant_id,
            **{name: getattr(one, name) for name in Anomaly.__slots__},
        }
        # In one order, so that no two that write at once wait for each other.
        for one in sorted(anomalies, key=lambda one: (one.date, one.channel))
    ]
    if rows:
        insert = postgresql.insert if is_postgresql(session.connection) else sqlite.insert
        session.connection.execute(insert(usage_anomalies).on_conflict_do_nothing(), rows)


def read_anomalies(
    session: OperatorSession, *, since: date, limit: int | None = None
) -> list[tuple[TenantId, str, Anomaly]]:
    """Return tenant, its name and what was found from a date on, the greatest excess first."""
    excess = _ANOMALY.spent - _ANOMALY.usual
    query = (
        sa.select(usage_anomalies, tenants.c.name)
        .join(tenants, tenants.c.tenant_id == _ANOMALY.tenant_id)
        .where(_ANOMALY.date >= since)
        .order_by(excess.desc(), _ANOMALY.tenant_id, _ANOMALY.date, _ANOMALY.channel)
        .limit(limit)
    )
    return [
        (
            TenantId(row["tenant_id"]),
            row["name"],
            Anomaly(**{name: row[name] for name in Anomaly.__slots__}),
        )
        for row in session.connection.execute(query).mappings()
    ]


def count_anomalies(session: OperatorSession, *, since: date) -> int:
    """Return how many there are from a date on, of all tenants."""
    query = sa.select(sa.func.count()).select_from(usage_anomalies).where(_ANOMALY.date >= since)
    return session.connection.execute(query).scalar_one()
