"""When a statement looks: its bounds become instants, in it and in all subqueries."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from api.gateway.influxql.errors import refuse
from api.gateway.influxql.tree import Bound, FromNow, Instant, Moment, Written
from api.gateway.influxql.zones import find_zone

NANOS_A_SECOND = 1_000_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LATEST = 7_258_118_400 * NANOS_A_SECOND
"""The year 2200. InfluxDB counts as far as 2262."""

_WRITTEN = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(:\d\d)?(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)
_FRACTION_DIGITS = 9


class Range(NamedTuple):
    """Half open, in nanoseconds since 1970; None: not bounded on that side."""

    start: int | None = None
    end: int | None = None

    def within(self, other: "Range") -> "Range":
        """Return what both have in common."""
        starts = [each for each in (self.start, other.start) if each is not None]
        ends = [each for each in (self.end, other.end) if each is not None]
        return Range(max(starts, default=None), min(ends, default=None))

    def to_bounds(self) -> tuple[Bound, ...]:
        """Return the bounds that say the same."""
        start = () if self.start is None else (Bound(">=", Instant(self.start)),)
        end = () if self.end is None else (Bound("<", Instant(self.end)),)
        return (*start, *end)


def to_nanos(instant: datetime) -> int:
    """Return nanoseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND * 1000


def read_range(bounds: tuple[Bound, ...], zone: str | None, now: datetime) -> Range:
    """Return the range in which all bounds hold.

    Args:
        bounds: of one statement.
        zone: in which texts without an offset are local times; None: UTC.
        now: the current instant.

    Raises:
        InvalidError: `query_refused`.
    """
    place = UTC if zone is None else find_zone(zone)
    found = Range()
    for bound in bounds:
        found = found.within(_range_of(bound.operator, _instant(bound.moment, place, now)))
    return found


def _range_of(operator: str, nanos: int) -> Range:
    match operator:
        case ">=":
            return Range(nanos, None)
        case ">":
            return Range(nanos + 1, None)
        case "<":
            return Range(None, nanos)
        case "<=":
            return Range(None, nanos + 1)
        case _:
            return Range(nanos, nanos + 1)


def _instant(moment: Moment, zone: tzinfo, now: datetime) -> int:
    match moment:
        case Instant(nanos):
            return _check(nanos)
        case FromNow(shift):
            return _check(to_nanos(now) + shift)
        case Written(text, shift):
            return _check(_read_text(text, zone) + shift)


def _check(nanos: int) -> int:
    if not 0 <= nanos < _LATEST:
        raise refuse("a time lies between 1970 and 2200")
    return nanos


def _read_text(text: str, zone: tzinfo) -> int:
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise _unreadable()
    date, minutes, seconds, fraction, offset = found.groups()
    written = f"{date}T{minutes or '00:00'}{seconds or ':00'}"
    try:
        instant = datetime.fromisoformat(written + (offset or ""))
    except ValueError:
        raise _unreadable() from None
    aware = instant if instant.tzinfo is not None else instant.replace(tzinfo=zone)
    return to_nanos(aware.astimezone(UTC)) + int((fraction or "").ljust(_FRACTION_DIGITS, "0"))


def _unreadable() -> Exception:
    return refuse("a time is written like '2026-01-31', '2026-01-31 18:00:00' or with T and Z")
