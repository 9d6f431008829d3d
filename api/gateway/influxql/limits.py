"""What a statement may cost. InfluxDB itself knows no such limits, and one query can end it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from api.gateway.influxql.errors import refuse
from api.gateway.influxql.times import NANOS_A_SECOND, Range, read_range, to_nanos
from api.gateway.influxql.tree import Interval, Select, ShowTagValues

MAX_DAYS = 400
MAX_BUCKETS = 11_000
MAX_SELECTS = 10
MAX_COLUMNS = 50

_NANOS_A_DAY = 86_400 * NANOS_A_SECOND
_MAX_SPAN = MAX_DAYS * _NANOS_A_DAY


def selects_in(select: Select) -> Iterator[Select]:
    """Yield a SELECT and all that are in it."""
    yield select
    for source in select.sources:
        if isinstance(source, Select):
            yield from selects_in(source)


def check_size(select: Select) -> None:
    """Check how much there is of a SELECT.

    Raises:
        InvalidError: `query_refused`.
    """
    found = list(selects_in(select))
    if len(found) > MAX_SELECTS:
        raise refuse(f"a statement has at most {MAX_SELECTS} SELECTs")
    for each in found:
        if max(len(each.columns), len(each.dimensions), len(each.sources)) > MAX_COLUMNS:
            raise refuse(f"there are at most {MAX_COLUMNS} columns, sources and groups")


def bound_select(
    select: Select, now: datetime, outer: Range | None = None, inherited: Interval | None = None
) -> Select:
    """Return the SELECT with its own range in it, and so for all that are in it.

    A subquery looks no further than what is around it, and has its interval where it has none of
    its own: so does InfluxDB.

    Raises:
        InvalidError: `query_refused`; no beginning is given, it is too long ago, or there are too
            many intervals.
    """
    own = read_range(select.bounds, select.zone, now)
    span = own if outer is None else own.within(outer)
    interval = select.interval or inherited
    _check_interval(select.interval)
    inner = [source for source in select.sources if isinstance(source, Select)]
    # What is selected from subqueries alone is bounded by them.
    if not inner or interval is not None or span.start is not None:
        span = _close(span, now)
        _check_buckets(span, interval)
    bounds = span.to_bounds()
    if not inner:
        return replace(select, bounds=bounds)
    sources = tuple(bound_select(source, now, span, interval) for source in inner)
    return replace(select, bounds=bounds, sources=sources)


def bound_show(show: ShowTagValues, now: datetime) -> ShowTagValues:
    """Return the SHOW with instants as its bounds. It reads an index, so it needs none."""
    return replace(show, bounds=read_range(show.bounds, None, now).to_bounds())


def _close(span: Range, now: datetime) -> Range:
    if span.start is None:
        raise refuse("say from when on: WHERE time >= …, or $timeFilter")
    closed = Range(span.start, to_nanos(now) if span.end is None else span.end)
    if closed.end is not None and closed.end - span.start > _MAX_SPAN:
        raise refuse(f"a query looks at {MAX_DAYS} days at most")
    return closed


def _check_interval(interval: Interval | None) -> None:
    if interval is None:
        return
    if not NANOS_A_SECOND <= interval.length <= _MAX_SPAN or abs(interval.offset) > _MAX_SPAN:
        raise refuse(f"time() of GROUP BY is between 1s and {MAX_DAYS}d")


def _check_buckets(span: Range, interval: Interval | None) -> None:
    if interval is None or span.start is None or span.end is None:
        return
    if (span.end - span.start) // interval.length > MAX_BUCKETS:
        raise refuse(f"there are at most {MAX_BUCKETS} intervals; take longer ones: time(1h)")
