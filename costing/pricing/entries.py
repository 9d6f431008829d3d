"""Price entries: what an operator lays down, each with a start, append-only.

An entry is a rate for one unit, a markup, or another name of a model. It is for one tenant, for one
plan, or the operator's own. From its start on it takes the place of an older one of the same place;
what was rated before stays as it is.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from fractions import Fraction
from typing import NamedTuple

import orjson

from costing.pricing.card import Amount
from ledger.errors import InvalidError, MissingError
from ledger.tenant import TenantId
from ledger.units import load_catalogue

_PERCENT = re.compile(r"-?\d{1,4}(\.\d{1,6})?", re.ASCII)
_FREE_OF_CHARGE = -100
"""Percent: a markup takes away everything at most."""


class Scope(NamedTuple):
    """Whom an entry is for: one tenant, the tenants of one plan, or all."""

    tenant_id: TenantId | None = None
    plan: str | None = None

    def __str__(self) -> str:
        if self.tenant_id is not None:
            return f"tenant {self.tenant_id}"
        return "all tenants" if self.plan is None else f"plan {self.plan}"


ALL = Scope()


@dataclass(frozen=True, kw_only=True, slots=True)
class RateEntry:
    """A rate of one unit from a local date on.

    Attributes:
        unit: its name in `ledger/units.toml`.
        amount: None: from then on there is no rate in this place.
        model: of AI usage as it was served, or the name that an alias leads to.
        price_class: of usage that it is for; None: of any.
        direction: of usage that it is for; None: both.
    """

    starts_on: date
    unit: str
    amount: Amount | None
    scope: Scope = ALL
    model: str | None = None
    price_class: str | None = None
    direction: str | None = None

    @property
    def place(self) -> tuple[object, ...]:
        """What it is for: two entries of one place and start contradict each other."""
        return ("rate", self.scope, self.unit, self.model, self.price_class, self.direction)


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkupEntry:
    """What a tenant or plan pays on top of a provider's price from a local date on, in percent."""

    starts_on: date
    percent: str
    scope: Scope

    @property
    def place(self) -> tuple[object, ...]:
        """What it is for: two entries of one place and start contradict each other."""
        return ("markup", self.scope)


@dataclass(frozen=True, kw_only=True, slots=True)
class AliasEntry:
    """From a local date on, `model` costs what `prices_as` costs: a deployment, a private name."""

    starts_on: date
    model: str
    prices_as: str
    scope: Scope = ALL

    @property
    def place(self) -> tuple[object, ...]:
        """What it is for: two entries of one place and start contradict each other."""
        return ("alias", self.model)


Entry = RateEntry | MarkupEntry | AliasEntry

_KINDS: Mapping[str, type[Entry]] = {
    "rate": RateEntry,
    "markup": MarkupEntry,
    "alias": AliasEntry,
}
KIND_NAMES: Mapping[type[Entry], str] = {kind: name for name, kind in _KINDS.items()}


def write_entry(entry: Entry) -> str:
    """Return the canonical JSON that the ledger keeps of an entry, without its scope and start."""
    said = {name: value for name, value in asdict(entry).items() if value is not None}
    del said["scope"], said["starts_on"]
    return orjson.dumps(said, default=tuple, option=orjson.OPT_SORT_KEYS).decode()


def read_entry(kind: str, starts_on: date, scope: Scope, document: str) -> Entry:
    """Read what `write_entry` wrote.

    Raises:
        MissingError: `edited_price_entry`, where it is none.
    """
    try:
        said = orjson.loads(document)
        if kind == "rate":
            amount = said.get("amount")
            said["amount"] = None if amount is None else Amount(*amount)
        entry: Entry = _KINDS[kind](starts_on=starts_on, scope=scope, **said)
        _check(entry, document)
    except (AttributeError, InvalidError, KeyError, TypeError, ValueError) as error:
        raise MissingError(
            "edited_price_entry",
            f"a price entry in the ledger was edited and can no longer be read: {error}",
        ) from error
    return entry


def _check(entry: Entry, document: str) -> None:
    if write_entry(entry) != document:
        raise ValueError("it says more, or otherwise")
    match entry:
        case RateEntry(unit=unit, amount=amount):
            if load_catalogue().unit(unit) is None:
                raise ValueError(f"there is no unit {unit}")
            if amount is not None:
                amount.nanos(key=unit)
        case MarkupEntry(percent=percent):
            parse_percent(percent)
        case _:
            pass


def parse_percent(text: object) -> str:
    """Check a markup: a decimal in quotes, -100 or more.

    Raises:
        InvalidError: `invalid_price`.
    """
    if not isinstance(text, str) or _PERCENT.fullmatch(text) is None:
        raise InvalidError(
            "invalid_price", 'a decimal in quotes, like "15"', key="percent", value=text
        )
    if Fraction(text) < _FREE_OF_CHARGE:
        raise InvalidError("invalid_price", "-100 or more", key="percent", value=text)
    return text


def find_contradictions(entries: list[Entry]) -> Iterator[tuple[int, int]]:
    """Yield the places in `entries` of two that have one place and start and say other things."""
    seen: dict[object, int] = {}
    for number, entry in enumerate(entries):
        first = seen.setdefault((entry.place, entry.starts_on), number)
        if entries[first] != entry:
            yield first, number
