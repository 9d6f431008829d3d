"""The SQL of the reports: sums over daily rollup rows of one tenant."""

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import sqlalchemy as sa

from costing.prices import FLAT_SOURCE
from costing.reports.figures import Figures, known_cost
from ledger.models import usage_rollups_daily
from ledger.period import DateRange
from ledger.session import TenantSession

_ROLLUP = usage_rollups_daily.c
_COUNT, _COST = _ROLLUP["count"], _ROLLUP.estimated_cost
_IS_AI = _ROLLUP.channel == "ai"
_UNPRICED = _COST.is_(None)
_FLAT_RATED = sa.and_(_IS_AI, _ROLLUP.price_source == FLAT_SOURCE)


class Group(NamedTuple):
    """What a feature used on a channel by way of a source."""

    channel: str
    feature: str | None
    source: str | None
    figures: Figures


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


def _read(
    session: TenantSession, dates: DateRange, *key: sa.ColumnElement[Any]
) -> Iterator[tuple[Any, ...]]:
    query = (
        sa.select(*key, sa.func.sum(_COUNT), sa.func.sum(_COST), *_counts(_UNPRICED, _FLAT_RATED))
        .where(
            _ROLLUP.tenant_id == session.tenant_id,
            _ROLLUP.date >= dates.start,
            _ROLLUP.date < dates.end,
        )
        .group_by(*key)
    )
    return (tuple(row) for row in session.connection.execute(query))


def _figures(sums: tuple[Any, ...]) -> Figures:
    count, cost, unpriced, flat_rated = map(_whole, sums)
    return Figures(
        count=count,
        estimated_cost=known_cost(cost, unpriced),
        unpriced_count=unpriced,
        flat_rated_count=flat_rated,
    )


def _whole(value: Any) -> Any:
    # Sums of BIGINT are NUMERIC on PostgreSQL.
    return None if value is None else int(value)


def _counts(*conditions: sa.ColumnElement[bool]) -> list[sa.ColumnElement[int]]:
    return [_sum_where(condition, _COUNT) for condition in conditions]


def _sum_where(
    condition: sa.ColumnElement[bool], amount: sa.ColumnElement[int]
) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, amount), else_=0)), 0)
