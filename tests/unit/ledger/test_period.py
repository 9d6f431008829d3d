from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ledger.errors import InvalidError
from ledger.period import DateRange, closes_at, day_start, first_instant, parse_range
from ledger.tenant import BEGINNING, Tenant, TenantId, TenantPeriod


def tenant(*zones: tuple[datetime, str]) -> Tenant:
    periods = tuple(
        TenantPeriod(valid_from=start, plan="Pro", timezone=zone) for start, zone in zones
    )
    return Tenant(tenant_id=TenantId("acme"), name="Acme", periods=periods)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type] # date parts in order


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("UTC", date(2026, 3, 29), utc(2026, 3, 29)),
        ("Asia/Karachi", date(2023, 11, 17), utc(2023, 11, 16, 19)),
        ("Europe/Berlin", date(2026, 3, 30), utc(2026, 3, 29, 22)),
        ("America/Sao_Paulo", date(2018, 11, 4), utc(2018, 11, 4, 3)),  # midnight was skipped
        ("America/St_Johns", date(2010, 11, 7), utc(2010, 11, 7, 2, 30)),  # and came twice
        ("Asia/Kathmandu", date(2026, 1, 1), utc(2025, 12, 31, 18, 15)),
    ],
)
def test_a_day_starts_at_its_first_existing_instant(zone: str, day: date, start: datetime) -> None:
    assert start == first_instant(day, ZoneInfo(zone))


def test_a_date_that_a_zone_skipped_starts_where_the_next_one_does() -> None:
    apia = ZoneInfo("Pacific/Apia")
    assert first_instant(date(2011, 12, 31), apia) == first_instant(date(2011, 12, 30), apia)


def test_a_day_in_which_the_zone_changed_starts_in_the_zone_of_its_start() -> None:
    moved = tenant((BEGINNING, "UTC"), (utc(2026, 3, 10, 12), "Asia/Karachi"))
    assert utc(2026, 3, 10) == day_start(date(2026, 3, 10), moved)


def test_a_day_that_begins_by_a_change_of_zone_starts_with_the_change() -> None:
    change = utc(2026, 3, 10, 20)
    moved = tenant((BEGINNING, "UTC"), (change, "Asia/Karachi"))
    assert change == day_start(date(2026, 3, 11), moved)


def test_days_before_the_first_period_are_cut_in_its_zone() -> None:
    old = tenant((BEGINNING, "Asia/Tokyo"))
    assert utc(1960, 12, 31, 15) == day_start(date(1961, 1, 1), old)


def test_a_day_closes_48_hours_after_its_local_end() -> None:
    berlin = tenant((BEGINNING, "Europe/Berlin"))
    assert utc(2026, 3, 31, 22) == closes_at(date(2026, 3, 29), berlin)


def test_the_last_30_days_include_the_local_today() -> None:
    now = utc(2026, 3, 10, 20)
    days = list(DateRange.last_days(30, now=now, zone=ZoneInfo("Asia/Karachi")))
    assert (30, date(2026, 3, 11)) == (len(days), days[-1])


def test_a_named_range_includes_both_its_dates() -> None:
    days = list(DateRange.inclusive(date(2026, 2, 27), date(2026, 3, 1)))
    assert [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)] == days


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(InvalidError) as refused:
        DateRange.inclusive(date(2026, 3, 2), date(2026, 3, 1))
    assert "empty_range" == refused.value.code


MARCH = DateRange.inclusive(date(2026, 3, 1), date(2026, 3, 31))
LATE = utc(2026, 3, 10, 20)


def read_range(range_name: str | None, first: str | None, last: str | None) -> DateRange:
    return parse_range(range_name, first, last, now=LATE, zone=ZoneInfo("Asia/Karachi"))


@pytest.mark.parametrize(
    ("words", "dates"),
    [
        ((None, None, None), DateRange(start=date(2026, 2, 10), end=date(2026, 3, 12))),
        (("30d", None, None), DateRange(start=date(2026, 2, 10), end=date(2026, 3, 12))),
        (("90d", None, None), DateRange(start=date(2025, 12, 12), end=date(2026, 3, 12))),
        ((None, "2026-03-01", "2026-03-31"), MARCH),
        (
            (None, "1970-01-01", "2199-12-31"),
            DateRange(start=date(1970, 1, 1), end=date(2200, 1, 1)),
        ),
    ],
)
def test_a_range_is_read_by_name_or_by_its_dates(
    words: tuple[str | None, ...], dates: DateRange
) -> None:
    assert dates == read_range(*words)


@pytest.mark.parametrize(
    ("words", "code", "key"),
    [
        (("31d", None, None), "unknown_range", "range"),
        (("", None, None), "unknown_range", "range"),
        (("30D", None, None), "unknown_range", "range"),
        (("30d", "2026-03-01", "2026-03-31"), "ambiguous_range", "range"),
        (("30d", "2026-03-01", None), "ambiguous_range", "range"),
        ((None, "2026-03-01", None), "incomplete_range", "to"),
        ((None, None, "2026-03-01"), "incomplete_range", "from"),
        ((None, "2026-03-02", "2026-03-01"), "empty_range", "from"),
        ((None, "2026-03-01", "9999-12-31"), "distant_date", "to"),
        ((None, "2026-03-01", "2200-01-01"), "distant_date", "to"),
        ((None, "9999-12-31", "9999-12-31"), "distant_date", "from"),
        ((None, "1969-12-31", "2026-03-01"), "distant_date", "from"),
        ((None, "2026-02-30", "2026-03-01"), "invalid_date", "from"),
        ((None, "2026-03-01", "tomorrow"), "invalid_date", "to"),
        ((None, "20260301", "2026-03-02"), "invalid_date", "from"),
        ((None, "2026-W10-1", "2026-03-02"), "invalid_date", "from"),
        ((None, "2026-03-01\n", "2026-03-02"), "invalid_date", "from"),
        (
            (None, "\u0662\u0660\u0662\u0666-\u0660\u0663-\u0660\u0661", "2026-03-02"),
            "invalid_date",
            "from",
        ),
        ((None, "", ""), "invalid_date", "from"),
    ],
)
def test_what_is_no_range_is_refused_by_name(
    words: tuple[str | None, ...], code: str, key: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        read_range(*words)
    assert (code, key) == (refused.value.code, refused.value.key)


def test_a_tenant_without_ordered_periods_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="ordered"):
        tenant((utc(2026, 1, 1), "UTC"), (utc(2026, 1, 1) - timedelta(days=1), "UTC"))
