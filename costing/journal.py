"""What changed of closed days, when and why: the entries of the journal, as people read them."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from costing.store import Cause
from ledger.models import usage_journal, usage_rollups_daily
from ledger.money import Nanos, format_usd
from ledger.period import DateRange
from ledger.rollups import RollupKey
from ledger.session import TenantSession
from ledger.tenant import TenantId

JOURNAL_COLUMNS = (
    "booked_at", "tenant", "date", "channel", "direction", "source", "feature", "model",
    "price_class", "cause", "reason", "count_before", "cost_before", "price_version_before",
    "state_before", "count_after", "cost_after", "price_version_after", "state_after",
)  # fmt: skip

_ENTRY = usage_journal.c
_ROW = usage_rollups_daily.c
_LABELS = RollupKey._fields[1:]
_ENTRIES_AT_ONCE = 500
_FORMULA = ("=", "+", "-", "@")


class Figures(NamedTuple):
    """What a row said.

    Attributes:
        events: None where the entry says nothing of it: a repricing counts nothing.
        cost: None: it had no price.
    """

    events: int | None
    cost: Nanos | None
    price_version: str
    state: str


class JournalLine(NamedTuple):
    """What a rollup row of a closed day was and became.

    Attributes:
        labels: of the row, from channel to price class; all None where the row is gone.
        before: None: there was no row.
    """

    booked_at: datetime
    tenant_id: TenantId
    date: date
    rollup_id: UUID
    labels: tuple[str | None, ...]
    cause: str
    reason: str | None
    before: Figures | None
    after: Figures


def read_lines(
    session: TenantSession, dates: DateRange, *, cause: Cause | None = None
) -> Iterator[JournalLine]:
    """Yield a tenant's entries in the order in which they were booked.

    Args:
        session: of the tenant.
        dates: local dates of the rows.
        cause: only what changed by it; None: all.
    """
    is_of_row = sa.and_(
        _ROW.tenant_id == _ENTRY.tenant_id,
        _ROW.date == _ENTRY.date,
        _ROW.rollup_id == _ENTRY.rollup_id,
    )
    query = (
        sa.select(
            *(_ENTRY.booked_at, _ENTRY.date, _ENTRY.rollup_id, _ENTRY.cause, _ENTRY.reason),
            *(_ENTRY.before, _ENTRY.after),
            *(_ROW[name] for name in _LABELS),
        )
        .join_from(usage_journal, usage_rollups_daily, is_of_row, isouter=True)
        .where(
            _ENTRY.tenant_id == session.tenant_id,
            _ENTRY.date >= dates.start,
            _ENTRY.date < dates.end,
        )
        .order_by(_ENTRY.entry_id)
    )
    if cause is not None:
        query = query.where(_ENTRY.cause == str(cause))
    in_parts = {"yield_per": _ENTRIES_AT_ONCE}
    with session.connection.execute(query, execution_options=in_parts) as found:
        for booked_at, day, rollup_id, why, reason, before, after, *labels in found:
            yield JournalLine(
                booked_at=booked_at,
                tenant_id=session.tenant_id,
                date=day,
                rollup_id=rollup_id,
                labels=tuple(labels),
                cause=why,
                reason=reason,
                before=_figures(before) if before else None,
                after=_figures(after),
            )


def write_journal_csv(lines: Iterable[JournalLine]) -> Iterator[str]:
    """Yield the CSV text, a line at a time, header first.

    What people chose as a reason or a model is no formula of a spreadsheet: one that looks like it
    gets an apostrophe in front.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(JOURNAL_COLUMNS)
    for line in lines:
        yield text.getvalue()
        text.seek(0)
        text.truncate()
        writer.writerow(_cells(line))
    yield text.getvalue()


def _figures(said: dict[str, Any]) -> Figures:
    return Figures(said.get("count"), said["estimated_cost"], said["price_version"], said["state"])


def _cells(line: JournalLine) -> tuple[object, ...]:
    return (
        line.booked_at.isoformat(),
        line.tenant_id,
        line.date,
        *map(_plain, line.labels),
        line.cause,
        _plain(line.reason),
        *_figure_cells(line.before),
        *_figure_cells(line.after),
    )


def _figure_cells(figures: Figures | None) -> tuple[object, ...]:
    if figures is None:
        return ("",) * len(Figures._fields)
    cost = "" if figures.cost is None else format_usd(figures.cost)
    return (figures.events, cost, figures.price_version, figures.state)


def _plain(text: str | None) -> str:
    return f"'{text}" if text and text.startswith(_FORMULA) else text or ""
