"""Rate cards: the rates that one kind of usage has, resolved once and multiplied as integers.

A card is never edited: its version carries a digest of what it says, so other rates are another
version, and every version that rated a row is kept in the ledger. It names no tenant and no plan.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import Any, NamedTuple, Protocol

import orjson

from ledger.errors import InvalidError
from ledger.measures import MEASURE_COLUMNS, Measures
from ledger.money import parse_rate
from ledger.units import Unit, load_catalogue

UNPRICED_VERSION = "none"
"""Price version of a row that nothing had a rate for."""


class Rates(Protocol):
    """What can rate a row: a rate card or the flat map."""

    @property
    def price_version(self) -> str:
        """A name that other rates do not have, such as `tenant@1c3e9f02a7b4`."""

    @property
    def source(self) -> str:
        """The layer that the rates are from."""

    @property
    def document(self) -> str:
        """Canonical JSON from which the same rates can be built again."""

    def rate(self, unit: Unit, direction: str) -> Fraction | None:
        """Return nano-dollars for one of `unit`, exact, or None where there is no rate."""

    def __hash__(self) -> int:
        """By the version."""


class Amount(NamedTuple):
    """A rate as somebody wrote it: `usd` for `per` of a unit."""

    usd: str
    per: int = 1

    def nanos(self, *, key: str) -> Fraction:
        """Return exact nano-dollars for one.

        Raises:
            InvalidError: `rate_not_text`, `rate_not_decimal` or `invalid_price`.
        """
        if type(self.per) is not int or self.per < 1:
            raise InvalidError("invalid_price", "a whole number", key="per", value=self.per)
        return parse_rate(self.usd, key=key) / self.per


@dataclass(frozen=True, kw_only=True)
class RateCard:
    """The rates of one kind of usage by the names of its units.

    Attributes:
        source: the layer that the rates are from.
        amounts: as they were written; a unit that is not there has no rate.
        markup: percent on top, as a decimal, `"0"` for none.
        basis: what they are the rates of, such as the model that the catalogue took it for.
    """

    source: str
    amounts: Mapping[str, Amount]
    markup: str = "0"
    basis: Mapping[str, str] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash(self.price_version)

    @cached_property
    def document(self) -> str:
        """Canonical JSON from which the same card can be built again."""
        said: dict[str, Any] = {"source": self.source, "currency": "USD", "units": self.amounts}
        if self.markup != "0":
            said["markup"] = self.markup
        if self.basis:
            said["basis"] = self.basis
        return orjson.dumps(said, default=tuple, option=orjson.OPT_SORT_KEYS).decode()

    @cached_property
    def price_version(self) -> str:
        """Source and digest, such as `genai-prices@1c3e9f02a7b4`; `none` without any rate."""
        return f"{self.source}@{digest(self.document)}" if self.amounts else UNPRICED_VERSION

    @cached_property
    def _rates(self) -> dict[str, Fraction]:
        factor = 1 + Fraction(self.markup) / 100
        return {name: said.nanos(key=name) * factor for name, said in self.amounts.items()}

    def rate(self, unit: Unit, direction: str) -> Fraction | None:  # noqa: ARG002 - of one direction
        """Return nano-dollars for one of `unit`, exact, or None where there is no rate."""
        return self._rates.get(unit.name)


def restore_card(document: str) -> RateCard:
    """Build a card again from its document.

    Raises:
        InvalidError: `invalid_rate_card`, where it is none.
    """
    try:
        said = orjson.loads(document)
        card = RateCard(
            source=said["source"],
            amounts={name: Amount(*amount) for name, amount in said["units"].items()},
            markup=said.get("markup", "0"),
            basis=said.get("basis", {}),
        )
        card._rates  # noqa: B018, SLF001 - rates that cannot be read are found here, not when used
    except (AttributeError, InvalidError, KeyError, TypeError, ValueError) as error:
        raise InvalidError("invalid_rate_card", f"no rate card: {error!r}") from error
    if card.document != document:
        raise InvalidError("invalid_rate_card", "no rate card: it says more, or otherwise")
    return card


def digest(document: str) -> str:
    """Return what tells a document from another, in twelve hexadecimal digits."""
    return hashlib.sha256(document.encode()).hexdigest()[:12]


class Multiplier(NamedTuple):
    """Rates of one kind of usage over a common denominator, in the order of `Measures`.

    Attributes:
        numerators: of each count; zero where a count has no rate or no unit.
        denominator: of all of them; the products sum to nano-dollars times this.
        unrated: places of counts that are billed and have no rate.
        billed: places of counts that are billed.
    """

    numerators: tuple[int, ...]
    denominator: int
    unrated: tuple[int, ...]
    billed: tuple[int, ...]


def build_multiplier(
    rates: Rates, channel: str, direction: str, price_class: str
) -> Multiplier | None:
    """Return the integers that such usage is multiplied with, None where no unit counts it."""
    units = load_catalogue().units_of(channel, price_class)
    if not units:
        return None
    found = {MEASURE_COLUMNS.index(unit.column): rates.rate(unit, direction) for unit in units}
    denominator = lcm(*(rate.denominator for rate in found.values() if rate is not None))
    numerators = [0] * len(Measures._fields)
    for place, rate in found.items():
        if rate is not None:
            numerators[place] = int(rate * denominator)
    unrated = tuple(place for place, rate in found.items() if rate is None)
    return Multiplier(tuple(numerators), denominator, unrated, tuple(found))
