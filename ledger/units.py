"""Billable units and channels, read from `units.toml` and proved closed when they are loaded."""

import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any, Literal

from ledger.measures import MEASURE_COLUMNS

Side = Literal["input", "output"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """A way of spending: its slug and the name that people read."""

    name: str
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """One thing a price can be put on.

    Attributes:
        column: its count in `Measures`.
        side: for AI tokens, the side of the model that they are on.
        apart: the price class that sets usage of this unit apart from that of the others, if any.
        price_class: the one price class whose usage is counted in this unit, in place of the
            channel's other units; None: usage of any class that has no units of its own.
    """

    name: str
    channel: str
    column: str
    counts: str
    side: Side | None = None
    apart: str | None = None
    price_class: str | None = None


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All channels and units, in the order in which people are shown them.

    Attributes:
        long_context_tokens: most tokens in of a request that is not of the price class `long`.
    """

    channels: tuple[Channel, ...]
    units: tuple[Unit, ...]
    long_context_tokens: int

    def unit(self, name: str) -> Unit | None:
        """Return the unit of a name, or None."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, Unit]:
        return {unit.name: unit for unit in self.units}

    def units_of(self, channel: str, price_class: str | None = None) -> tuple[Unit, ...]:
        """Return the units that together count all usage of a channel and price class."""
        known = self.price_classes_of(channel)
        own = price_class if price_class in known else None
        return tuple(u for u in self.units if u.channel == channel and u.price_class == own)

    def price_classes_of(self, channel: str) -> frozenset[str]:
        """Return the price classes that have units of their own."""
        return frozenset(
            u.price_class for u in self.units if u.channel == channel and u.price_class
        )


def build_catalogue(document: dict[str, Any]) -> Catalogue:
    """Build the catalogue and prove it closed.

    Every channel has a unit, every AI count is in exactly one unit, and no count is in two, so that
    no usage can be left unbilled or be billed twice.

    Raises:
        ValueError: naming all that is wrong.
    """
    catalogue = Catalogue(
        channels=tuple(Channel(**entry) for entry in document["channels"]),
        units=tuple(Unit(**entry) for entry in document["units"]),
        long_context_tokens=document["long_context"]["input_tokens"],
    )
    faults = _faults(catalogue)
    if faults:
        raise ValueError("units.toml: " + "; ".join(faults))
    return catalogue


def _faults(catalogue: Catalogue) -> list[str]:
    faults = []
    if catalogue.long_context_tokens < 1:
        faults.append("long_context.input_tokens is not a count")
    channels = [channel.name for channel in catalogue.channels]
    faults += [f"channel {name} is there twice" for name in channels if channels.count(name) > 1]
    for unit in catalogue.units:
        if unit.channel not in channels:
            faults.append(f"unit {unit.name} is of no known channel")
        if unit.column not in MEASURE_COLUMNS:
            faults.append(f"unit {unit.name} counts in no known column")
    for name in channels:
        faults += _channel_faults(name, [unit.column for unit in catalogue.units_of(name)], name)
        for apart in sorted(catalogue.price_classes_of(name)):
            columns = [unit.column for unit in catalogue.units_of(name, apart)]
            faults += _channel_faults(name, columns, f"{name} {apart}")
    return faults


def _channel_faults(channel: str, columns: list[str], where: str) -> list[str]:
    """Return what is wrong with the columns that count usage of a channel, of one price class."""
    wanted = set(MEASURE_COLUMNS) - {"quantity"} if channel == "ai" else {"quantity"}
    found = set(columns)
    return [
        *(f"{where}.{c} is counted twice" for c in sorted(found) if columns.count(c) > 1),
        *(f"{where}.{c} is counted in no unit" for c in sorted(wanted - found)),
        *(f"{where}.{c} overlaps another count" for c in sorted(found - wanted)),
    ]


@cache
def load_catalogue() -> Catalogue:
    """Return the catalogue that ships with Meterline."""
    text = resources.files("ledger").joinpath("units.toml").read_text(encoding="utf-8")
    return build_catalogue(tomllib.loads(text))
