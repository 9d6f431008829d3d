"""The flat map of prices: rates read from TOML, validated as a whole, named by what they say.

A map is never edited: its version carries a digest of its rates, so other rates are another
version, and every version that rated a row is kept in the ledger.
"""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import orjson

from ledger.errors import InvalidError
from ledger.event import DIRECTIONS, is_slug
from ledger.missing import FLAT_PRICE_SOURCE
from ledger.money import parse_rate
from ledger.units import Unit, load_catalogue

CURRENCY = "USD"
_TOKENS_A_RATE = 1000
_AI_RATES = {"input": "input_per_1k_tokens", "output": "output_per_1k_tokens"}
_MAX_NAME = 40
_MARKUP = "markup"
"""In what the ledger keeps of a marked-up map, and never in a file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FlatMap:
    """Rates by channel and rate name, and the text that they can be built from again.

    Attributes:
        price_version: name and digest, such as `flat@1c3e9f02a7b4`.
        document: canonical JSON of name, currency and rates.
    """

    price_version: str
    document: str
    _rates: Mapping[tuple[str, str], Fraction] = field(repr=False)

    def __hash__(self) -> int:
        return hash(self.price_version)

    @property
    def source(self) -> str:
        """The layer of the price book that it is, whatever its name."""
        return FLAT_PRICE_SOURCE

    def rate(self, unit: Unit, direction: str) -> Fraction | None:
        """Return nano-dollars for one of `unit`, exact, or None where there is no rate."""
        if unit.channel != "ai":
            return self._rates.get((unit.channel, unit.price_class or direction))
        if unit.side is None:
            return None
        rate = self._rates.get((unit.channel, _AI_RATES[unit.side]))
        return None if rate is None else rate / _TOKENS_A_RATE

    @property
    def unmarked(self) -> "FlatMap":
        """The map without its markup, if it has one."""
        said = orjson.loads(self.document)
        return self if said.pop(_MARKUP, None) is None else build_flat_map(said)

    def mark_up(self, percent: str) -> "FlatMap":
        """Return the same map with a markup on every rate, under a version of its own."""
        return _marked_up(self, percent)


def build_flat_map(
    document: Mapping[str, Any], *, markup: str | None = None, may_be_empty: bool = False
) -> FlatMap:
    """Build a map from a decoded document.

    Args:
        document: name, currency and rates.
        markup: percent on top of every rate.
        may_be_empty: it may have no rates, so that it rates nothing.

    Raises:
        InvalidError: `invalid_price_book`, naming every fault.
    """
    faults = list(_head_faults(document))
    rates: dict[tuple[str, str], Fraction] = {}
    tables = document.get("rates")
    if not isinstance(tables, dict) or not (tables or may_be_empty):
        faults.append("rates: give at least one table, like [rates.sms]")
        tables = {}
    faults += _ai_faults(tables)
    factor = 1 + Fraction(markup or 0) / 100
    for channel, name, value in _flatten(tables, faults):
        try:
            rates[channel, name] = factor * parse_rate(value, key=f"rates.{channel}.{name}")
        except InvalidError as error:
            faults.append(f"{error.message} (it is {error.value})")
    if faults:
        raise InvalidError("invalid_price_book", "\n".join(f"  {fault}" for fault in faults))
    said = document if markup is None else {**document, _MARKUP: markup}
    text = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    version = f"{document['name']}@{hashlib.sha256(text).hexdigest()[:12]}"
    return FlatMap(price_version=version, document=text.decode(), _rates=rates)


def load_flat_map(path: Path | None = None, *, ai_flat_fallback: bool = True) -> FlatMap:
    """Read a map from a TOML file, or the one that ships with Meterline.

    Args:
        path: the file, or None for the one that ships.
        ai_flat_fallback: False leaves out the AI rates, so that AI usage is unpriced.

    Raises:
        InvalidError: `invalid_price_book`, with the file and every fault.
    """
    source = path or resources.files("costing").joinpath("prices.toml")
    try:
        document = tomllib.loads(source.read_text(encoding="utf-8"))
        flat = build_flat_map(document)
        return flat if ai_flat_fallback else _without_ai(document)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidError("invalid_price_book", f"{source}: {reason}") from error
    except InvalidError as error:
        raise InvalidError(error.code, f"{source}:\n{error.message}") from error


def restore_flat_map(document: str) -> FlatMap:
    """Build a map again from the document that the ledger keeps."""
    said = orjson.loads(document)
    markup = said.pop(_MARKUP, None) if isinstance(said, dict) else None
    return build_flat_map(said, markup=markup)


def _without_ai(document: Mapping[str, Any]) -> FlatMap:
    rates = {channel: table for channel, table in document["rates"].items() if channel != "ai"}
    # Of a map for AI alone nothing is left, and that is what was asked for.
    return build_flat_map({**document, "rates": rates}, may_be_empty=True)


@lru_cache(maxsize=1024)
def _marked_up(flat: FlatMap, percent: str) -> FlatMap:
    return build_flat_map(orjson.loads(flat.document), markup=percent)


def _head_faults(document: Mapping[str, Any]) -> Iterator[str]:
    name = document.get("name")
    if not isinstance(name, str) or not is_slug(name) or len(name) > _MAX_NAME:
        yield f"name: a slug of at most {_MAX_NAME} characters"
    if document.get("currency") != CURRENCY:
        yield f'currency: "{CURRENCY}" is the only one; amounts are never converted'
    for key in sorted(document.keys() - {"name", "currency", "rates"}):
        yield f"{key}: no such entry; there are name, currency and rates"


def _ai_faults(tables: Mapping[str, Any]) -> Iterator[str]:
    """Both sides have a rate or neither has: one alone would leave mixed rows without a price."""
    table = tables.get("ai")
    if isinstance(table, dict) and len(table.keys() & set(_AI_RATES.values())) == 1:
        yield f"rates.ai: give both {' and '.join(_AI_RATES.values())}; a free side has the rate 0"


def _flatten(tables: dict[str, Any], faults: list[str]) -> Iterator[tuple[str, str, object]]:
    catalogue = load_catalogue()
    known = {channel.name for channel in catalogue.channels}
    for channel, table in tables.items():
        if channel not in known:
            faults.append(f"rates.{channel}: no such channel; there are {', '.join(sorted(known))}")
            continue
        if not isinstance(table, dict):
            faults.append(f"rates.{channel}: a table of rates")
            continue
        if channel == "ai":
            names = set(_AI_RATES.values())
        else:
            names = {*DIRECTIONS, *catalogue.price_classes_of(channel)}
        for name, value in table.items():
            if name in names:
                yield channel, name, value
            else:
                faults.append(
                    f"rates.{channel}.{name}: no such rate; there are {', '.join(sorted(names))}"
                )
