"""Takes a snapshot of the prices that come with the package `genai-prices`.

The only module that knows the package. It is loaded when a snapshot is taken and never to rate.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import orjson
from genai_prices import types
from genai_prices.data import providers

from costing.pricing.catalogue import Catalogue
from ledger.errors import InvalidError
from ledger.event import STANDARD_PRICE_CLASS
from ledger.period import FIRST_DATE
from ledger.price_class import PriceClass
from ledger.units import load_catalogue

PROVIDER = "openai"

_TOKENS = 1_000_000
_MILLISECONDS = 3_600_000

_UNITS: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "ai_input_token": (_TOKENS, ("input_mtok",)),
    "ai_cached_input_token": (_TOKENS, ("cache_read_mtok", "input_mtok")),
    "ai_cache_write_token": (_TOKENS, ("cache_write_mtok", "input_mtok")),
    "ai_output_token": (_TOKENS, ("output_mtok",)),
    "ai_audio_in_token": (_TOKENS, ("input_audio_mtok", "input_mtok")),
    "ai_audio_out_token": (_TOKENS, ("output_audio_mtok", "output_mtok")),
    "ai_image_in_token": (_TOKENS, ("input_image_mtok", "input_mtok")),
    "ai_image_out_token": (_TOKENS, ("output_image_mtok", "output_mtok")),
    "ai_audio_millisecond": (_MILLISECONDS, ("input_audio_hours", "audio_hours")),
}
"""Our units, how many of them a published price is for, and its keys there: a detail without a
price of its own has that of what it is a part of, as the package reckons."""

_CONTEXTS: Mapping[str, Mapping[str, str]] = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}
"""Our price classes beside `standard`, and what the package calls them."""

_NOT_COUNTED = frozenset(
    {
        # Tools that OpenAI hosts are billed beside the model's tokens; no usage tells them.
        "web_searches_kcount",
        "storage_searches_kcount",
        # Speech is billed by what is read out; the answer tells no usage.
        "input_mchars",
        # Cached tokens are of one kind with us: they are told without what they were of.
        "cache_audio_read_mtok",
        "cache_image_read_mtok",
    }
)
"""Prices of what is no unit of ours. A price that is neither is refused by name: what it is for
would be left unbilled in silence."""

_CLAUSES: Mapping[str, str] = {
    "or_": "or",
    "and_": "and",
    "equals": "equals",
    "starts_with": "starts_with",
    "ends_with": "ends_with",
    "contains": "contains",
    "regex": "regex",
}


def take_snapshot(published: Iterable[types.ModelInfo] | None = None) -> Catalogue:
    """Return a snapshot of what the installed package has for OpenAI's models.

    Args:
        published: the models, in the order in which they are tried; None: the package's.

    Raises:
        InvalidError: `unknown_catalogue`, where the package has what cannot be told by date, model,
            class and unit.
    """
    if published is None:
        published = next(provider for provider in providers if provider.id == PROVIDER).models
    models = [
        {"id": model.id, "match": _clause(model.match), "prices": list(_prices(model))}
        for model in published
    ]
    return Catalogue(document=orjson.dumps({"models": models}).decode())


def _clause(match: Any) -> dict[str, Any]:
    names = [each.name for each in fields(match)] if is_dataclass(match) else []
    if len(names) != 1 or names[0] not in _CLAUSES:
        raise InvalidError("unknown_catalogue", f"genai-prices has a match of its own: {match!r}")
    wanted = getattr(match, names[0])
    if isinstance(wanted, list):
        wanted = [_clause(part) for part in wanted]
    return {_CLAUSES[names[0]]: wanted}


def _prices(model: types.ModelInfo) -> Iterator[dict[str, Any]]:
    """Yield what a model costs, by class, each from the date on which it began to cost that."""
    starts = _starts(model)
    for served in (STANDARD_PRICE_CLASS, *_CONTEXTS):
        for is_long in (False, True):
            before: object = None
            for day in starts:
                units = _units_on(model, served, day, is_long=is_long)
                if units != before:
                    yield {
                        "price_class": PriceClass(served, is_long).text,
                        "starts_on": day.isoformat(),
                        "units": units,
                    }
                    before = units


def _starts(model: types.ModelInfo) -> list[date]:
    prices = model.prices if isinstance(model.prices, list) else []
    starts = {FIRST_DATE}
    for constraint in [each.constraint for each in (*prices, *(model.price_variants or ()))]:
        if isinstance(constraint, types.StartDateConstraint):
            starts.add(constraint.start_date)
        elif constraint is not None:
            raise InvalidError(
                "unknown_catalogue", f"{model.id} has prices by the time of day in genai-prices"
            )
    return sorted(starts)


def _units_on(
    model: types.ModelInfo, served: str, day: date, *, is_long: bool
) -> dict[str, tuple[str, int]] | None:
    """Return the amounts of our units, None where there is no price of this class then."""
    moment = datetime.combine(day, time(), UTC)
    context = _CONTEXTS.get(served)
    if context is not None and not _has_variant(model, context, moment):
        return None
    prices = model.get_prices(moment, context)
    _check_keys(model, prices)
    units = {}
    for unit, (per, keys) in _UNITS.items():
        found = next((price for key in keys if (price := getattr(prices, key)) is not None), None)
        if found is not None:
            units[unit] = (format(_amount(model, found, is_long=is_long), "f"), per)
    return units or None


def _check_keys(model: types.ModelInfo, prices: types.ModelPrice) -> None:
    counted = {key for _, keys in _UNITS.values() for key in keys}
    for key, price in sorted(vars(prices).items()):
        if price is not None and key not in counted | _NOT_COUNTED:
            raise InvalidError(
                "unknown_catalogue", f"{model.id} has a price that no unit is for: {key}"
            )


def _has_variant(model: types.ModelInfo, context: Mapping[str, str], moment: datetime) -> bool:
    return any(
        variant.when == context
        and (variant.constraint is None or variant.constraint.active(moment))
        for variant in model.price_variants or ()
    )


def _amount(
    model: types.ModelInfo, price: Decimal | types.TieredPrices, *, is_long: bool
) -> Decimal:
    if isinstance(price, Decimal):
        return price
    threshold = load_catalogue().long_context_tokens
    if [tier.start for tier in price.tiers] != [threshold]:
        raise InvalidError(
            "unknown_catalogue",
            f"{model.id} is rated by other lengths of context than {threshold} in genai-prices",
        )
    return price.tiers[0].price if is_long else price.base
