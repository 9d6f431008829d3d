"""Periods of budgets: a tenant's local days and calendar months, as half-open ranges of dates."""

from datetime import date, datetime, timedelta
from enum import StrEnum

from ledger.period import CLOSES_AFTER, DateRange, day_start
from ledger.tenant import Tenant

_DAY = timedelta(days=1)


class Period(StrEnum):
    """How long the amount of a budget is for."""

    MONTHLY = "monthly"
    DAILY = "daily"


def dates_of(period: Period, day: date) -> DateRange:
    """Return the dates of the period that a local date is in."""
    match period:
        case Period.DAILY:
            return DateRange(start=day, end=day + _DAY)
        case Period.MONTHLY:
            first = day.replace(day=1)
            return DateRange(start=first, end=(first + 31 * _DAY).replace(day=1))


def ends_at(dates: DateRange, tenant: Tenant) -> datetime:
    """Return the instant (UTC) at which a period of a tenant is over."""
    return day_start(dates.end, tenant)


def running(period: Period, tenant: Tenant, *, now: datetime) -> DateRange:
    """Return the dates of the period that is running where the tenant is."""
    return dates_of(period, now.astimezone(tenant.zone_at(now)).date())


def open_periods(period: Period, tenant: Tenant, *, now: datetime) -> list[DateRange]:
    """Return the period that is running and those whose last day is still open, newest first.

    Usage of the last minutes of a period is costed when the next one has begun.
    """
    found = [running(period, tenant, now=now)]
    while now < ends_at(earlier := dates_of(period, found[-1].start - _DAY), tenant) + CLOSES_AFTER:
        found.append(earlier)
    return found
