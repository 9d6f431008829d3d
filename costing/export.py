"""The CSV export: per-day, per-channel figures of one tenant, from the rollups alone."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from datetime import date

import sqlalchemy as sa

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


@dataclass(frozen=True, slots=True)
class ExportLine:
    """Usage of one day, channel, direction, source and feature; `estimated_cost` None: unpriced."""

    date: date
    channel: str
    direction: str
    source: str | None
    feature: str | None
    count: int
    estimated_cost: Nanos | None


_ROLLUP = usage_rollups_daily.c


def read_export(session: TenantSession, dates: DateRange | None = None) -> Iterator[ExportLine]:
    """Yield a tenant's lines in order, of `dates` or of all time.

    Priced and unpriced usage of one group are two lines, so that the columns still sum up.
    """
    source, feature = (sa.func.coalesce(c, "") for c in (_ROLLUP.source, _ROLLUP.feature))
    unpriced = _ROLLUP.estimated_cost.is_(None)
    group = (_ROLLUP.date, _ROLLUP.channel, _ROLLUP.direction, source, feature, unpriced)
    count = sa.func.sum(_ROLLUP["count"])
    # Dollars and the rest are summed apart: nano-dollars could come to more than a column holds.
    dollars = sa.func.sum(_ROLLUP.estimated_cost // NANOS_PER_USD)
    rest = sa.func.sum(_ROLLUP.estimated_cost % NANOS_PER_USD)
    query = (
        sa.select(
            _ROLLUP.date,
            _ROLLUP.channel,
            _ROLLUP.direction,
            sa.func.nullif(source, ""),
            sa.func.nullif(feature, ""),
            count,
            dollars,
            rest,
        )
        .where(_ROLLUP.tenant_id == session.tenant_id)
        .group_by(*group)
        .having(sa.or_(count != 0, dollars != 0, rest != 0))
        .order_by(*group)
    )
    if dates is not None:
        query = query.where(_ROLLUP.date >= dates.start, _ROLLUP.date < dates.end)
    for *line, whole, part in session.connection.execute(query):
        line.append(None if whole is None else Nanos(whole * NANOS_PER_USD + part))
        yield ExportLine(*line)


def write_csv(lines: Iterable[ExportLine]) -> Iterator[str]:
    """Yield the CSV text, a line at a time, header first."""
    # csv.writer hands each finished line to `write` and returns what that returns.
    writer = csv.writer(_Echo(), lineterminator="\n")
    yield writer.writerow(EXPORT_COLUMNS)
    for line in lines:
        *group, cost = astuple(line)
        yield writer.writerow((*group, "" if cost is None else format_usd(cost)))


class _Echo:
    @staticmethod
    def write(text: str) -> str:
        return text
