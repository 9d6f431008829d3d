"""Random usages of all OpenAI models that `genai-prices` knows, as both sides take them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

from genai_prices import Usage, calc_price
from genai_prices.data import providers

from costing.pricing.published import PROVIDER
from costing.pricing.resolution import Kind
from ledger.measures import Measures
from ledger.money import NANOS_PER_USD
from ledger.price_class import classify_ai
from ledger.tenant import TenantId

CONTEXTS: dict[str, dict[str, str] | None] = {
    "standard": None,
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}
"""Tiers as served, and what the package calls them."""


def _name(model: Any) -> str:
    """Return a name that leads to a model: its id, or one that begins as its names do."""
    name: str = model.id if model.is_match(model.id) else f"{model.match.starts_with}08-06"
    return name


MODELS = {_name(model): model for p in providers if p.id == PROVIDER for model in p.models}
"""Models by a name as it is served."""

_LONG = 272_000
_SEED = 8


@dataclass(frozen=True)
class Case:
    """A usage of one model on one day."""

    model: str
    served: str
    day: date
    measures: Measures

    @cached_property
    def kind(self) -> Kind:
        """What our price of it depends on."""
        price_class = classify_ai(self.served, self.measures)
        return Kind(TenantId("acme"), "Pro", self.day, "ai", "outbound", self.model, price_class)

    @cached_property
    def usage(self) -> Usage:
        """The counts as the package takes them: details are inside their totals."""
        m = self.measures
        sent = m.input_tokens + m.cached_input_tokens + m.cache_write_tokens
        received = m.output_tokens + m.audio_out_tokens + m.image_out_tokens
        seconds: Any = Decimal(m.audio_ms) / 1000
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
            audio_seconds=seconds,
            input_audio_seconds=seconds,
        )

    @cached_property
    def moment(self) -> datetime:
        """An instant of the day."""
        return datetime.combine(self.day, time(12), UTC)

    def price_by_package(self) -> Decimal:
        """Return what the package says it costs, in dollars."""
        answer = calc_price(
            self.usage,
            self.model,
            provider_id=PROVIDER,
            genai_request_timestamp=self.moment,
            price_context=CONTEXTS[self.served],
        )
        return answer.total_price

    def nanos_by_package(self) -> Fraction:
        """Return the same in nano-dollars."""
        return Fraction(self.price_by_package()) * NANOS_PER_USD


def make_cases() -> Iterator[Case]:
    """Yield usages without end: of all models in turn, around days on which prices change."""
    chance = random.Random(_SEED)
    days = sorted({day for model in MODELS.values() for day in _starts(model)})
    names = sorted(MODELS)
    while True:
        for name in names:
            yield Case(
                model=name,
                served=chance.choice(list(CONTEXTS)),
                day=chance.choice(days) + timedelta(days=chance.choice((-1, 0, 1, 200))),
                measures=_measures(chance),
            )


def _starts(model: Any) -> Iterator[date]:
    prices = model.prices if isinstance(model.prices, list) else []
    for each in (*prices, *(model.price_variants or ())):
        if each.constraint is not None:
            yield each.constraint.start_date


def _measures(chance: random.Random) -> Measures:
    if chance.random() < 0.1:  # noqa: PLR2004 - one in ten is billed by duration
        return Measures(0, audio_ms=chance.randrange(1, 10**7))
    sizes = (0, 1, 1000, _LONG, _LONG + 1, 10**9)
    sent = [chance.choice(sizes), *(chance.choice((0, 0, 7, 12_345)) for _ in range(4))]
    received = [chance.choice((0, 1, 500, 10**6)), *(chance.choice((0, 0, 9)) for _ in range(2))]
    if chance.choice((True, False, False)):  # exactly at the threshold, and one beyond it
        sent[0] = max(0, _LONG + chance.choice((0, 1)) - sum(sent[1:]))
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
