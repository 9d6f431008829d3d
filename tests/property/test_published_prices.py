"""The catalogue's prices, multiplied as integers, are those of `genai-prices` to the last digit."""

from datetime import date
from fractions import Fraction
from itertools import islice

import pytest

from bench.usages import CONTEXTS, MODELS, make_cases
from costing.pricing.catalogue import Catalogue
from costing.pricing.flat import build_price_book
from costing.pricing.published import take_snapshot
from costing.pricing.rating import exact_cost
from costing.pricing.resolution import Book, Dated
from ledger.period import FIRST_DATE
from ledger.rollups import RollupKey

USAGES = 10_000

NO_FLAT = build_price_book({"name": "sms", "currency": "USD", "rates": {"sms": {"outbound": "1"}}})


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return take_snapshot()


def test_what_the_catalogue_rates_costs_what_the_package_says(catalogue: Catalogue) -> None:
    book = Book(flat=NO_FLAT, laid=[Dated(FIRST_DATE, catalogue)])
    rated = set()
    unequal = []
    for case in islice(make_cases(), USAGES):
        kind = case.kind
        key = RollupKey(case.day, "ai", "outbound", None, None, case.model, kind.price_class)
        rates = book.resolve(kind)
        cost = None if rates is None else exact_cost(rates, key, case.measures)
        if cost is None:
            continue
        rated.add((case.model, case.served))
        published = case.nanos_by_package()
        if case.measures.audio_ms:
            # The package divides the price of an hour and rounds to 28 digits; we do not.
            cost, published = Fraction(round(cost)), Fraction(round(published))
        if cost != published:
            unequal.append((case, cost, published))
    assert [] == unequal[:3]
    # Most of what there is was met: a snapshot that had nothing would be equal, too.
    assert len({model for model, _ in rated}) > 90
    assert {served for _, served in rated} == CONTEXTS.keys()


def test_a_tier_that_a_model_does_not_have_is_not_priced_as_another(catalogue: Catalogue) -> None:
    priced = [
        model.id
        for model in MODELS.values()
        if not any(variant.when == CONTEXTS["flex"] for variant in model.price_variants or ())
        and catalogue.find(model.id, "flex", date(2030, 1, 1)) is not None
    ]
    assert [] == priced
