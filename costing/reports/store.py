"""The SQL of the reports: sums over daily rollup rows, of one tenant or of every tenant at once."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from costing.reports.figures import Figures, known_cost
from ledger.columns import whole_sum
from ledger.missing import IS_FLAT_RATED_AI
from ledger.models import tenant_periods, tenants, usage_rollups_daily
from ledger.money import Nanos
from ledger.period import DateRange
from ledger.session import OperatorSession, TenantSession
from ledger.spending import IS_AI, IS_SENT_EMAIL, IS_TWILIO
from ledger.tenant import UNATTRIBUTED, TenantId
from ledger.zones import ZoneRange, is_in_force, is_within, read_zone_ranges

_ROLLUP = usage_rollups_daily.c
_PERIOD = tenant_periods.c
_COUNT, _COST = _ROLLUP["count"], _ROLLUP.estimated_cost
_UNPRICED = _COST.is_(None)


class Group(NamedTuple):
    """What a feature used on a channel by way of a source."""

    channel: str
    feature: str | None
    source: str | None
    figures: Figures


class TenantSums(NamedTuple):
    """What the grid needs of one tenant. Costs are None where nothing has a price.

    Rows tell whether a cost is known; counts are what people are shown.
    """

    tenant_id: TenantId
    name: str
    plan: str
    closed_at: datetime | None
    cost: int | None
    unpriced_rows: int
    unpriced_count: int
    ai_cost: int | None
    unpriced_ai_rows: int
    unpriced_ai_count: int
    flat_rated_ai_count: int
    twilio_cost: int | None
    unpriced_twilio_rows: int
    emails_sent: int


def read_groups(session: TenantSession, dates: DateRange) -> list[Group]:
    """Return a tenant's figures by channel, feature and source, in no order."""
    key = (_ROLLUP.channel, _ROLLUP.feature, _ROLLUP.source)
    return [
        Group(channel, feature, source, _figures(tuple(sums)))
        for channel, feature, source, *sums in _read(session, dates, *key)
    ]


def read_days(session: TenantSession, dates: DateRange) -> dict[tuple[date, str], Figures]:
    """Return a tenant's figures by local date and channel, where there are any."""
    rows = _read(session, dates, _ROLLUP.date, _ROLLUP.channel)
    return {(row[0], row[1]): _figures(row[2:]) for row in rows}


def read_daily_spend(
    session: TenantSession, dates: DateRange
) -> dict[str | None, dict[date, Nanos]]:
    """Return what a tenant's priced usage came to, by feature and local date."""
    found: dict[str | None, dict[date, Nanos]] = {}
    for feature, day, *sums in _read(session, dates, _ROLLUP.feature, _ROLLUP.date):
        cost = _figures(tuple(sums)).estimated_cost
        if cost is not None:
            found.setdefault(feature, {})[day] = cost
    return found


def read_tenant_sums(
    session: OperatorSession, *, days: int, now: datetime, plan: str | None
) -> list[TenantSums]:
    """Return the sums of every tenant over its own last `days` local dates, in no order."""
    ranges = read_zone_ranges(session, days=days, now=now)
    if not ranges:
        return []
    rows = session.connection.execute(_tenant_sums_query(ranges, now=now, plan=plan))
    return [TenantSums(*row) for row in rows]


def read_plans(session: OperatorSession, *, now: datetime) -> list[str]:
    """Return the plans that tenants are on, by name."""
    query = (
        sa.select(_PERIOD.plan)
        .distinct()
        .select_from(tenants.join(tenant_periods, is_in_force(now)))
        .where(tenants.c.tenant_id != UNATTRIBUTED)
        .order_by(_PERIOD.plan)
    )
    return list(session.connection.execute(query).scalars())


def _read(
    session: TenantSession, dates: DateRange, *key: sa.ColumnElement[Any]
) -> Iterator[tuple[Any, ...]]:
    query = (
        sa.select(
            *key,
            whole_sum(_COUNT),
            whole_sum(_COST),
            _rows_where(_UNPRICED),
            *_counts(_UNPRICED, IS_FLAT_RATED_AI),
        )
        .where(
            _ROLLUP.tenant_id == session.tenant_id,
            _ROLLUP.date >= dates.start,
            _ROLLUP.date < dates.end,
        )
        .group_by(*key)
    )
    return (tuple(row) for row in session.connection.execute(query))


def _figures(sums: tuple[Any, ...]) -> Figures:
    count, cost, unpriced_rows, unpriced, flat_rated = sums
    has_unpriced = unpriced_rows > 0
    return Figures(
        count=count,
        estimated_cost=known_cost(cost, has_unpriced=has_unpriced),
        has_unpriced=has_unpriced,
        unpriced_count=unpriced,
        flat_rated_count=flat_rated,
    )


def _counts(*conditions: sa.ColumnElement[bool]) -> list[sa.ColumnElement[int]]:
    return [_sum_where(condition, _COUNT) for condition in conditions]


def _rows_where(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    # Tenants are counted, not rows: the outer join makes an empty row where there is no usage.
    return sa.func.count(sa.case((condition, _ROLLUP.tenant_id)))


def _sum_where(
    condition: sa.ColumnElement[bool], amount: sa.ColumnElement[int]
) -> sa.ColumnElement[int]:
    return sa.func.coalesce(whole_sum(sa.case((condition, amount), else_=0)), 0)


def _cost_where(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int | None]:
    return whole_sum(sa.case((condition, _COST)))


def _tenant_sums_query(
    ranges: list[ZoneRange], *, now: datetime, plan: str | None
) -> sa.Select[Any]:
    of_tenant = sa.and_(_ROLLUP.tenant_id == tenants.c.tenant_id, is_within(_ROLLUP.date, ranges))
    query = (
        sa.select(
            tenants.c.tenant_id,
            tenants.c.name,
            _PERIOD.plan,
            tenants.c.closed_at,
            whole_sum(_COST),
            _rows_where(_UNPRICED),
            *_counts(_UNPRICED),
            _cost_where(IS_AI),
            _rows_where(sa.and_(IS_AI, _UNPRICED)),
            *_counts(sa.and_(IS_AI, _UNPRICED), IS_FLAT_RATED_AI),
            _cost_where(IS_TWILIO),
            _rows_where(sa.and_(IS_TWILIO, _UNPRICED)),
            _sum_where(IS_SENT_EMAIL, _ROLLUP.quantity),
        )
        .select_from(
            tenants.join(tenant_periods, is_in_force(now)).outerjoin(usage_rollups_daily, of_tenant)
        )
        .group_by(tenants.c.tenant_id, tenants.c.name, _PERIOD.plan, tenants.c.closed_at)
    )
    return query if plan is None else query.where(_PERIOD.plan == plan)
