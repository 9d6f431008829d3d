"""The snapshot of the installed package, and what of a newer one is refused by name."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data import providers
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from costing.pricing.published import PROVIDER, take_snapshot
from ledger.errors import InvalidError
from ledger.period import FIRST_DATE
from ledger.units import load_catalogue

(MODELS,) = (provider.models for provider in providers if provider.id == PROVIDER)
START = date(2026, 10, 12)
FROM_THEN = StartDateConstraint(start_date=START)
PRICE = ModelPrice(input_mtok=Decimal("2.50"), output_mtok=Decimal(10))


def model(**changes: Any) -> ModelInfo:
    return ModelInfo(**{"id": "m", "match": ClauseEquals(equals="m"), "prices": PRICE, **changes})


def tiered(*starts: int) -> ModelPrice:
    tiers = [Tier(start=start, price=Decimal(2)) for start in starts]
    return ModelPrice(input_mtok=TieredPrices(base=Decimal(1), tiers=tiers))


def refusal(**changes: Any) -> str:
    with pytest.raises(InvalidError) as refused:
        take_snapshot([model(**changes)])
    assert "unknown_catalogue" == refused.value.code
    return refused.value.message


def amounts(price_class: str, day: date, **changes: Any) -> dict[str, str] | None:
    listed = take_snapshot([model(**changes)]).find("m", price_class, day)
    return None if listed is None else {unit: said.usd for unit, said in listed.amounts.items()}


def test_every_threshold_of_the_installed_package_is_our_long_context_one() -> None:
    prices = [
        (each.id, price)
        for each in MODELS
        for part in (
            each.prices if isinstance(each.prices, list) else [each],
            *[each.price_variants or ()],
        )
        for priced in part
        for price in vars(priced.prices).values()
        if isinstance(price, TieredPrices)
    ]
    ours = [load_catalogue().long_context_tokens]
    assert [] == [name for name, price in prices if [tier.start for tier in price.tiers] != ours]
    assert prices


@pytest.mark.parametrize(("tier", "ours"), [("default", None), ("fast", "priority")])
def test_a_tier_that_we_take_for_another_costs_the_same_in_the_installed_package(
    tier: str, ours: str | None
) -> None:
    starts = {
        each.constraint.start_date
        for known in MODELS
        for each in known.price_variants or ()
        if isinstance(each.constraint, StartDateConstraint)
    }
    context = None if ours is None else {"service_tier": ours}
    differ = [
        (known.id, day)
        for known in MODELS
        for day in (FIRST_DATE, *starts)
        if known.get_prices(at(day), {"service_tier": tier}) != known.get_prices(at(day), context)
    ]
    assert [] == differ


def at(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def test_another_threshold_is_refused_by_name() -> None:
    assert "m is rated by other lengths of context than 272000" in refusal(prices=tiered(200_000))


def test_a_second_threshold_is_refused_by_name() -> None:
    assert "m is rated by other lengths" in refusal(prices=tiered(272_000, 500_000))


def test_prices_by_the_time_of_day_are_refused_by_name() -> None:
    night = TimeOfDateConstraint(start_time=time(1), end_time=time(5))
    prices = [ConditionalPrice(prices=PRICE), ConditionalPrice(constraint=night, prices=PRICE)]
    assert "m has prices by the time of day" in refusal(prices=prices)


def test_a_price_that_no_unit_is_for_is_refused_by_name() -> None:
    prices = ModelPrice(input_mtok=Decimal(1), requests_kcount=Decimal(5))
    assert "m has a price that no unit is for: requests_kcount" == refusal(prices=prices)


@dataclass
class ClauseNot:
    not_: object


@pytest.mark.parametrize("match", [ClauseNot(1), ClauseOr(or_=[ClauseNot(1)]), "m"])  # type: ignore[list-item]
def test_a_match_that_we_do_not_know_is_refused(match: object) -> None:
    assert "genai-prices has a match of its own" in refusal(match=match)


def test_an_amount_is_taken_as_it_is_written() -> None:
    found = amounts("standard", START)
    assert found is not None
    assert ("2.50", "10") == (found["ai_input_token"], found["ai_output_token"])


def test_a_side_without_a_price_has_none() -> None:
    found = amounts("standard", START, prices=ModelPrice(input_mtok=Decimal(1)))
    assert found is not None
    assert "ai_output_token" not in found


def test_a_tier_has_its_price_from_its_own_start() -> None:
    flex = PriceVariant(
        when={"service_tier": "flex"},
        prices=ModelPrice(input_mtok=Decimal(1)),
        constraint=FROM_THEN,
    )
    found = [amounts("flex", day, price_variants=[flex]) for day in (date(2026, 10, 11), START)]
    assert found[0] is None
    assert found[1] is not None
    # What the variant does not say is as in the standard price.
    assert ("1", "10") == (found[1]["ai_input_token"], found[1]["ai_output_token"])


def test_a_variant_with_a_condition_more_is_no_price_of_the_tier() -> None:
    variant = PriceVariant(when={"service_tier": "flex", "region": "eu"}, prices=PRICE)
    assert amounts("flex", START, price_variants=[variant]) is None


def test_beyond_the_threshold_the_whole_costs_what_the_tier_says() -> None:
    found = [amounts(name, START, prices=tiered(272_000)) for name in ("standard", "long")]
    assert ["1", "2"] == [each and each["ai_input_token"] for each in found]
