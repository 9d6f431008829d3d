"""What a unit of usage costs by one price book, and by another. Pure functions."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from costing.pricing.card import Rates
from costing.pricing.catalogue import Catalogue
from costing.pricing.resolution import Book, Kind
from ledger.units import Unit, load_catalogue


class Quote(NamedTuple):
    """What one of a unit costs, in exact nano-dollars, and the layer that says so."""

    nanos: Fraction
    source: str


class Shift(NamedTuple):
    """A unit of a kind of usage whose price differs between two books; None: it has none."""

    kind: Kind
    unit: Unit
    before: Quote | None
    after: Quote | None


def quote_units(rates: Rates | None, kind: Kind) -> Iterator[tuple[Unit, Quote | None]]:
    """Yield the units that such usage is billed in, and what rates say of each."""
    for unit in load_catalogue().units_of(kind.channel, kind.price_class):
        nanos = None if rates is None else rates.rate(unit, kind.direction)
        quote = None if rates is None or nanos is None else Quote(nanos, rates.source)
        yield unit, quote


def compare_books(before: Book, after: Book, kinds: Iterable[Kind]) -> Iterator[Shift]:
    """Yield the units whose price, or whose layer, differs between two books."""
    for kind in kinds:
        old, new = before.resolve(kind), after.resolve(kind)
        if old == new:
            continue
        for (unit, was), (_, becomes) in zip(
            quote_units(old, kind), quote_units(new, kind), strict=True
        ):
            if was != becomes:
                yield Shift(kind, unit, was, becomes)


class Relisted(NamedTuple):
    """A published price that one catalogue has and another has not, or not so.

    Attributes:
        price_class: of the usage.
        starts_on: from which date on they differ so.
        units: names of those that have this price.
        before: amount and how many it is for; None: no price.
        after: likewise.
    """

    model: str
    price_class: str
    starts_on: date
    units: tuple[str, ...]
    before: tuple[str, int] | None
    after: tuple[str, int] | None


def compare_catalogues(before: Catalogue | None, after: Catalogue) -> Iterator[Relisted]:
    """Yield what differs between two catalogues, by model, class, date and price."""
    old, new = _list_prices(before), _list_prices(after)
    for place in sorted(old.keys() | new.keys()):
        was, becomes = old.get(place, {}), new.get(place, {})
        told: dict[str, object] = {}
        for day in sorted(was.keys() | becomes.keys()):
            differs = _differences(_in_force(was, day), _in_force(becomes, day))
            fresh = {unit: pair for unit, pair in differs.items() if told.get(unit) != pair}
            told = {**differs}
            for pair in dict.fromkeys(fresh.values()):
                units = tuple(unit for unit, each in fresh.items() if each == pair)
                yield Relisted(*place, day, units, *pair)


def renamed_models(before: Catalogue | None, after: Catalogue) -> list[str]:
    """Return the models that both catalogues have, and that other names lead to."""
    old = {} if before is None else {known["id"]: known["match"] for known in before.models}
    return [
        known["id"]
        for known in after.models
        if old.get(known["id"], known["match"]) != known["match"]
    ]


_Amounts = Mapping[str, tuple[str, int]]


def _list_prices(catalogue: Catalogue | None) -> dict[tuple[str, str], dict[date, _Amounts]]:
    """Return amounts by unit, by start, by model and class."""
    found: dict[tuple[str, str], dict[date, _Amounts]] = {}
    for known in [] if catalogue is None else catalogue.models:
        for price in known["prices"]:
            place = (known["id"], price["price_class"])
            amounts = {unit: (usd, per) for unit, (usd, per) in (price["units"] or {}).items()}
            found.setdefault(place, {})[date.fromisoformat(price["starts_on"])] = amounts
    return found


def _in_force(prices: Mapping[date, _Amounts], day: date) -> _Amounts:
    starts = [start for start in prices if start <= day]
    return prices[max(starts)] if starts else {}


def _differences(
    was: _Amounts, becomes: _Amounts
) -> dict[str, tuple[tuple[str, int] | None, tuple[str, int] | None]]:
    return {
        unit: (was.get(unit), becomes.get(unit))
        for unit in [*was, *(unit for unit in becomes if unit not in was)]
        if was.get(unit) != becomes.get(unit)
    }
