"""`meterline prices show`: what rates usage."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import product

import click

from cli.prices.tables import print_table, quote_text, unit_text
from cli.wiring import Wiring, open_ledger
from costing.pricing.books import read_kept
from costing.pricing.card import Amount, RateCard, Rates
from costing.pricing.catalogue import CATALOGUE_SOURCE
from costing.pricing.comparing import Quote, quote_units
from costing.pricing.entries import AliasEntry, MarkupEntry, RateEntry
from costing.pricing.flat import FlatMap
from costing.pricing.resolution import SOURCES, Book, Dated, Kind
from costing.pricing.store import Laid, build_book, read_laid
from costing.pricing.wording import describe_amount, describe_price
from costing.usages import Used, read_used
from ledger.event import DIRECTIONS, STANDARD_PRICE_CLASS
from ledger.period import day_start, parse_date
from ledger.price_class import PriceClass, split_price_class
from ledger.session import operator_session
from ledger.tenant import parse_tenant_id
from ledger.tenants import get_tenant
from ledger.units import load_catalogue

_CLASSES = tuple(
    PriceClass(served, is_long).text
    for served in (STANDARD_PRICE_CLASS, "batch", "flex", "priority")
    for is_long in (False, True)
)
_KINDS = {MarkupEntry: "markup", AliasEntry: "alias"}


@click.command()
@click.argument("version", required=False)
@click.option("--tenant", "tenant_id", help="What rates the usage of this tenant, and from where.")
@click.option("--date", "on", help="On this local date. Default: today.")
@click.option("--model", help="Only prices of this model.")
def show(version: str | None, tenant_id: str | None, on: str | None, model: str | None) -> None:
    """Show what rates usage: laid-down entries, the catalogue and the flat map.

    With VERSION, such as `operator@1c3e9f02a7b4`: the rates that rows name so.
    """
    if version is not None and (tenant_id or on or model):
        raise click.UsageError("a VERSION has no tenant, date or model")
    day = None if on is None else parse_date(on, key="date")
    wiring = open_ledger()
    if version is not None:
        click.echo("\n".join(_tell_version(wiring, version)))
    elif tenant_id is not None:
        click.echo("\n".join(_tell_tenant(wiring, tenant_id, day, model)))
    else:
        today = wiring.clock().date() if day is None else day
        click.echo("\n".join(_tell_book(wiring, today, model)))


def _tell_version(wiring: Wiring, version: str) -> Iterator[str]:
    with operator_session(wiring.engine) as session:
        rates = read_kept(session, {version}).of_version(version)
    yield f"{rates.price_version}, of the layer {rates.source}"
    if isinstance(rates, RateCard):
        yield from (f"{name}: {value}" for name, value in sorted(rates.basis.items()))
        if rates.markup != "0":
            yield f"with a markup of {rates.markup} %"
    yield print_table(("channel", "direction", "unit", "USD"), _rows_of(rates))


def _rows_of(rates: Rates) -> Iterator[tuple[str, ...]]:
    for unit in load_catalogue().units:
        found = {way: rates.rate(unit, way) for way in DIRECTIONS}
        same = len(set(found.values())) == 1
        for way, nanos in found.items():
            if nanos is not None and (not same or way == DIRECTIONS[0]):
                text = quote_text(Quote(nanos, rates.source), unit)
                yield unit.channel, "any" if same else way, unit_text(unit), text


def _tell_tenant(
    wiring: Wiring, tenant_id: str, day: date | None, model: str | None
) -> Iterator[str]:
    now = wiring.clock()
    with operator_session(wiring.engine) as session:
        tenant = get_tenant(session, parse_tenant_id(tenant_id, reserved=True))
        laid = read_laid(session)
        used = read_used(session, tenant.tenant_id)
    book = build_book(wiring.flat_map, laid)
    on = now.astimezone(tenant.zone_at(now)).date() if day is None else day
    plan = tenant.period_at(day_start(on, tenant)).plan
    yield f"tenant {tenant.tenant_id}, plan {plan}, on {on}"
    whose = Kind(tenant.tenant_id, plan, on, "", "", None, "")
    kinds = _kinds_of(whose, used, laid, model)
    headers = ("channel", "direction", "model", "class", "unit", "USD", "layer", "version")
    yield print_table(headers, _rows_for(book, kinds))


def _kinds_of(whose: Kind, used: set[Used], laid: Sequence[Laid], model: str | None) -> list[Kind]:
    """Return every kind of usage that is worth showing: that there was, or that has a price."""
    models = {each.model for each in used if each.channel == "ai"} | {
        each.what.model
        for each in laid
        if isinstance(each.what, RateEntry | AliasEntry)
        and each.what.scope.tenant_id in {None, whose.tenant_id}
        and each.what.scope.plan in {None, whose.plan}
    }
    wanted = {model} if model else models
    found = {(u.channel, u.direction, u.model, u.price_class) for u in used}
    found |= {("ai", "outbound", name, STANDARD_PRICE_CLASS) for name in wanted if name}
    found |= {
        (unit.channel, way, None, unit.price_class or STANDARD_PRICE_CLASS)
        for unit, way in product(load_catalogue().units, DIRECTIONS)
        if unit.channel != "ai"
    }
    shown = (each for each in found if model is None or each[2] == model)
    order = [channel.name for channel in load_catalogue().channels]
    by_place = sorted(shown, key=lambda e: (order.index(e[0]), e[2] or "", e[3], e[1]))
    return [
        whose._replace(channel=channel, direction=way, model=name, price_class=price_class)
        for channel, way, name, price_class in by_place
    ]


def _rows_for(book: Book, kinds: Sequence[Kind]) -> Iterator[tuple[str, ...]]:
    for kind in kinds:
        rates = book.resolve(kind)
        version = "none" if rates is None else rates.price_version
        place = (kind.channel, kind.direction, kind.model or "", kind.price_class)
        apart = split_price_class(kind.price_class).apart
        for unit, quote in quote_units(rates, kind):
            if quote is None and unit.apart != apart:
                continue  # such usage is never counted in it
            layer = "unpriced" if quote is None else quote.source
            yield *place, unit_text(unit), quote_text(quote, unit), layer, version


def _tell_book(wiring: Wiring, day: date, model: str | None) -> Iterator[str]:
    with operator_session(wiring.engine) as session:
        laid = read_laid(session)
    yield f"prices on {day}; who has one is asked in this order: {', '.join(SOURCES)}"
    entries = list(_entry_rows(laid, day, model))
    yield f"\nlaid down: {len(entries)} entries"
    if entries:
        headers = ("for", "what", "model", "class", "direction", "price", "from", "laid down", "by")
        yield print_table(headers, entries)
    yield ""
    yield from _tell_catalogue(laid, day, model)
    flat: FlatMap = wiring.flat_map
    yield f"\nflat map {flat.price_version}"
    if model is None:
        yield print_table(("channel", "direction", "unit", "USD"), _rows_of(flat))


def _entry_rows(laid: Sequence[Laid], day: date, model: str | None) -> Iterator[tuple[str, ...]]:
    """Yield the entries that are in force on a date, or will be."""
    newest: dict[object, date] = {}
    for each in laid:
        if not isinstance(each.what, Dated) and each.what.starts_on <= day:
            place = each.what.place
            newest[place] = max(each.what.starts_on, newest.get(place, each.what.starts_on))
    for each in laid:
        entry = each.what
        if isinstance(entry, Dated) or entry.starts_on < newest.get(entry.place, date.min):
            continue
        if model is not None and getattr(entry, "model", None) != model:
            continue
        yield (
            str(entry.scope),
            entry.unit if isinstance(entry, RateEntry) else _KINDS[type(entry)],
            getattr(entry, "model", None) or "",
            (isinstance(entry, RateEntry) and entry.price_class) or "any",
            (isinstance(entry, RateEntry) and entry.direction) or "any",
            describe_price(entry),
            f"{entry.starts_on}{'' if entry.starts_on <= day else ' (later)'}",
            str(each.added_at.date()),
            each.origin,
        )


def _tell_catalogue(laid: Sequence[Laid], day: date, model: str | None) -> Iterator[str]:
    catalogues = [each for each in laid if isinstance(each.what, Dated)]
    if not catalogues:
        yield "no price catalogue; take one by `meterline prices update`"
    in_force = None
    for each in catalogues:
        what = each.what
        if isinstance(what, Dated):
            count = len(what.catalogue.models)
            yield (
                f"price catalogue {what.catalogue.version} from {what.starts_on}: {count} models of"
                f" {each.origin}"
            )
            if what.starts_on <= day and (in_force is None or what.starts_on >= in_force.starts_on):
                in_force = what
    if model is None or in_force is None:
        return
    rows = [
        (price_class, listed.model, str(listed.starts_on), *_amount_cells(name, amount))
        for price_class in _CLASSES
        if (listed := in_force.catalogue.find(model, price_class, day))
        for name, amount in listed.amounts.items()
    ]
    yield (
        print_table(("class", "listed as", "since", "unit", "USD"), rows)
        if rows
        else (f"it has no prices of {model}")
    )


def _amount_cells(name: str, amount: Amount) -> tuple[str, str]:
    unit = load_catalogue().unit(name)
    if unit is None:  # of a catalogue that knew other units
        return name, describe_amount(amount)
    return unit_text(unit), quote_text(Quote(amount.nanos(key=name), CATALOGUE_SOURCE), unit)
