"""Why entries of a price file cannot be laid down beside those that lie there. Pure functions."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from costing.pricing.entries import Entry, RateEntry, Scope
from costing.pricing.files import Line
from costing.pricing.resolution import Book, Dated, Kind
from costing.pricing.store import Laid
from costing.pricing.wording import describe_price
from ledger.event import STANDARD_PRICE_CLASS
from ledger.price_class import split_price_class
from ledger.tenant import TenantId
from ledger.units import load_catalogue

_SIDES = ("ai_input_token", "ai_output_token")
_NOBODY = TenantId("nobody")


class Fault(NamedTuple):
    """What is wrong with an entry: the line of its table, the reason, and what to do."""

    line: int
    reason: str


def find_new(laid: Sequence[Laid], lines: Sequence[Line]) -> list[Line]:
    """Return the lines whose entries do not lie in the ledger, each once."""
    known = {each.what for each in laid if not isinstance(each.what, Dated)}
    new: dict[Entry, Line] = {}
    for line in lines:
        if line.entry not in known:
            new.setdefault(line.entry, line)
    return list(new.values())


def find_edited(laid: Sequence[Laid], new: Sequence[Line]) -> Iterator[Fault]:
    """Yield entries whose place and start are there with another price."""
    there: Mapping[object, Laid] = {
        (each.what.place, each.what.starts_on): each
        for each in laid
        if not isinstance(each.what, Dated)
    }
    for number, entry in new:
        before = there.get((entry.place, entry.starts_on))
        if before is not None and not isinstance(before.what, Dated):
            yield Fault(
                number,
                f"from {entry.starts_on} on it is {describe_price(before.what)} already"
                f" (laid down on {before.added_at.date()} from {before.origin}); a price is never"
                f" edited: choose a start after {entry.starts_on}",
            )


def find_unknown_tenants(new: Sequence[Line], known: Collection[TenantId]) -> Iterator[Fault]:
    """Yield entries for tenants that are not registered."""
    for number, entry in new:
        tenant_id = entry.scope.tenant_id
        if tenant_id is not None and tenant_id not in known:
            yield Fault(
                number,
                f"there is no tenant {tenant_id}; register it first (meterline tenant add)",
            )


def find_one_sided(book: Book, new: Sequence[Line]) -> Iterator[Fault]:
    """Yield AI token rates of which one side lacks: every row with both would be unpriced.

    Args:
        book: with the new entries in it.
        new: the new entries.
    """
    rates = [each for each in book.laid if isinstance(each, RateEntry) and _is_of_tokens(each)]
    told = set()
    for number, entry in new:
        if not isinstance(entry, RateEntry) or not _is_of_tokens(entry):
            continue
        beside = [each for each in rates if (each.scope, each.model) == (entry.scope, entry.model)]
        starts = sorted({each.starts_on for each in beside if each.starts_on >= entry.starts_on})
        for price_class in _classes_of(beside):
            for day in starts:
                where = (entry.scope, entry.model, price_class, day)
                lacking = _lacking_sides(book, entry.scope, entry.model, price_class, day)
                if lacking and where not in told:
                    told.add(where)
                    yield Fault(
                        number,
                        f"{entry.model} ({price_class}, {entry.scope}) has no"
                        f" {' and no '.join(lacking)} from {day} on: give both sides of a model;"
                        ' a free side has the amount "0"',
                    )


def _is_of_tokens(entry: RateEntry) -> bool:
    unit = load_catalogue().unit(entry.unit)
    return unit is not None and unit.side is not None


def _classes_of(entries: Sequence[RateEntry]) -> list[str]:
    """Return the price classes that differ by these entries, those of other units left out."""
    classes = {STANDARD_PRICE_CLASS, *(each.price_class or "" for each in entries)} - {""}
    return sorted(each for each in classes if split_price_class(each).apart is None)


def _lacking_sides(
    book: Book, scope: Scope, model: str | None, price_class: str, day: date
) -> list[str]:
    kind = Kind(
        scope.tenant_id or _NOBODY, scope.plan or "", day, "ai", "outbound", model, price_class
    )
    found = {unit for unit in book.own_amounts(scope, kind) if unit.endswith("_token")}
    return [side for side in _SIDES if found and side not in found]
