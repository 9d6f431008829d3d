from datetime import date, timedelta

from costing.anomalies.daily import find_anomaly
from ledger.anomalies import Anomaly
from ledger.money import NANOS_PER_USD, Nanos

DAY = timedelta(days=1)
TUESDAY = date(2026, 3, 10)
SATURDAY = date(2026, 3, 14)


def usd(amount: float) -> Nanos:
    return Nanos(round(amount * NANOS_PER_USD))


def steady(until: date, amount: float = 100, *, weekend: float = 100) -> dict[date, Nanos]:
    days = [until - n * DAY for n in range(1, 36)]
    return {day: usd(weekend if day.weekday() >= 5 else amount) for day in days}


def test_a_day_far_above_its_like_is_found_with_what_was_usual() -> None:
    spent = steady(TUESDAY) | {TUESDAY: usd(161)}
    expected = Anomaly(date=TUESDAY, channel="ai", spent=usd(161), usual=usd(100), bound=usd(160))
    assert expected == find_anomaly("ai", TUESDAY, spent)


def test_what_is_at_the_bound_is_usual() -> None:
    assert find_anomaly("ai", TUESDAY, steady(TUESDAY) | {TUESDAY: usd(160)}) is None


def test_a_weekend_is_compared_with_weekends() -> None:
    spent = steady(SATURDAY, weekend=10) | {SATURDAY: usd(90)}
    assert find_anomaly("ai", SATURDAY, spent) is not None
    assert find_anomaly("ai", SATURDAY, steady(SATURDAY) | {SATURDAY: usd(90)}) is None


def test_one_wild_day_in_the_weeks_before_hides_no_other() -> None:
    spent = steady(TUESDAY) | {TUESDAY: usd(300), TUESDAY - 7 * DAY: usd(100_000)}
    assert find_anomaly("ai", TUESDAY, spent) is not None


def test_who_varies_a_lot_may_vary() -> None:
    spent = steady(TUESDAY)
    spent.update({TUESDAY - n * DAY: usd(50 + 100 * (n % 2)) for n in range(1, 29)})
    assert find_anomaly("ai", TUESDAY, spent | {TUESDAY: usd(300)}) is None


def test_a_few_dollars_more_are_not_worth_telling() -> None:
    spent = steady(TUESDAY, 0.5, weekend=0.5)
    assert find_anomaly("sms", TUESDAY, spent | {TUESDAY: usd(5.5)}) is None
    assert find_anomaly("sms", TUESDAY, spent | {TUESDAY: usd(5.51)}) is not None


def test_nothing_is_unusual_before_fourteen_days_are_known() -> None:
    def is_found(days: int) -> bool:
        spent = {day: cost for day, cost in steady(TUESDAY).items() if day >= TUESDAY - days * DAY}
        return find_anomaly("ai", TUESDAY, spent | {TUESDAY: usd(9000)}) is not None

    assert (False, True) == (is_found(13), is_found(14))


def test_a_day_of_little_is_no_anomaly() -> None:
    assert find_anomaly("ai", TUESDAY, steady(TUESDAY) | {TUESDAY: usd(0)}) is None
