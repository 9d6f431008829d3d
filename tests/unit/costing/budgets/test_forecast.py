from collections.abc import Mapping
from datetime import date, timedelta

import pytest

from costing.budgets.forecast import Forecast, forecast_end
from costing.budgets.periods import Period, dates_of
from ledger.money import Nanos

MARCH = dates_of(Period.MONTHLY, date(2026, 3, 1))
TODAY = date(2026, 3, 10)
DAY = timedelta(days=1)


def steady(amount: int = 10, *, weekend: int = 10, until: date = TODAY) -> dict[date, Nanos]:
    """Return so much a day for the 40 days before a date, and another amount on weekends."""
    days = [until - n * DAY for n in range(1, 41)]
    return {day: Nanos(weekend if day.weekday() >= 5 else amount) for day in days}


def forecast(spent: Mapping[date, Nanos], today: date = TODAY) -> Forecast:
    found = forecast_end(spent, MARCH, today=today)
    assert found is not None
    return found


def test_who_spends_the_same_every_day_will_have_spent_that_on_every_day() -> None:
    assert Forecast(low=Nanos(310), expected=Nanos(310), high=Nanos(310)) == forecast(steady())


def test_weekends_are_expected_as_weekends_were() -> None:
    # March 2026 has 9 days of weekends, all of whose like are known by the tenth.
    assert 22 * 10 + 9 * 2 == forecast(steady(weekend=2)).expected


def test_what_was_spent_today_is_a_part_of_what_today_usually_costs() -> None:
    assert 310 == forecast(steady() | {TODAY: Nanos(4)}).expected


def test_what_was_spent_today_beyond_the_usual_is_added() -> None:
    assert 325 == forecast(steady() | {TODAY: Nanos(25)}).expected


def test_the_latest_week_weighs_more_than_the_one_before() -> None:
    late, early = steady(), steady()
    late[TODAY - 3 * DAY] = early[TODAY - 10 * DAY] = Nanos(50)
    assert forecast(late).expected - 40 > forecast(early).expected


def test_the_more_days_differ_the_wider_is_the_interval() -> None:
    calm, wild = steady(1000), steady(1000)
    for n in range(1, 28, 2):
        calm[TODAY - n * DAY] = Nanos(1010)
        wild[TODAY - n * DAY] = Nanos(1500)
    widths = [found.high - found.low for found in map(forecast, (calm, wild))]
    assert widths[0] < widths[1]


def test_the_amount_never_ends_below_what_is_spent() -> None:
    spent = steady(1000)
    spent[TODAY - 20 * DAY] = Nanos(90_000)
    last = date(2026, 3, 31)
    known = sum(cost for day, cost in spent.items() if day in set(MARCH))
    assert known == forecast(spent | {last: Nanos(0)}, TODAY).low


def test_too_little_is_known_of_who_spent_on_few_days() -> None:
    spent = {day: cost for day, cost in steady().items() if day >= TODAY - 13 * DAY}
    assert forecast_end(spent, MARCH, today=TODAY) is None


@pytest.mark.parametrize("days", [14, 17, 21, 27, 28])
def test_days_before_the_first_spend_are_not_taken_for_days_without(days: int) -> None:
    spent = {day: cost for day, cost in steady().items() if day >= TODAY - days * DAY}
    known = sum(cost for day, cost in spent.items() if day in set(MARCH))
    assert known + 22 * 10 == forecast(spent).low == forecast(spent).high


def test_days_without_spend_after_the_first_are_zeros() -> None:
    # A quiet week, the newest but one: of each weekday three of ten parts are nothing.
    spent = {day: cost for day, cost in steady().items() if not 8 <= (TODAY - day).days <= 14}
    assert 70 + 22 * 7 == forecast(spent).expected
