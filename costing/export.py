"""The CSV export: per-day, per-channel figures of one tenant, from the rollups alone."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import islice
from typing import NamedTuple

import sqlalchemy as sa

from ledger.columns import whole_sum
from ledger.models import usage_rollups_daily
from ledger.money import NANOS_PER_USD, Nanos, format_usd
from ledger.period import DateRange
from ledger.session import TenantSession

EXPORT_COLUMNS = (
    "date",
    "channel",
    "direction",
    "source",
    "feature",
    "count",
    "estimated_cost",
)


class ExportLine(NamedTuple):
    """Usage of one day, channel, direction, source and feature; `estimated_cost` None: unpriced."""

    date: date
    channel: str
    direction: str
    source: str | None
    feature: str | None
    count: int  # type: ignore[assignment] # the column's name; nobody counts in a line
    estimated_cost: Nanos | None


_ROLLUP = usage_rollups_daily.c

# Written out: SQLite takes two expressions with parameters for different ones, and would sort and
# sum twice.
_EMPTY: sa.ColumnElement[str] = sa.literal_column("''", sa.String)
_DOLLAR: sa.ColumnElement[int] = sa.literal_column(str(NANOS_PER_USD), sa.BigInteger)

_ROWS_AT_ONCE = 500
"""Read together, which is faster than one by one, and still little to hold."""


def read_export(session: TenantSession, dates: DateRange | None = None) -> Iterator[ExportLine]:
    """Yield a tenant's lines in order, of `dates` or of all time.

    Priced and unpriced usage of one group are two lines, so that the columns still sum up. What
    came to nothing is left out; unpriced usage is not known to, whatever its count.
    """
    source, feature = (sa.func.coalesce(c, _EMPTY) for c in (_ROLLUP.source, _ROLLUP.feature))
    unpriced = _ROLLUP.estimated_cost.is_(None)
    group = (_ROLLUP.date, _ROLLUP.channel, _ROLLUP.direction, source, feature, unpriced)
    count = whole_sum(_ROLLUP["count"])
    # Dollars and the rest are summed apart: nano-dollars could come to more than a column holds.
    dollars = whole_sum(_ROLLUP.estimated_cost // _DOLLAR)
    rest = whole_sum(_ROLLUP.estimated_cost % _DOLLAR)
    query = (
        sa.select(
            _ROLLUP.date,
            _ROLLUP.channel,
            _ROLLUP.direction,
            sa.func.nullif(source, _EMPTY),
            sa.func.nullif(feature, _EMPTY),
            count,
            dollars,
            rest,
        )
        .where(_ROLLUP.tenant_id == session.tenant_id)
        .group_by(*group)
        .having(sa.or_(count != 0, dollars != 0, rest != 0, unpriced))
        .order_by(*group)
    )
    if dates is not None:
        query = query.where(_ROLLUP.date >= dates.start, _ROLLUP.date < dates.end)
    in_parts = {"yield_per": _ROWS_AT_ONCE}
    with session.connection.execute(query, execution_options=in_parts) as found:
        for rows in found.partitions():
            for *cells, whole, part in rows:
                cost = None if whole is None else Nanos(whole * NANOS_PER_USD + part)
                yield ExportLine._make((*cells, cost))


def write_csv(lines: Iterable[ExportLine]) -> Iterator[str]:
    """Yield the CSV text, a line at a time, header first."""
    for part in write_csv_parts(lines):
        # No cell has a line end in it: dates, slugs and figures have none.
        yield from part.splitlines(keepends=True)


def write_csv_parts(lines: Iterable[ExportLine]) -> Iterator[str]:
    """Yield the CSV text, some hundred lines at a time, header first: faster than line by line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(EXPORT_COLUMNS)
    remaining = iter(lines)
    while part := list(islice(remaining, _ROWS_AT_ONCE)):
        writer.writerows(map(_cells, part))
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    if text.tell():
        yield text.getvalue()


def _cells(line: ExportLine) -> tuple[object, ...]:
    *group, cost = line
    return (*group, "" if cost is None else format_usd(cost))
