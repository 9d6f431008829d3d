"""The catalogue's prices, multiplied as integers, are those of `genai-prices` to the last digit."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data import providers

from costing.pricing.catalogue import Catalogue
from costing.pricing.flat import build_price_book
from costing.pricing.published import PROVIDER, take_snapshot
from costing.pricing.rating import exact_cost
from costing.pricing.resolution import Book, Dated, kind_of
from ledger.measures import Measures
from ledger.money import NANOS_PER_USD
from ledger.period import FIRST_DATE
from ledger.price_class import classify_ai
from ledger.rollups import RollupKey
from ledger.tenant import TenantId

USAGES = 10_000
SEED = 8
LONG = 272_000

CONTEXTS: dict[str, dict[str, str] | None] = {
    "standard": None,
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}

MODELS = {model.id: model for p in providers if p.id == PROVIDER for model in p.models}
NO_FLAT = build_price_book({"name": "sms", "currency": "USD", "rates": {"sms": {"outbound": "1"}}})


class Case(NamedTuple):
    """A usage, as both sides take it."""

    model: str
    served: str
    day: date
    measures: Measures

    @property
    def key(self) -> RollupKey:
        price_class = classify_ai(self.served, self.measures)
        return RollupKey(self.day, "ai", "outbound", "openai", None, self.model, price_class)

    @property
    def published(self) -> Fraction:
        """What the package says it costs, in nano-dollars."""
        answer = calc_price(
            self._usage(),
            self.model,
            provider_id=PROVIDER,
            genai_request_timestamp=datetime.combine(self.day, time(12), UTC),
            price_context=CONTEXTS[self.served],
        )
        return Fraction(answer.total_price) * NANOS_PER_USD

    def _usage(self) -> Usage:
        m = self.measures
        sent = m.input_tokens + m.cached_input_tokens + m.cache_write_tokens
        received = m.output_tokens + m.audio_out_tokens + m.image_out_tokens
        return Usage(
            input_tokens=sent + m.audio_in_tokens + m.image_in_tokens,
            cache_read_tokens=m.cached_input_tokens,
            cache_write_tokens=m.cache_write_tokens,
            input_audio_tokens=m.audio_in_tokens,
            input_image_tokens=m.image_in_tokens,
            # None of the cached tokens is audio or an image.
            cache_audio_read_tokens=0,
            cache_image_read_tokens=0,
            output_tokens=received,
            output_audio_tokens=m.audio_out_tokens,
            output_image_tokens=m.image_out_tokens,
            audio_seconds=_seconds(m.audio_ms),
            input_audio_seconds=_seconds(m.audio_ms),
        )


def _seconds(milliseconds: int) -> Any:
    return Decimal(milliseconds) / 1000


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return take_snapshot()


def cases() -> Iterator[Case]:
    """Yield usages of all models, on days around those on which prices change, of every size."""
    chance = random.Random(SEED)
    days = sorted({day for model in MODELS.values() for day in _starts(model)})
    names = sorted(MODELS)
    for number in range(USAGES):
        start = chance.choice(days)
        yield Case(
            model=names[number % len(names)],
            served=chance.choice(list(CONTEXTS)),
            day=start + timedelta(days=chance.choice((-1, 0, 1, 200))),
            measures=_measures(chance),
        )


def _starts(model: Any) -> Iterator[date]:
    prices = model.prices if isinstance(model.prices, list) else []
    for each in (*prices, *(model.price_variants or ())):
        if each.constraint is not None:
            yield each.constraint.start_date


def _measures(chance: random.Random) -> Measures:
    if chance.random() < 0.1:
        return Measures(0, audio_ms=chance.randrange(1, 10**7))
    sizes = (0, 1, 1000, LONG, LONG + 1, 10**9)
    sent = [chance.choice(sizes), *(chance.choice((0, 0, 7, 12_345)) for _ in range(4))]
    received = [chance.choice((0, 1, 500, 10**6)), *(chance.choice((0, 0, 9)) for _ in range(2))]
    if chance.random() < 0.3:  # exactly at the threshold, and one beyond it
        sent[0] = max(0, LONG + chance.choice((0, 1)) - sum(sent[1:]))
    return Measures(
        sum(sent) + sum(received),
        input_tokens=sent[0],
        cached_input_tokens=sent[1],
        cache_write_tokens=sent[2],
        audio_in_tokens=sent[3],
        image_in_tokens=sent[4],
        output_tokens=received[0],
        audio_out_tokens=received[1],
        image_out_tokens=received[2],
    )


def test_what_the_catalogue_rates_costs_what_the_package_says(catalogue: Catalogue) -> None:
    book = Book(flat=NO_FLAT, laid=[Dated(FIRST_DATE, catalogue)])
    rated = set()
    unequal = []
    for case in cases():
        rates = book.resolve(kind_of(TenantId("acme"), "Pro", case.key))
        cost = None if rates is None else exact_cost(rates, case.key, case.measures)
        if cost is None:
            continue
        rated.add((case.model, case.served))
        published = case.published
        if case.measures.audio_ms:
            # The package divides an hour's price by 3,600 seconds and rounds to 28 digits; we do not.
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
