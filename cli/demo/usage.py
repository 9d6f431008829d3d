"""What the invented tenants use, day by day, and when it reaches us. Pure: the same every time.

Every tenant's day has random sources of its own, made from a fixed text, so that a day's usage
depends on nothing but the tenant, the date and how long before today it is.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cli.demo.activities import Activity, Event, Moment, Used
from cli.demo.tenants import DemoTenant

_SEED = "meterline demo 1"
_DAY = timedelta(days=1)
_GROWTH_DAYS = 90
_SATURDAY = 5

_HOURS = (1, 1, 0, 0, 0, 1, 4, 12, 40, 70, 80, 75, 50, 60, 72, 70, 60, 45, 25, 15, 10, 8, 4, 2)
"""How much happens in each hour of the tenant's day."""
_UP_TO_HOUR = tuple(accumulate(_HOURS))

_LATE = 0.004
_AGAIN = 0.003
_CHANGED = 0.0005
"""Parts of all events that come late, are sent again, or are sent again with another content."""
_LATE_DAYS = (4, 7)
"""Later than any day closes: 48 hours after its end, wherever the tenant is."""
_AGAIN_DAYS = (0, 3)


class Delivery(NamedTuple):
    """The events that reach us up to an instant, a UTC midnight."""

    at: datetime
    events: list[Event]


def deliver_usage(tenants: Sequence[DemoTenant], *, days: int, today: date) -> Iterator[Delivery]:
    """Yield what was used before the start of `today` (UTC), every second midnight and at the end.

    All usage lies before the start of `today`, so that it is the same at any hour of it. It begins
    with the local date `days` before today, wherever that starts. A day closes 48 hours after its
    end, so what comes in time is here before that, and two days at once are half the transactions.
    The last delivery has one day, so that all of `today` is in time for it.
    """
    waiting: dict[date, list[Event]] = defaultdict(list)
    for ago in range(days, -1, -1):
        day = today - ago * _DAY
        for tenant in tenants:
            for sent_on, event in _post_day(tenant, day, today=today):
                waiting[sent_on].append(event)
        if _is_due(ago):
            # No zone is a whole day ahead of UTC, so nothing more can come for the days before.
            # What is used from the start of today on is never due.
            due = sorted(sent_on for sent_on in waiting if sent_on < day)
            yield Delivery(_midnight(day), [e for sent_on in due for e in waiting.pop(sent_on)])


def count_deliveries(days: int) -> int:
    """Return how many deliveries there are."""
    return sum(map(_is_due, range(days + 1)))


def _is_due(ago: int) -> bool:
    return ago == 0 or ago % 2 == 1


def use_day(tenant: DemoTenant, day: date, *, today: date) -> Iterator[Used]:
    """Yield what a tenant uses on one of its dates."""
    rng = _source(tenant, day, "usage")
    zone = ZoneInfo(tenant.timezone)
    hours = [datetime.combine(day, time(hour), zone).astimezone(UTC) for hour in range(24)]
    for activity, share in tenant.habits:
        acts = share * _acts(tenant, activity, day, today=today)
        count = _whole(rng, acts * rng.uniform(0.8, 1.2))
        for hour in rng.choices(hours, cum_weights=_UP_TO_HOUR, k=count):
            at = hour + timedelta(seconds=int(3600 * rng.random()))
            yield from activity(Moment(rng, at, tenant.model))


def _acts(tenant: DemoTenant, activity: Activity, day: date, *, today: date) -> float:
    """Return how much a tenant does on a date, if it did this activity alone."""
    ago = (today - day).days
    if tenant.since is not None and ago > tenant.since:
        return 0.0
    acts = tenant.weekday * (1 - tenant.growth * min(ago, _GROWTH_DAYS) / _GROWTH_DAYS)
    if day.weekday() >= _SATURDAY:
        acts *= tenant.weekend
    burst = tenant.burst
    if burst is not None and burst.activity is activity and burst.last <= ago <= burst.first:
        acts *= burst.factor
    return acts


def _post_day(tenant: DemoTenant, day: date, *, today: date) -> Iterator[tuple[date, Event]]:
    """Yield the events of a tenant's date, each with the UTC date on which it is sent."""
    rng = _source(tenant, day, "post")
    for at, event in use_day(tenant, day, today=today):
        event["tenant"] = tenant.tenant_id
        sent_on = at.date()
        chance = rng.random()
        if chance < _LATE:
            yield _days_after(sent_on, rng.randint(*_LATE_DAYS), today=today), event
            continue
        yield sent_on, event
        if chance < _LATE + _AGAIN:
            yield _days_after(sent_on, rng.randint(*_AGAIN_DAYS), today=today), event
        elif chance < _LATE + _AGAIN + _CHANGED:
            # As a host does that stamps each attempt with its own time.
            changed = event | {"time": (at + timedelta(seconds=1)).isoformat()}
            yield _days_after(sent_on, rng.randint(*_AGAIN_DAYS), today=today), changed


def _days_after(day: date, days: int, *, today: date) -> date:
    """Return a date some days later, or the same one where that would not be before today."""
    later = day + days * _DAY
    return later if later < today else day


def _source(tenant: DemoTenant, day: date, what: str) -> Random:
    # A text as seed is hashed in one fixed way, whatever the process's own hashes are.
    return Random(f"{_SEED}/{tenant.tenant_id}/{day}/{what}")  # noqa: S311 - a demo, no secret


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _whole(rng: Random, number: float) -> int:
    """Round so that the mean stays: 2.3 is 2, and 3 in three of ten cases."""
    return int(number + rng.random())
