"""What closed days were reported as on an earlier date: the journal, read up to then.

A row of a closed day changes in no other way than by an entry of the journal. So each figure that
it said is what the last entry until then left, or else what the first one after it found.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from costing.export import ExportLine
from ledger.errors import ConflictError
from ledger.models import usage_journal, usage_rollups_daily
from ledger.money import Nanos
from ledger.period import DateRange, closes_at, day_start
from ledger.rollups import RollupRow, read_rollups
from ledger.session import TenantSession
from ledger.tenant import Tenant

_ROW = usage_rollups_daily.c
_ENTRY = usage_journal.c
_DAY = timedelta(days=1)


def read_reported(
    session: TenantSession, tenant: Tenant, dates: DateRange, *, known_on: date, now: datetime
) -> Iterator[ExportLine]:
    """Yield the lines of the export as they were at the end of a local date.

    Args:
        session: of the tenant.
        tenant: whose usage.
        dates: all of which had closed by then.
        known_on: the local date at whose end, or now where that is earlier, it was known.
        now: the current instant.

    Raises:
        ConflictError: `day_was_open`: until a day closes, what changes leaves no trace.
    """
    until = min(now, day_start(known_on + _DAY, tenant))
    last = dates.end - _DAY
    if closes_at(last, tenant) > until:
        raise ConflictError(
            "day_was_open",
            f"{last} had not closed by the end of {known_on}: a day closes 48 hours after its end,"
            " and only what changes after that is known by date",
            key="as_reported",
            value=known_on,
        )
    return _add_up(session, dates, _figures_until(session, dates, until))


def _figures_until(
    session: TenantSession, dates: DateRange, until: datetime
) -> Mapping[tuple[date, UUID], Mapping[str, Any] | None]:
    """Return what journalled rows said at an instant; None of a row that was not there.

    A figure that no entry names is what the row says now.
    """
    query = (
        sa.select(_ENTRY.date, _ENTRY.rollup_id, _ENTRY.booked_at, _ENTRY.before, _ENTRY.after)
        .where(
            _ENTRY.tenant_id == session.tenant_id,
            _ENTRY.date >= dates.start,
            _ENTRY.date < dates.end,
        )
        .order_by(_ENTRY.entry_id)
    )
    found: dict[tuple[date, UUID], dict[str, Any] | None] = {}
    for day, rollup_id, booked_at, before, after in session.connection.execute(query):
        key = (day, rollup_id)
        known = found.setdefault(key, {} if before or booked_at <= until else None)
        if known is None:
            continue
        if booked_at <= until:
            known.update(after)
        else:
            for name, value in before.items():
                known.setdefault(name, value)
    return found


def _add_up(
    session: TenantSession,
    dates: DateRange,
    journalled: Mapping[tuple[date, UUID], Mapping[str, Any] | None],
) -> Iterator[ExportLine]:
    """Yield lines as `costing.export.read_export` does, in its order."""
    sums: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    rows = read_rollups(session, _ROW.date >= dates.start, _ROW.date < dates.end)
    for key, row in rows.items():
        journal = journalled.get((key.date, key.rollup_id), {})
        if journal is None:
            continue
        figures = {**_figures(row), **journal}
        cost = figures["estimated_cost"]
        group = (key.date, key.channel, key.direction, key.source or "", key.feature or "")
        total = sums[(*group, cost is None)]
        total[0] += figures["count"]
        total[1] += cost or 0
    for (day, channel, direction, source, feature, is_unpriced), (count, cost) in sorted(
        sums.items()
    ):
        if count or cost or is_unpriced:
            known = None if is_unpriced else Nanos(cost)
            yield ExportLine(day, channel, direction, source or None, feature or None, count, known)


def _figures(row: RollupRow) -> Mapping[str, Any]:
    return {"count": row.tally.events, "estimated_cost": row.estimated_cost}
