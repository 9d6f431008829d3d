"""The catalogue's prices, multiplied as integers, are those of `genai-prices` to the last digit."""

from datetime import date
from fractions import Fraction
from itertools import islice

import pytest

from bench.usages import CONTEXTS, MODELS, Case, make_cases
from costing.pricing.catalogue import Catalogue
from costing.pricing.flat import build_flat_map
from costing.pricing.published import take_snapshot
from costing.pricing.resolution import Book, Dated
from ledger.period import FIRST_DATE
from ledger.rollups import RollupKey
from tests.pricing import exact_cost

USAGES = 10_000

NO_FLAT = build_flat_map({"name": "sms", "currency": "USD", "rates": {"sms": {"outbound": "1"}}})


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return take_snapshot()


def has_price(case: Case) -> bool:
    """Whether the package has a price of this tier for all that was used; text alone is asked."""
    model, context = MODELS[case.model], CONTEXTS[case.served]
    is_served = context is None or any(
        each.when == context and (each.constraint is None or each.constraint.active(case.moment))
        for each in model.price_variants or ()
    )
    m, prices = case.measures, model.get_prices(case.moment, context)
    is_text = m.quantity == m.input_tokens + m.output_tokens and not m.audio_ms
    has_both = prices.input_mtok is not None and prices.output_mtok is not None
    return is_served and is_text and has_both


def test_what_the_catalogue_rates_costs_what_the_package_says(catalogue: Catalogue) -> None:
    book = Book(flat=NO_FLAT, laid=[Dated(FIRST_DATE, catalogue)])
    rated: set[tuple[str, str]] = set()
    unequal = []
    left_out = []
    priced = {known["id"] for known in catalogue.models if known["prices"]}
    for number, case in enumerate(islice(make_cases(), 3 * USAGES)):
        if number >= USAGES and {MODELS[name].id for name, _ in rated} == priced:
            break
        kind = case.kind
        key = RollupKey(case.day, "ai", "outbound", None, None, case.model, kind.price_class)
        rates = book.resolve(kind)
        cost = None if rates is None else exact_cost(rates, key, case.measures)
        if cost is None:
            if has_price(case):
                left_out.append(case)
            continue
        rated.add((case.model, case.served))
        published = case.nanos_by_package()
        if case.measures.audio_ms:
            # The package divides the price of an hour and rounds to 28 digits; we do not.
            cost, published = Fraction(round(cost)), Fraction(round(published))
        if cost != published:
            unequal.append((case, cost, published))
    assert [] == unequal[:3]
    assert [] == left_out[:3]
    # All there is was met: a snapshot that had nothing would be equal, too.
    assert priced == {MODELS[name].id for name, _ in rated}
    assert {served for _, served in rated} == CONTEXTS.keys()


def test_a_tier_that_a_model_does_not_have_is_not_priced_as_another(catalogue: Catalogue) -> None:
    priced = [
        name
        for name, model in MODELS.items()
        if not any(variant.when == CONTEXTS["flex"] for variant in model.price_variants or ())
        and catalogue.find(name, "flex", date(2030, 1, 1)) is not None
    ]
    assert [] == priced
