"""Hours of usage: a daily rollup row, spread over the hours (UTC) of its date.

An hour has no price of its own. What it costs is its part of what the row costs, by quantity, so it
follows whatever happens to the row's price.
"""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

HOURS_DAYS = 35
"""How many local dates at least, today included, keep their hours."""

_BEFORE_ANYWHERE = timedelta(days=1)


class HourKey(NamedTuple):
    """An hour of a daily row: the row's local date and id, and the start of the hour."""

    date: date
    hour: datetime
    rollup_id: UUID


class HourPart(NamedTuple):
    """What a daily row counts within an hour; corrections carry a sign."""

    usages: int
    quantity: int

    def plus(self, other: "HourPart") -> "HourPart":
        """Return the sum."""
        return HourPart(self.usages + other.usages, self.quantity + other.quantity)


NO_PART = HourPart(0, 0)


def first_hours_date(now: datetime) -> date:
    """Return the first local date whose hours are kept, in whatever zone a tenant is."""
    return now.astimezone(UTC).date() - timedelta(days=HOURS_DAYS) - _BEFORE_ANYWHERE
