"""Tenants and their dated periods in SQL."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from ledger.days import note_name
from ledger.errors import ConflictError, MissingError
from ledger.models import costing_state, tenant_periods, tenants
from ledger.one_message import ask
from ledger.session import OperatorSession, TenantSession, operator_session
from ledger.tenant import BEGINNING, UNATTRIBUTED, Tenant, TenantId, TenantPeriod

UNASSIGNED_PLAN = "unassigned"
DEFAULT_TIMEZONE = "UTC"

UNATTRIBUTED_NAME = "Unattributed usage"

_TICK = timedelta(microseconds=1)

_ALL = (
    sa.select(
        tenants.c.tenant_id,
        tenants.c.name,
        tenants.c.closed_at,
        tenant_periods.c.valid_from,
        tenant_periods.c.plan,
        tenant_periods.c.timezone,
    )
    .join(tenant_periods, tenants.c.tenant_id == tenant_periods.c.tenant_id)
    .order_by(tenants.c.tenant_id, tenant_periods.c.valid_from)
)
_ONE = _ALL.where(tenants.c.tenant_id == sa.bindparam("tenant"))


def find_tenants(session: OperatorSession, ids: set[TenantId]) -> dict[TenantId, Tenant]:
    """Return those of the named tenants that exist."""
    return _read(session, tenants.c.tenant_id.in_(sorted(ids)))


def look_up_tenant(engine: sa.Engine, tenant_id: TenantId) -> Tenant | None:
    """Return a tenant if it exists, by a transaction of its own that is as short as can be."""
    return _build(ask(engine, _ONE, tenant=tenant_id)).get(tenant_id)


def list_tenants(session: OperatorSession) -> list[Tenant]:
    """Return all tenants, ordered by id."""
    return list(_read(session, sa.true()).values())


def get_tenant(session: OperatorSession, tenant_id: TenantId) -> Tenant:
    """Return one tenant.

    Raises:
        MissingError: `unknown_tenant`.
    """
    return _only(find_tenants(session, {tenant_id}), tenant_id)


def get_own_tenant(session: TenantSession) -> Tenant:
    """Return the tenant that the session is for.

    Raises:
        MissingError: `unknown_tenant`.
    """
    return _only(_read(session, tenants.c.tenant_id == session.tenant_id), session.tenant_id)


def _only(found: dict[TenantId, Tenant], tenant_id: TenantId) -> Tenant:
    if tenant_id not in found:
        raise MissingError(
            "unknown_tenant", f"there is no tenant {tenant_id}", key="tenant", value=tenant_id
        )
    return found[tenant_id]


def add_tenant(  # noqa: PLR0913 - each argument is a column; keyword-only keeps calls readable
    session: OperatorSession,
    tenant_id: TenantId,
    *,
    name: str,
    now: datetime,
    plan: str = UNASSIGNED_PLAN,
    timezone: str = DEFAULT_TIMEZONE,
) -> Tenant:
    """Register a tenant; its first period covers everything before now, too.

    Raises:
        ConflictError: `tenant_exists`.
    """
    if tenant_id in find_tenants(session, {tenant_id}):
        raise ConflictError(
            "tenant_exists", f"tenant {tenant_id} is there already", key="tenant", value=tenant_id
        )
    period = TenantPeriod(valid_from=BEGINNING, plan=plan, timezone=timezone)
    session.connection.execute(
        sa.insert(tenants).values(tenant_id=tenant_id, name=name, created_at=now)
    )
    _append_period(session, tenant_id, period)
    # The row that costing locks. Were the first worker to make it, a second one would wait for it.
    session.connection.execute(sa.insert(costing_state).values(tenant_id=tenant_id))
    return Tenant(tenant_id=tenant_id, name=name, periods=(period,))


def ensure_unattributed(engine: sa.Engine, *, now: datetime) -> Tenant:
    """Return the reserved tenant, made on first need: where nothing needs it, nobody sees it."""
    found = look_up_tenant(engine, UNATTRIBUTED)
    if found is not None:
        return found
    with operator_session(engine, write=True) as session:
        there = find_tenants(session, {UNATTRIBUTED})
        if there:  # another process was faster
            return there[UNATTRIBUTED]
        return add_tenant(session, UNATTRIBUTED, name=UNATTRIBUTED_NAME, now=now)


def change_tenant(  # noqa: PLR0913 - as above
    session: OperatorSession,
    tenant_id: TenantId,
    *,
    now: datetime,
    name: str | None = None,
    plan: str | None = None,
    timezone: str | None = None,
) -> Tenant:
    """Change what is given. Plan and time zone change from `now` on; what was booked stays.

    Raises:
        MissingError: `unknown_tenant`.
    """
    tenant = get_tenant(session, tenant_id)
    if name is not None and name != tenant.name:
        session.connection.execute(
            sa.update(tenants).where(tenants.c.tenant_id == tenant_id).values(name=name)
        )
        note_name(session, tenant_id, now=now)
    current = tenant.current
    wanted = (plan or current.plan, timezone or current.timezone)
    if wanted != (current.plan, current.timezone):
        start = max(now, current.valid_from + _TICK)
        _append_period(
            session, tenant_id, TenantPeriod(valid_from=start, plan=wanted[0], timezone=wanted[1])
        )
    return get_tenant(session, tenant_id)


def put_tenant(  # noqa: PLR0913 - as above
    session: OperatorSession,
    tenant_id: TenantId,
    *,
    name: str,
    plan: str,
    timezone: str,
    now: datetime,
) -> tuple[Tenant, bool]:
    """Make a tenant what is given, whatever it was; return it and whether it is new.

    A tenant that was closed is open again. Plan and time zone change from `now` on.
    """
    if tenant_id not in find_tenants(session, {tenant_id}):
        added = add_tenant(session, tenant_id, name=name, plan=plan, timezone=timezone, now=now)
        return added, True
    reopen_tenant(session, tenant_id)
    changed = change_tenant(session, tenant_id, name=name, plan=plan, timezone=timezone, now=now)
    return changed, False


def close_tenant(session: OperatorSession, tenant_id: TenantId, *, now: datetime) -> Tenant:
    """Refuse usage of a tenant from `now` on and erase nothing; doing it again changes nothing.

    Raises:
        MissingError: `unknown_tenant`.
    """
    get_tenant(session, tenant_id)
    first = sa.func.coalesce(tenants.c.closed_at, sa.bindparam("now", now))
    _set_closing(session, tenant_id, first)
    return get_tenant(session, tenant_id)


def reopen_tenant(session: OperatorSession, tenant_id: TenantId) -> Tenant:
    """Take usage of a tenant again, also late usage of the time in which it was closed.

    Raises:
        MissingError: `unknown_tenant`.
    """
    get_tenant(session, tenant_id)
    _set_closing(session, tenant_id, sa.null())
    return get_tenant(session, tenant_id)


def _set_closing(
    session: OperatorSession, tenant_id: TenantId, closed_at: sa.ColumnElement[Any]
) -> None:
    session.connection.execute(
        sa.update(tenants).where(tenants.c.tenant_id == tenant_id).values(closed_at=closed_at)
    )


def _append_period(session: OperatorSession, tenant_id: TenantId, period: TenantPeriod) -> None:
    session.connection.execute(
        sa.insert(tenant_periods).values(
            tenant_id=tenant_id,
            valid_from=period.valid_from,
            plan=period.plan,
            timezone=period.timezone,
        )
    )


def _read(
    session: OperatorSession | TenantSession, condition: sa.ColumnElement[bool]
) -> dict[TenantId, Tenant]:
    return _build(session.connection.execute(_ALL.where(condition)))


def _build(rows: Iterable[Sequence[Any]]) -> dict[TenantId, Tenant]:
    known: dict[TenantId, tuple[str, datetime | None]] = {}
    periods: dict[TenantId, list[TenantPeriod]] = {}
    for tenant_id, name, closed_at, *period in rows:
        known[tenant_id] = name, closed_at
        valid_from, plan, timezone = period
        periods.setdefault(tenant_id, []).append(
            TenantPeriod(valid_from=valid_from, plan=plan, timezone=timezone)
        )
    return {
        tenant_id: Tenant(
            tenant_id=tenant_id,
            name=name,
            periods=tuple(periods[tenant_id]),
            closed_at=closed_at,
        )
        for tenant_id, (name, closed_at) in known.items()
    }
