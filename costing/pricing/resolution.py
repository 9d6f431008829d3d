"""Which rates a rollup row has: one pure function of the price book and the row's key.

Layers, the first that has rates for the usage has them all: the tenant's own, its plan's, the
operator's, the catalogue, the flat map. A markup is on what the operator pays, so on the last three
of them. Rates begin on local dates and a row is of one, so it has one price, whatever order usage
comes in.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeVar

from costing.pricing.card import Amount, RateCard, Rates
from costing.pricing.catalogue import CATALOGUE_SOURCE, Catalogue
from costing.pricing.entries import ALL, AliasEntry, Entry, MarkupEntry, RateEntry, Scope
from costing.pricing.flat import FlatMap
from ledger.missing import FLAT_PRICE_SOURCE
from ledger.price_class import PriceClass, split_price_class
from ledger.rollups import RollupKey
from ledger.tenant import TenantId
from ledger.units import load_catalogue

TENANT_SOURCE = "tenant"
PLAN_SOURCE = "plan"
OPERATOR_SOURCE = "operator"
SOURCES = (TENANT_SOURCE, PLAN_SOURCE, OPERATOR_SOURCE, CATALOGUE_SOURCE, FLAT_PRICE_SOURCE)
"""Layers in the order in which they are asked."""

_SIDES = {"input": "ai_input_token", "output": "ai_output_token"}
_NO_MARKUP = "0"
_MOST_RESOLVED = 200_000


class Kind(NamedTuple):
    """All that the price of usage depends on."""

    tenant_id: TenantId
    plan: str
    date: date
    channel: str
    direction: str
    model: str | None
    price_class: str


def kind_of(tenant_id: TenantId, plan: str, key: RollupKey) -> Kind:
    """Return what the price of a tenant's rollup row depends on."""
    return Kind(tenant_id, plan, key.date, key.channel, key.direction, key.model, key.price_class)


class Dated(NamedTuple):
    """A catalogue and the local date from which it is in force."""

    starts_on: date
    catalogue: Catalogue


@dataclass(frozen=True, kw_only=True)
class Book:
    """The whole price book at one moment.

    Attributes:
        flat: what remains where nothing else has a rate.
        laid: entries and catalogues, in the order in which they were laid down.
    """

    flat: FlatMap
    laid: Sequence[Entry | Dated] = ()

    def resolve(self, kind: Kind) -> Rates | None:
        """Return the rates of such usage, None where nobody has any."""
        found = self._resolved.get(kind)
        if found is None:
            if len(self._resolved) >= _MOST_RESOLVED:
                self._resolved.clear()
            found = self._resolved[kind] = (self._resolve(kind),)
        return found[0]

    def own_amounts(self, scope: Scope, kind: Kind) -> Mapping[str, Amount]:
        """Return by unit what the entries of one scope alone have for such usage."""
        return self._laid_down(scope, self._names(kind), kind)

    def resolve_ever(self, kind: Kind, flats: Iterable[FlatMap]) -> dict[str, Rates | None]:
        """Return by version what may have rated such usage at any time until now.

        Args:
            kind: of the usage.
            flats: the flat maps that ever were.
        """
        # What is for other usage, or starts later, makes no difference: there may be much of it.
        laid = [each for each in self.laid if self._may_reach(each, kind)]
        found: dict[str, Rates | None] = {}
        for flat in (*flats, self.flat):
            for mark in range(len(laid) + 1):
                rates = Book(flat=flat, laid=laid[:mark]).resolve(kind)
                found["" if rates is None else rates.price_version] = rates
        return found

    def _may_reach(self, each: Entry | Dated, kind: Kind) -> bool:
        if each.starts_on > kind.date:
            return False
        match each:
            case Dated():
                return True
            case AliasEntry():
                return each.model == kind.model
            case MarkupEntry():
                return each.scope in _scopes(kind)
            case RateEntry():
                aliases = self._aliases.get(kind.model, ())
                names = {None, kind.model, *(alias.prices_as for alias in aliases)}
                return each.scope in _scopes(kind) and each.model in names

    @cached_property
    def _resolved(self) -> dict[Kind, tuple[Rates | None]]:
        return {}

    def _resolve(self, kind: Kind) -> Rates | None:
        names = self._names(kind)
        tenant, plan, _ = _scopes(kind)
        for source, scope in ((TENANT_SOURCE, tenant), (PLAN_SOURCE, plan)):
            if amounts := self._laid_down(scope, names, kind):
                return RateCard(source=source, amounts=amounts)
        markup = self._markup(kind)
        if amounts := self._laid_down(ALL, names, kind):
            return RateCard(source=OPERATOR_SOURCE, amounts=amounts, markup=markup)
        return self._published(names, kind, markup) or self._flat(kind, markup)

    def _names(self, kind: Kind) -> tuple[str | None, ...]:
        """Return the model as it was served, then what it is priced as, if that is another."""
        if kind.channel != "ai":
            return (None,)  # whatever metadata of a message name: only AI is priced by model
        alias = _newest(self._aliases.get(kind.model, ()), kind.date)
        return (kind.model,) if alias is None else (kind.model, alias.prices_as)

    def _laid_down(
        self, scope: Scope, names: tuple[str | None, ...], kind: Kind
    ) -> dict[str, Amount]:
        for name in names:
            entries = self._rates.get((scope, kind.channel, name))
            if entries and (amounts := _choose(entries, kind)):
                return amounts
        return {}

    def _markup(self, kind: Kind) -> str:
        for scope in _scopes(kind)[:2]:
            markup = _newest(self._markups.get(scope, ()), kind.date)
            if markup is not None:
                return markup.percent
        return _NO_MARKUP

    def _published(self, names: tuple[str | None, ...], kind: Kind, markup: str) -> RateCard | None:
        dated = _newest(self._catalogues, kind.date)
        if dated is None or kind.channel != "ai":
            return None
        # What somebody said a name stands for goes before what the catalogue takes it for: a
        # deployment called `gpt-4` may well serve another model.
        name = names[-1]
        listed = name and dated.catalogue.find(name, kind.price_class, kind.date)
        if not listed or not _is_rated(listed.amounts, kind):
            return None
        return RateCard(
            source=CATALOGUE_SOURCE,
            amounts=listed.amounts,
            markup=markup,
            basis={"model": listed.model, "starts_on": listed.starts_on.isoformat()},
        )

    def _flat(self, kind: Kind, markup: str) -> Rates | None:
        units = load_catalogue().units_of(kind.channel, kind.price_class)
        rated = {u.name for u in units if self.flat.rate(u, kind.direction) is not None}
        if not _is_rated(rated, kind):
            return None
        return self.flat if markup == _NO_MARKUP else self.flat.mark_up(markup)

    @cached_property
    def _catalogues(self) -> Sequence[Dated]:
        return [each for each in self.laid if isinstance(each, Dated)]

    @cached_property
    def _rates(self) -> Mapping[tuple[Scope, str, str | None], Sequence[RateEntry]]:
        found: dict[tuple[Scope, str, str | None], list[RateEntry]] = {}
        for entry in self.laid:
            unit = load_catalogue().unit(entry.unit) if isinstance(entry, RateEntry) else None
            if isinstance(entry, RateEntry) and unit is not None:
                found.setdefault((entry.scope, unit.channel, entry.model), []).append(entry)
        return found

    @cached_property
    def _markups(self) -> Mapping[Scope, Sequence[MarkupEntry]]:
        found: dict[Scope, list[MarkupEntry]] = {}
        for entry in self.laid:
            if isinstance(entry, MarkupEntry):
                found.setdefault(entry.scope, []).append(entry)
        return found

    @cached_property
    def _aliases(self) -> Mapping[str | None, Sequence[AliasEntry]]:
        found: dict[str | None, list[AliasEntry]] = {}
        for entry in self.laid:
            if isinstance(entry, AliasEntry):
                found.setdefault(entry.model, []).append(entry)
        return found


def _scopes(kind: Kind) -> tuple[Scope, Scope, Scope]:
    return Scope(tenant_id=kind.tenant_id), Scope(plan=kind.plan), ALL


_Newest = TypeVar("_Newest", MarkupEntry, AliasEntry, Dated, RateEntry)


def _newest(entries: Iterable[_Newest], day: date) -> _Newest | None:
    """Return the entry that began last by `day`; of two that began together, the later one."""
    found: _Newest | None = None
    for entry in entries:
        if entry.starts_on <= day and (found is None or entry.starts_on >= found.starts_on):
            found = entry
    return found


def _choose(entries: Sequence[RateEntry], kind: Kind) -> dict[str, Amount]:
    """Return the amounts that one layer has for usage, by unit; nothing where it has no rates."""
    units = load_catalogue().units_of(kind.channel, kind.price_class)
    amounts = {}
    for unit in units:
        amount = _nearest(entries, unit.name, kind)
        if amount is not None:
            amounts[unit.name] = amount
    for unit in units:
        # A detail without a rate of its own costs what its side of the model costs.
        base = amounts.get(_SIDES[unit.side]) if unit.side else None
        if base is not None:
            amounts.setdefault(unit.name, base)
    return amounts if _is_rated(amounts.keys(), kind) else {}


def _nearest(entries: Sequence[RateEntry], unit: str, kind: Kind) -> Amount | None:
    """Return the amount of the place that is nearest to the usage and not withdrawn."""
    for price_class in _classes(kind.price_class):
        for direction in (kind.direction, None):
            entry = _newest(
                (
                    entry
                    for entry in entries
                    if (entry.unit, entry.price_class, entry.direction)
                    == (unit, price_class, direction)
                ),
                kind.date,
            )
            if entry is not None and entry.amount is not None:
                return entry.amount
    return None


@lru_cache(maxsize=1024)
def _classes(price_class: str) -> tuple[str | None, ...]:
    """Return the classes whose rates such usage takes, the nearest first; the last is any."""
    pieces = split_price_class(price_class)
    wider = (pieces._replace(apart=None).text, PriceClass(pieces.served).text)
    return (*dict.fromkeys((price_class, *wider)), None)


def _is_rated(units: Collection[str], kind: Kind) -> bool:
    """Whether rates of these units are rates of such usage: it has what it is mainly billed by."""
    apart = split_price_class(kind.price_class).apart
    return any(
        unit.name in units and (kind.channel != "ai" or unit.apart == apart)
        for unit in load_catalogue().units_of(kind.channel, kind.price_class)
    )
