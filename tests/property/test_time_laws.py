"""Laws of days: they tile time, in every time zone there is."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given
from hypothesis import strategies as st

from ledger.period import day_start, first_instant
from ledger.tenant import BEGINNING, Tenant, TenantId, TenantPeriod

ZONES = sorted(available_timezones() - {"localtime"})
SECOND = timedelta(seconds=1)

zones = st.sampled_from(ZONES)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
instants = st.integers(0, 36 * 366 * 86_400).map(lambda s: EPOCH + timedelta(seconds=s))


@given(zones, instants)
def test_an_instant_is_not_before_the_start_of_its_day(zone: str, instant: datetime) -> None:
    place = ZoneInfo(zone)
    assert first_instant(instant.astimezone(place).date(), place) <= instant


@given(zones, instants)
def test_the_first_instant_of_a_day_is_in_it(zone: str, instant: datetime) -> None:
    place = ZoneInfo(zone)
    day = instant.astimezone(place).date()
    assert day == first_instant(day, place).astimezone(place).date()


@given(zones, instants)
def test_the_second_before_a_day_is_of_an_earlier_one(zone: str, instant: datetime) -> None:
    place = ZoneInfo(zone)
    day = instant.astimezone(place).date()
    assert day > (first_instant(day, place) - SECOND).astimezone(place).date()


def test_days_start_in_order_in_every_zone_around_its_clock_changes() -> None:
    days = [date(2010, 10, 25) + timedelta(days=n) for n in range(430)]
    for zone in ZONES:
        starts = [first_instant(day, ZoneInfo(zone)) for day in days]
        assert starts == sorted(starts), zone


@given(st.lists(st.tuples(instants, zones), min_size=1, max_size=4), instants)
def test_a_day_of_a_tenant_that_moved_starts_with_its_first_instant(
    moves: list[tuple[datetime, str]], instant: datetime
) -> None:
    times = sorted({time for time, _ in moves})
    periods = [TenantPeriod(valid_from=BEGINNING, plan="Pro", timezone="UTC")]
    for time, (_, zone) in zip(times, moves, strict=False):
        periods.append(TenantPeriod(valid_from=time, plan="Pro", timezone=zone))
    tenant = Tenant(tenant_id=TenantId("acme"), name="Acme", periods=tuple(periods))
    day = instant.astimezone(tenant.zone_at(instant)).date()
    start = day_start(day, tenant)
    assert (day, True) == (start.astimezone(tenant.zone_at(start)).date(), start <= instant)
