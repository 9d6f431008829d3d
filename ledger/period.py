"""Days of a tenant, cut in the tenant's time zone, and the half-open ranges made of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from ledger.errors import InvalidError
from ledger.tenant import Tenant

CLOSES_AFTER = timedelta(hours=48)
"""How long after its local end a day stays open; later changes are journal entries."""

MIN_RETENTION_DAYS = 4
"""Fewest local dates, today included, whose raw usage is kept: older ones closed long ago, even
where clocks were changed since."""

MAX_RETENTION_DAYS = 36_500

RANGES = {"30d": 30, "90d": 90}
"""Ranges that go by a name, and how many local dates they have, today included."""

DEFAULT_RANGE = "30d"

FIRST_DATE, LAST_DATE = date(1970, 1, 1), date(2199, 12, 31)
"""Between these people may name dates: no usage is older, and every calculation has room."""

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DAY = timedelta(days=1)
_MOST_AHEAD = timedelta(hours=14)
_RESOLUTION = timedelta(seconds=1)
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class DateRange:
    """Local dates from `start` up to, and not including, `end`."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise InvalidError(
                "empty_range", "the range ends before it starts", key="from", value=self.start
            )

    def __iter__(self) -> Iterator[date]:
        """Iterate over the dates in order."""
        return (self.start + timedelta(days=n) for n in range((self.end - self.start).days))

    @classmethod
    def last_days(cls, days: int, *, now: datetime, zone: ZoneInfo) -> "DateRange":
        """Return the last `days` local dates of `zone`, today included."""
        tomorrow = now.astimezone(zone).date() + timedelta(days=1)
        return cls(start=tomorrow - timedelta(days=days), end=tomorrow)

    @classmethod
    def inclusive(cls, first: date, last: date) -> "DateRange":
        """Return the dates from `first` to `last`, both included, as a person names them.

        Raises:
            InvalidError: `distant_date` or `empty_range`.
        """
        _near(first, key="from")
        _near(last, key="to")
        return cls(start=first, end=last + _DAY)


def _near(day: date, *, key: str) -> date:
    if FIRST_DATE <= day <= LAST_DATE:
        return day
    raise InvalidError(
        "distant_date", f"dates are from {FIRST_DATE} to {LAST_DATE}", key=key, value=day
    )


def parse_range(
    range_name: str | None, first: str | None, last: str | None, *, now: datetime, zone: ZoneInfo
) -> DateRange:
    """Read a range: by its name, or by its first and last local date; by default `30d`.

    Args:
        range_name: a key of `RANGES`: the last local dates of `zone`, today included.
        first: the first date, as in `2026-03-01`.
        last: the last date, included.
        now: decides which date is today.
        zone: the zone in which the days are cut.

    Raises:
        InvalidError: `unknown_range`, `ambiguous_range`, `incomplete_range`, `invalid_date`,
            `distant_date` or `empty_range`.
    """
    has_dates = first is not None or last is not None
    if has_dates and range_name is not None:
        raise InvalidError(
            "ambiguous_range", "give `range`, or `from` and `to`", key="range", value=range_name
        )
    dates = parse_dates(first, last)
    if dates is not None:
        return dates
    return DateRange.last_days(parse_range_days(range_name), now=now, zone=zone)


def parse_dates(first: str | None, last: str | None) -> DateRange | None:
    """Read a range by its first and last local date, both included; None where neither is given.

    Raises:
        InvalidError: `incomplete_range`, `invalid_date`, `distant_date` or `empty_range`.
    """
    if first is None and last is None:
        return None
    if first is None or last is None:
        raise InvalidError(
            "incomplete_range",
            "`from` and `to` go together",
            key="from" if first is None else "to",
        )
    return DateRange.inclusive(parse_date(first, key="from"), parse_date(last, key="to"))


def parse_range_days(range_name: str | None) -> int:
    """Return how many dates a range has that goes by a name, by default `30d`.

    Raises:
        InvalidError: `unknown_range`.
    """
    days = RANGES.get(DEFAULT_RANGE if range_name is None else range_name)
    if days is None:
        raise InvalidError(
            "unknown_range",
            f"no such range; there are {', '.join(RANGES)}",
            key="range",
            value=range_name,
        )
    return days


def parse_date(text: str, *, key: str) -> date:
    """Read a date as people write it in parameters, like `2026-03-01`.

    Raises:
        InvalidError: `invalid_date` or `distant_date`.
    """
    try:
        if _ISO_DATE.fullmatch(text):
            return _near(date.fromisoformat(text), key=key)
    except ValueError:
        pass
    raise InvalidError("invalid_date", f"`{key}` is a date like 2026-03-01", key=key, value=text)


@lru_cache(maxsize=4096)
def first_instant(day: date, zone: ZoneInfo) -> datetime:
    """Return the first existing instant (UTC) of a local date.

    Where midnight is skipped by a clock change the day starts at the change. A date that a zone
    skipped altogether (Pacific/Apia, 2011-12-30) starts, empty, where the next one does.
    """
    midnight = datetime.combine(day, time(), zone).astimezone(UTC)
    if midnight.astimezone(zone).time() == time() and midnight.astimezone(zone).date() == day:
        return midnight
    before, after = midnight - timedelta(hours=26), midnight + timedelta(hours=26)
    while after - before > _RESOLUTION:
        middle = before + (after - before) / 2
        if middle.astimezone(zone).date() < day:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def day_start(day: date, tenant: Tenant) -> datetime:
    """Return the first instant (UTC) that belongs to a tenant's date, whatever zones it crosses."""
    ends = [period.valid_from for period in tenant.periods[1:]] + [_NEVER]
    for index, (period, end) in enumerate(zip(tenant.periods, ends, strict=True)):
        zone = ZoneInfo(period.timezone)
        start = first_instant(day, zone)
        if index:
            start = max(start, period.valid_from)
        if start < end and start.astimezone(zone).date() == day:
            return start
    return first_instant(day, ZoneInfo(tenant.current.timezone))


def closes_at(day: date, tenant: Tenant) -> datetime:
    """Return the instant (UTC) from which changes to this local date are journalled."""
    return day_start(day + timedelta(days=1), tenant) + CLOSES_AFTER


def tomorrow_everywhere(now: datetime) -> date:
    """Return the first local date that has begun nowhere on earth; no clock is 15 hours ahead.

    Args:
        now: the current instant.
    """
    return (now.astimezone(UTC) + _MOST_AHEAD).date() + _DAY


def tomorrow_of(tenant: Tenant, *, now: datetime) -> date:
    """Return the local date of a tenant that begins next."""
    return now.astimezone(tenant.zone_at(now)).date() + _DAY


def first_kept_date(days: int, tenant: Tenant, *, now: datetime) -> date:
    """Return from which local date on raw usage is kept: the last `days` dates, and all open ones.

    Args:
        days: how many local dates to keep, today included.
        tenant: whose dates they are; one that moved to another zone can have more of them open.
        now: the current instant.
    """
    first = DateRange.last_days(days, now=now, zone=tenant.zone_at(now)).start
    while now < closes_at(first - _DAY, tenant):
        first -= _DAY
    return first
