"""The days of tenants that have usage: when each began, on which plan, and how often it changed."""

from collections.abc import Iterable
from datetime import date, datetime

import sqlalchemy as sa

from ledger.columns import in_order_of
from ledger.models import usage_tenant_days
from ledger.period import day_start
from ledger.rollups import FIRST_REVISION
from ledger.session import OperatorSession, TenantSession
from ledger.shipping import due_since
from ledger.tenant import Tenant, TenantId

_DAY = usage_tenant_days.c


def note_days(
    session: TenantSession, tenant: Tenant, dates: Iterable[date], *, now: datetime
) -> None:
    """Raise the revision of days whose rollups change, in the transaction that changes them.

    A day that is new gets its start and the plan in force then, and keeps both. The caller holds
    the tenant's costing lock.
    """
    wanted = set(dates)
    known = wanted - book_days(session, tenant, wanted, now=now)
    if known:
        of_days = (_DAY.tenant_id == session.tenant_id, _DAY.date.in_(sorted(known)))
        _raise_revisions(session, *of_days, now=now)


def book_days(
    session: TenantSession, tenant: Tenant, dates: Iterable[date], *, now: datetime
) -> set[date]:
    """Book those days that are not there; return them. The caller holds the costing lock."""
    wanted = sorted(set(dates))
    query = sa.select(_DAY.date).where(_DAY.tenant_id == session.tenant_id, _DAY.date.in_(wanted))
    new = set(wanted).difference(session.connection.execute(query).scalars()) if wanted else set()
    if new:
        session.connection.execute(
            sa.insert(usage_tenant_days),
            [_first_values(tenant, day, now=now) for day in sorted(new)],
        )
    return new


def note_name(session: OperatorSession, tenant_id: TenantId, *, now: datetime) -> None:
    """Raise the revision of all days of a tenant whose name changes: each carries it."""
    _raise_revisions(session, _DAY.tenant_id == tenant_id, now=now)


def _raise_revisions(
    session: OperatorSession | TenantSession, *conditions: sa.ColumnElement[bool], now: datetime
) -> None:
    session.connection.execute(
        sa.update(usage_tenant_days)
        .where(in_order_of(_DAY.date, *conditions))
        .values(revision=_DAY.revision + 1, due_since=due_since(now))
    )


def _first_values(tenant: Tenant, day: date, *, now: datetime) -> dict[str, object]:
    start = day_start(day, tenant)
    return {
        "tenant_id": tenant.tenant_id,
        "date": day,
        "day_start_utc": start,
        "plan": tenant.period_at(start).plan,
        "revision": FIRST_REVISION,
        "due_since": now,
    }
