"""Local dates of all tenants at once: SQL in which each tenant's own zone says which day it is."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from ledger.models import tenant_periods, tenants
from ledger.period import DateRange
from ledger.session import OperatorSession

_PERIOD = tenant_periods.c


class ZoneRange(NamedTuple):
    """A range of local dates, and the zones in which it is the one that was asked for."""

    dates: DateRange
    zones: list[str]


def read_zone_ranges(session: OperatorSession, *, days: int, now: datetime) -> list[ZoneRange]:
    """Return the last `days` local dates of every zone that a tenant is in; none without tenants.

    Local dates differ between zones by two days at most, so these are three ranges at most.
    """
    zones = session.connection.execute(sa.select(_PERIOD.timezone).distinct()).scalars()
    return _group(zones, days=days, now=now)


def _group(zones: Iterable[str], *, days: int, now: datetime) -> list[ZoneRange]:
    ranges: dict[date, ZoneRange] = {}
    for zone in sorted(zones):
        dates = DateRange.last_days(days, now=now, zone=ZoneInfo(zone))
        ranges.setdefault(dates.start, ZoneRange(dates, [])).zones.append(zone)
    return list(ranges.values())


def is_in_force(now: datetime) -> sa.ColumnElement[bool]:
    """Return the condition that joins a tenant with its newest period that has begun.

    Said by what there is not: that it equals a maximum, PostgreSQL takes for one tenant in 200.
    """
    later = tenant_periods.alias("later")
    is_replaced = sa.exists().where(
        later.c.tenant_id == _PERIOD.tenant_id,
        later.c.valid_from > _PERIOD.valid_from,
        later.c.valid_from <= now,
    )
    return sa.and_(
        _PERIOD.tenant_id == tenants.c.tenant_id, _PERIOD.valid_from <= now, ~is_replaced
    )


def is_within(day: sa.ColumnElement[date], ranges: Sequence[ZoneRange]) -> sa.ColumnElement[bool]:
    """Return the condition that a date is within the range of the zone of its tenant's period."""
    start = _by_zone([(dates.start, zones) for dates, zones in ranges])
    end = _by_zone([(dates.end, zones) for dates, zones in ranges])
    return sa.and_(day >= start, day < end)


def _by_zone(choices: list[tuple[date, list[str]]]) -> sa.ColumnElement[date]:
    *others, (last, _) = choices
    otherwise = sa.literal(last, sa.Date)
    if not others:
        return otherwise
    whens = [(_PERIOD.timezone.in_(zones), sa.literal(day, sa.Date)) for day, zones in others]
    return sa.case(*whens, else_=otherwise)
