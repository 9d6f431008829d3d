"""What the ledger says, part by part: raw usage by days of UTC, figures by the start of a day."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from collector.relay.parts import Key, Part, key_at
from collector.relay.points import TENANT_DAY, USAGE, USAGE_COST
from collector.relay.reading import Oldest
from collector.relay.resend import read_last_taken
from ledger.columns import utc_date
from ledger.measures import MEASURE_COLUMNS
from ledger.models import (
    quarantined_points,
    unshipped_batches,
    usage_batches,
    usage_metrics,
    usage_rollups_daily,
    usage_tenant_days,
)
from ledger.money import NANOS_PER_USD
from ledger.session import TenantSession
from ledger.shipping import are_day_rows_due, is_day_point_due, is_row_due
from ledger.spending import IS_AI, IS_SENT_EMAIL, IS_TWILIO

_RAW = usage_metrics.c
_ROW = usage_rollups_daily.c
_DAY = usage_tenant_days.c
_REFUSED = quarantined_points.c
_ONE_DAY = timedelta(days=1)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)

Parts = dict[Key, Part]


def find_starts(session: TenantSession, oldest: Oldest) -> dict[str, datetime]:
    """Return from when on each measurement can be compared.

    Raw usage that retention took has no rows to compare its points with, and what expired in
    InfluxDB has no points; of either a day more is left out, since their edges are within days.
    """
    usage, figures = oldest.usage, oldest.figures
    starts = {
        USAGE: _EVER if usage is None else _midnight(usage.date() + 2 * _ONE_DAY),
        USAGE_COST: _EVER if figures is None else figures + _ONE_DAY,
    }
    taken = read_last_taken(session)
    if taken is not None:
        # A local date ends at most half a day after that of UTC.
        starts[USAGE] = max(starts[USAGE], _midnight(taken + 2 * _ONE_DAY))
    return {**starts, TENANT_DAY: starts[USAGE_COST]}


def read_parts(session: TenantSession, starts: dict[str, datetime]) -> Parts:
    """Return what a tenant's series have to say, from one snapshot."""
    parts = {
        **_read_usage(session, starts[USAGE]),
        **_read_figures(session, starts[USAGE_COST]),
    }
    query = sa.select(_REFUSED.measurement, _REFUSED.time).where(
        _REFUSED.tenant_id == session.tenant_id
    )
    for measurement, time in session.connection.execute(query):
        key = key_at(measurement, time)
        if key in parts:
            parts[key] = parts[key]._replace(waiting=parts[key].waiting + 1)
    return parts


def _read_usage(session: TenantSession, start: datetime) -> Parts:
    day = utc_date(_RAW.time)
    waits = sa.or_(
        *(
            _RAW.batch_id.in_(
                sa.select(table.c.batch_id).where(table.c.tenant_id == session.tenant_id)
            )
            for table in (usage_batches, unshipped_batches)
        )
    )
    query = (
        sa.select(
            day,
            sa.func.sum(sa.case((waits, 1), else_=0)),
            sa.func.count(),
            sa.func.sum(_RAW["count"]),
            *(sa.func.sum(_RAW[name]) for name in MEASURE_COLUMNS),
        )
        .where(_RAW.tenant_id == session.tenant_id, _RAW.time >= start)
        .group_by(day)
    )
    return {
        key_at(USAGE, _midnight(date.fromisoformat(text))): Part(
            tuple(map(int, sums)), int(waiting)
        )
        for text, waiting, *sums in session.connection.execute(query)
    }


def _read_figures(session: TenantSession, start: datetime) -> Parts:
    """Sum the rows by the start of their day, and by their date."""
    days = _read_days(session)
    rows: defaultdict[Key, list[Any]] = defaultdict(list)
    of_date: defaultdict[date, list[Any]] = defaultdict(list)
    waiting: defaultdict[Key, int] = defaultdict(int)
    for row in _list_rows(session):
        known = (row.cost or 0, row.is_ai, row.is_twilio, row.is_email, row.quantity)
        of_date[row.date].append((*known, row.cost is None))
        if row.day_start_utc >= start:
            key = key_at(USAGE_COST, row.day_start_utc)
            rows[key].append((1, row.count, *row[_FIRST_MEASURE:], row.cost or 0, row.cost is None))
            # The relay looks at days that are due. A row that is due and whose day is not waits for
            # nobody: somebody has been at the ledger.
            waiting[key] += row.is_due and row.date in days and days[row.date].are_rows_due
    parts = {
        key: Part(tuple(map(sum, zip(*group, strict=True))), waiting[key])
        for key, group in rows.items()
    }
    for day, booked in days.items():
        if booked.start >= start:
            figures = _day_figures(of_date[day])
            parts[key_at(TENANT_DAY, booked.start)] = Part(figures, int(booked.is_due))
    return parts


_FIRST_MEASURE = 8


def _list_rows(session: TenantSession) -> Any:
    query = sa.select(
        _ROW.date,
        _ROW.day_start_utc,
        _ROW["count"].label("count"),
        _ROW.estimated_cost.label("cost"),
        sa.case((is_row_due(), 1), else_=0).label("is_due"),
        sa.case((IS_AI, 1), else_=0).label("is_ai"),
        sa.case((IS_TWILIO, 1), else_=0).label("is_twilio"),
        sa.case((IS_SENT_EMAIL, 1), else_=0).label("is_email"),
        *(_ROW[name] for name in MEASURE_COLUMNS),
    ).where(_ROW.tenant_id == session.tenant_id)
    return session.connection.execute(query)


class _Day(NamedTuple):
    start: datetime
    is_due: bool
    are_rows_due: bool


def _read_days(session: TenantSession) -> dict[date, _Day]:
    query = sa.select(_DAY.date, _DAY.day_start_utc, is_day_point_due(), are_day_rows_due()).where(
        _DAY.tenant_id == session.tenant_id
    )
    return {day: _Day(*rest) for day, *rest in session.connection.execute(query)}


def _day_figures(rows: list[Any]) -> tuple[float, ...]:
    cost = sum(row[0] for row in rows)
    ai, twilio = (sum(row[0] for row in rows if row[place]) for place in (1, 2))
    emails = sum(row[4] for row in rows if row[3])
    unpriced = [row for row in rows if row[5]]
    ai_unpriced, twilio_unpriced = (sum(bool(row[place]) for row in unpriced) for place in (1, 2))
    costs = (nanos / NANOS_PER_USD for nanos in (cost, ai, twilio))
    return (1, *costs, emails, len(unpriced), ai_unpriced, twilio_unpriced)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
