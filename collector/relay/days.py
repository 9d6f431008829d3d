"""The SQL of the figures: days of a tenant that changed, their rows that did, and their sums."""

from collections import defaultdict
from collections.abc import Collection
from datetime import date, datetime
from typing import NamedTuple

import sqlalchemy as sa

from collector.relay.points import TENANT_DAY, USAGE_COST, DaySums
from ledger.models import usage_rollups_daily, usage_tenant_days
from ledger.rollups import RollupRow, read_rollups
from ledger.session import TenantSession
from ledger.shipping import are_day_rows_due, is_day_point_due, is_row_due
from ledger.spending import IS_AI, IS_SENT_EMAIL, IS_TWILIO

_DAY = usage_tenant_days.c
_ROW = usage_rollups_daily.c

_MOST_DAYS = 400
"""Most days read at once, so that their dates fit into one statement."""

_NOTHING = DaySums(0, 0, 0, 0, 0, 0, 0)


class DueDay(NamedTuple):
    """A tenant's day as it is booked, at the revision that was read."""

    start: datetime
    plan: str
    revision: int


_DUE = {TENANT_DAY: is_day_point_due(), USAGE_COST: are_day_rows_due()}


def read_due_days(
    session: TenantSession, *, of: Collection[str], after: date | None, points: int
) -> dict[date, DueDay]:
    """Return the next days that are due, in order: one at least, up to a number of points.

    Args:
        session: of the tenant.
        of: measurements of figures, of which one has to be due.
        after: the last day that was read.
        points: how many points there should be at most.
    """
    query = (
        sa.select(_DAY.date, _DAY.day_start_utc, _DAY.plan, _DAY.revision)
        .where(_DAY.tenant_id == session.tenant_id, sa.or_(*(_DUE[each] for each in sorted(of))))
        .order_by(_DAY.date)
        .limit(_MOST_DAYS)
    )
    if after is not None:
        query = query.where(_DAY.date > after)
    found = {day: DueDay(*rest) for day, *rest in session.connection.execute(query)}
    rows = _count_due_rows(session, found) if USAGE_COST in of else {}
    chosen: dict[date, DueDay] = {}
    total = 0
    for day, due in found.items():
        total += 1 + rows.get(day, 0)
        if chosen and total > points:
            break
        chosen[day] = due
    return chosen


def _count_due_rows(session: TenantSession, days: Collection[date]) -> dict[date, int]:
    query = (
        sa.select(_ROW.date, sa.func.count())
        .where(_ROW.tenant_id == session.tenant_id, _ROW.date.in_(days), is_row_due())
        .group_by(_ROW.date)
    )
    return {row[0]: row[1] for row in session.connection.execute(query)} if days else {}


def read_due_rows(session: TenantSession, days: Collection[date]) -> list[RollupRow]:
    """Return the rollup rows of these days that changed since they were shipped."""
    return list(read_rollups(session, _ROW.date.in_(days), is_row_due()).values())


def sum_days(session: TenantSession, days: Collection[date]) -> dict[date, DaySums]:
    """Return what all rows of these days come to, whether they changed or not.

    Summed here and not in SQL: a sum of nano-dollars may be more than a column holds.
    """
    query = sa.select(
        _ROW.date, _ROW.estimated_cost, IS_AI, IS_TWILIO, IS_SENT_EMAIL, _ROW.quantity
    ).where(_ROW.tenant_id == session.tenant_id, _ROW.date.in_(days))
    sums: defaultdict[date, DaySums] = defaultdict(lambda: _NOTHING)
    for day, cost, is_ai, is_twilio, is_email, quantity in session.connection.execute(query):
        known, is_unpriced, before = cost or 0, cost is None, sums[day]
        sums[day] = DaySums(
            cost=before.cost + known,
            ai_cost=before.ai_cost + (known if is_ai else 0),
            twilio_cost=before.twilio_cost + (known if is_twilio else 0),
            emails=before.emails + (quantity if is_email else 0),
            unpriced=before.unpriced + is_unpriced,
            ai_unpriced=before.ai_unpriced + (is_unpriced and bool(is_ai)),
            twilio_unpriced=before.twilio_unpriced + (is_unpriced and bool(is_twilio)),
        )
    return sums
