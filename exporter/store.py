"""The SQL of the spending metrics: sums over rollup rows of today and over the last hours."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from ledger.columns import whole_sum
from ledger.models import (
    tenant_periods,
    tenants,
    usage_rollups_daily,
    usage_rollups_hourly,
)
from ledger.session import OperatorSession
from ledger.spending import IS_AI
from ledger.zones import is_in_force, is_within, read_zone_ranges

_ROW = usage_rollups_daily.c
_HOUR = usage_rollups_hourly.c
_COST = _ROW.estimated_cost
_UNPRICED = _COST.is_(None)
_AN_HOUR = timedelta(hours=1)
_A_DAY = timedelta(days=1)


class GroupToday(NamedTuple):
    """What all tenants used on a channel, by way of a source, for a feature; cost in nanos."""

    channel: str
    source: str | None
    feature: str | None
    usages: int
    cost: int
    unpriced_usages: int


class TenantToday(NamedTuple):
    """What a tenant spent; costs in nanos are of what has a price."""

    tenant_id: str
    cost: int
    ai_cost: int
    unpriced_ai_rows: int


class HourCost(NamedTuple):
    """What a tenant spent within an hour, in nanos, as floats: an hour is a part of its days."""

    tenant_id: str
    cost: float
    ai_cost: float


class UsualCost(NamedTuple):
    """What a tenant spent within some days, and in how many hours of them; costs as above."""

    tenant_id: str
    cost: float
    hours: int
    ai_cost: float
    ai_hours: int


def read_groups_today(session: OperatorSession, *, now: datetime) -> list[GroupToday]:
    """Return what was used today, which is each tenant's own, in no order."""
    key = (_ROW.channel, _ROW.source, _ROW.feature)
    unpriced = sa.func.coalesce(whole_sum(sa.case((_UNPRICED, _ROW["count"]))), 0)
    sums = (whole_sum(_ROW["count"]), _known(_COST), unpriced)
    return [GroupToday(*row) for row in _read_today(session, key, *sums, now=now)]


def read_tenants_today(session: OperatorSession, *, now: datetime) -> list[TenantToday]:
    """Return what each tenant spent on its own today, those without usage left out, in no order."""
    sums = (
        _known(_COST),
        _known(sa.case((IS_AI, _COST))),
        sa.func.count(sa.case((sa.and_(IS_AI, _UNPRICED), _ROW.tenant_id))),
    )
    return [
        TenantToday(*row) for row in _read_today(session, [tenants.c.tenant_id], *sums, now=now)
    ]


def read_costly_hours(session: OperatorSession, *, at_least: int, now: datetime) -> list[HourCost]:
    """Return the hour that runs and the one before it of tenants that spent so much, in no order.

    Args:
        session: of an operator.
        at_least: in nanos, over 0.
        now: the current instant.
    """
    within = (_HOUR.hour >= start_of_hour(now) - _AN_HOUR, _HOUR.hour <= now)
    cost, ai_cost = _part_sums()
    query = (
        sa.select(_HOUR.tenant_id, cost, ai_cost)
        .select_from(_hours_of_rows())
        .where(*within)
        .group_by(_HOUR.tenant_id, _HOUR.hour)
        .having(cost >= at_least)
    )
    return [HourCost(*row) for row in session.connection.execute(query)]


def read_usual_hours(
    session: OperatorSession, tenant_ids: Sequence[str], *, days: int, now: datetime
) -> list[UsualCost]:
    """Return what tenants spent in the `days` before the hour before this one, in no order."""
    end = start_of_hour(now) - _AN_HOUR
    start = end - timedelta(days=days)
    cost, ai_cost = _part_sums()
    by_hour = (
        sa.select(_HOUR.tenant_id, cost.label("cost"), ai_cost.label("ai_cost"))
        .select_from(_hours_of_rows())
        .where(
            _HOUR.tenant_id.in_(tenant_ids),
            # Local dates of these hours, in whatever zone: it is what the key begins with.
            _HOUR.date >= (start - _A_DAY).date(),
            _HOUR.hour >= start,
            _HOUR.hour < end,
        )
        .group_by(_HOUR.tenant_id, _HOUR.hour)
        .subquery()
    )
    each = by_hour.c
    query = sa.select(
        each.tenant_id,
        sa.func.sum(each.cost),
        sa.func.count(sa.case((each.cost > 0, 1))),
        sa.func.sum(each.ai_cost),
        sa.func.count(sa.case((each.ai_cost > 0, 1))),
    ).group_by(each.tenant_id)
    return [UsualCost(*row) for row in session.connection.execute(query)]


def read_newest_hour(session: OperatorSession, *, now: datetime) -> datetime | None:
    """Return the start of the newest hour with costed usage, none of the future; or None."""
    query = sa.select(sa.func.max(_HOUR.hour)).where(_HOUR.hour <= now)
    newest: datetime | None = session.connection.execute(query).scalar_one()
    return newest


def start_of_hour(now: datetime) -> datetime:
    """Return when the UTC hour of an instant began."""
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _read_today(
    session: OperatorSession,
    key: Sequence[sa.Column[Any]],
    *sums: sa.ColumnElement[Any],
    now: datetime,
) -> list[Any]:
    """Return sums over today's rows by a key."""
    ranges = read_zone_ranges(session, days=1, now=now)
    if not ranges:
        return []
    of_today = sa.and_(
        _ROW.tenant_id == tenants.c.tenant_id,
        is_within(_ROW.date, ranges),
        # Said again in plain dates, from which a planner sees how few rows that is.
        _ROW.date >= min(dates.start for dates, _ in ranges),
        _ROW.date < max(dates.end for dates, _ in ranges),
    )
    # Outer, so that tenants come first: joined the other way, all rows there ever were are read.
    query = (
        sa.select(*key, *sums)
        .select_from(
            tenants.join(tenant_periods, is_in_force(now)).outerjoin(usage_rollups_daily, of_today)
        )
        .group_by(*key)
        .having(sa.func.count(_ROW.tenant_id) > 0)
    )
    return list(session.connection.execute(query))


def _known(amount: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(whole_sum(amount), 0)


def _hours_of_rows() -> sa.Join:
    same = (_ROW[name] == _HOUR[name] for name in ("tenant_id", "date", "rollup_id"))
    return usage_rollups_hourly.join(usage_rollups_daily, sa.and_(*same))


def _part_sums() -> tuple[sa.ColumnElement[float], sa.ColumnElement[float]]:
    """Return what an hour's parts of its rows cost, and those of AI; unpriced ones are left out."""
    cost = sa.cast(_COST, sa.Float)
    part = sa.case(
        (_ROW.quantity != 0, cost * _HOUR.quantity / _ROW.quantity),
        (_ROW["count"] != 0, cost * _HOUR["count"] / _ROW["count"]),
    )

    def total(amount: sa.ColumnElement[Any]) -> sa.ColumnElement[float]:
        return sa.func.coalesce(sa.func.sum(amount), 0.0)

    return total(part), total(sa.case((IS_AI, part)))
