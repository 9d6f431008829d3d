from datetime import date

import pytest

from costing.pricing.card import Amount, RateCard
from costing.pricing.flat import build_flat_map, load_flat_map
from costing.pricing.rating import UNPRICED, Rated, rate_usage
from ledger.measures import Measures
from ledger.money import Nanos
from ledger.rollups import RollupKey, State
from ledger.units import load_catalogue

BOOK = load_flat_map()


def key(channel: str, direction: str = "outbound") -> RollupKey:
    return RollupKey(date(2026, 3, 9), channel, direction, None, None, None, "standard")


@pytest.mark.parametrize(
    ("channel", "measures", "nanos"),
    [
        ("sms", Measures(quantity=3), 26_700_000),
        ("voice", Measures(quantity=2), 17_000_000),
        ("email", Measures(quantity=5), 1_750_000),
        ("ai", Measures(quantity=1500, input_tokens=1000, output_tokens=500), 5_000_000),
        ("ai", Measures(quantity=1, cached_input_tokens=1), 2_000),
    ],
)
def test_cost_is_the_sum_of_counts_times_rates(
    channel: str, measures: Measures, nanos: int
) -> None:
    expected = Rated(Nanos(nanos), "flat", State.ESTIMATED)
    assert expected == rate_usage(BOOK, key(channel), measures)


@pytest.mark.parametrize("channel", ["sms", "mms"])
@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_a_failed_message_costs_its_fee_in_either_direction(channel: str, direction: str) -> None:
    failed = key(channel, direction)._replace(price_class="failed")
    expected = Rated(Nanos(2_000_000), "flat", State.ESTIMATED)
    assert expected == rate_usage(BOOK, failed, Measures(quantity=2))


def test_a_failed_message_is_unpriced_in_a_book_without_the_fee() -> None:
    book = build_flat_map(
        {"name": "old", "currency": "USD", "rates": {"sms": {"outbound": "0.01"}}}
    )
    failed = key("sms")._replace(price_class="failed")
    assert UNPRICED == rate_usage(book, failed, Measures(quantity=1))


TOKENS = [unit for unit in load_catalogue().units_of("ai", "standard") if unit.side]


@pytest.mark.parametrize("part", [1, 3])
@pytest.mark.parametrize("sign", [1, -1])
def test_each_kind_of_tokens_has_a_rate_of_its_own(part: int, sign: int) -> None:
    # The kind at place n costs n nano-dollars for `part`, and was used 100 to the n times that.
    amounts = {u.name: Amount(f"0.{n:09}", part) for n, u in enumerate(TOKENS, start=1)}
    counts = {u.column: sign * part * 100**n for n, u in enumerate(TOKENS, start=1)}
    expected = sign * sum(n * 100**n for n, _ in enumerate(TOKENS, start=1))
    card = RateCard(source="operator", amounts=amounts)
    assert expected == rate_usage(card, key("ai"), Measures(quantity=5, **counts)).cost


def test_sums_below_zero_cost_less_than_nothing() -> None:
    expected = Rated(Nanos(-26_700_000), "flat", State.ESTIMATED)
    assert expected == rate_usage(BOOK, key("sms"), Measures(quantity=3).negated())


def test_a_unit_without_a_rate_makes_the_whole_row_unpriced() -> None:
    measures = Measures(quantity=10, input_tokens=10, audio_ms=1)
    assert UNPRICED == rate_usage(BOOK, key("ai"), measures)


def test_a_unit_without_a_rate_that_was_not_used_does_not_matter() -> None:
    assert State.ESTIMATED is rate_usage(BOOK, key("ai"), Measures(10, input_tokens=10)).state


@pytest.mark.parametrize(("channel", "direction"), [("email", "inbound"), ("fax", "outbound")])
def test_usage_that_nobody_priced_is_unpriced(channel: str, direction: str) -> None:
    assert UNPRICED == rate_usage(BOOK, key(channel, direction), Measures(quantity=1))


def test_a_price_of_zero_is_free_not_unpriced() -> None:
    free = build_flat_map({"name": "f", "currency": "USD", "rates": {"sms": {"outbound": "0"}}})
    expected = Rated(Nanos(0), "flat", State.FREE)
    assert expected == rate_usage(free, key("sms"), Measures(quantity=4))


def test_no_usage_costs_nothing_at_any_price() -> None:
    assert Rated(Nanos(0), "flat", State.ESTIMATED) == rate_usage(BOOK, key("sms"), Measures(0))


def test_a_fraction_of_a_nano_dollar_is_rounded_once_per_row() -> None:
    rates = {"sms": {"outbound": "0.0000000004"}}
    book = build_flat_map({"name": "tiny", "currency": "USD", "rates": rates})
    assert 2 == rate_usage(book, key("sms"), Measures(quantity=5)).cost
