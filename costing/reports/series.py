"""The daily series of one tenant: what the stacked bars show."""

from dataclasses import dataclass
from datetime import date

from costing.reports.channels import list_channels
from costing.reports.figures import NOTHING, Figures
from costing.reports.store import read_days
from ledger.errors import InvalidError
from ledger.period import DateRange
from ledger.session import TenantSession

MAX_SERIES_DAYS = 3660
"""Ten years: what is filled with zeros has to end somewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesPoint:
    """One channel on one local date."""

    date: date
    channel: str
    figures: Figures


def series(session: TenantSession, dates: DateRange) -> tuple[SeriesPoint, ...]:
    """Return a point for every date of the range and every channel, in order.

    Channels of the catalogue are there whether used or not, and so is every date.

    Raises:
        InvalidError: `long_range`, for more than `MAX_SERIES_DAYS` dates.
    """
    if (dates.end - dates.start).days > MAX_SERIES_DAYS:
        raise InvalidError(
            "long_range", f"a daily series has at most {MAX_SERIES_DAYS} days", key="from"
        )
    found = read_days(session, dates)
    channels = list_channels(channel for _, channel in found)
    return tuple(
        SeriesPoint(date=day, channel=channel.name, figures=found.get((day, channel.name), NOTHING))
        for day in dates
        for channel in channels
    )
