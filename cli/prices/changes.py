"""`meterline prices check`, `add` and `diff FILE`: prices of one's own."""

import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path

import click

from cli.prices.tables import names_text, print_table, quote_text, unit_text
from cli.wiring import Wiring, open_ledger
from costing.pricing.comparing import Quote, Shift, compare_books
from costing.pricing.entries import AliasEntry, RateEntry
from costing.pricing.files import Line, load_price_file
from costing.pricing.flat import load_flat_map
from costing.pricing.laying import Laying, examine, lay_down
from costing.pricing.resolution import Kind
from costing.usages import Used, read_used
from ledger.errors import InvalidError
from ledger.event import DIRECTIONS, STANDARD_PRICE_CLASS
from ledger.period import day_start
from ledger.session import operator_session
from ledger.tenant import Tenant
from ledger.tenants import list_tenants
from ledger.units import load_catalogue

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_HEADERS = ("from", "channel", "direction", "model", "class", "unit", "USD", "->", "tenants")


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
def check(files: tuple[Path, ...]) -> None:
    """Read price files, flat maps too, and tell every fault with its line. Changes nothing."""
    is_wrong = False
    for path in files:
        try:
            click.echo(f"{path}: {_describe(path)}")
        except InvalidError as error:
            is_wrong = True
            click.echo(error.message, err=True)
    if is_wrong:
        sys.exit(1)


def _describe(path: Path) -> str:
    if _is_flat_map(path):
        return f"flat map {load_flat_map(path).price_version}"
    return f"{len(load_price_file(path))} entries"


def _is_flat_map(path: Path) -> bool:
    """Whether a file says to be a flat map: its rates are tables by channel, and not a list."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError):
        return False
    return isinstance(document.get("rates"), dict)


@click.command()
@click.argument("file", type=FILE)
def add(file: Path) -> None:
    """Lay the entries of FILE down, then price what had no price. All of it or nothing.

    Entries that are there already are left out, so that a file can grow and be added again.
    """
    lines = load_price_file(file)
    wiring = open_ledger()
    with operator_session(wiring.engine, write=True) as session:
        laying = lay_down(
            session, lines, flat=wiring.flat_map, origin=str(file), now=wiring.clock()
        )
    new = laying.new
    click.echo(f"entries laid down: {len(new)}, there already: {len(lines) - len(new)}")
    _note_plans(wiring, new)
    outcome = wiring.costing.backprice(clock=wiring.clock)
    click.echo(f"rows without a price that have one now: {outcome.backpriced}")
    for failure in outcome.failures:
        click.echo(f"tenant {failure.tenant_id} is not priced: {failure.reason}", err=True)
    if outcome.failures:
        sys.exit(1)


def _note_plans(wiring: Wiring, new: Sequence[Line]) -> None:
    """Note plans that no tenant is on: such a plan may come, or be misspelt."""
    with operator_session(wiring.engine) as session:
        there = {period.plan for tenant in list_tenants(session) for period in tenant.periods}
    for plan in sorted({line.entry.scope.plan or "" for line in new} - there - {""}):
        click.echo(f"note: no tenant is on the plan {plan}", err=True)


def tell_difference(file: Path) -> None:
    """Tell what adding a file would change, and why it would be refused if so."""
    lines = load_price_file(file)
    wiring = open_ledger()
    with operator_session(wiring.engine) as session:
        found = examine(session, lines, flat=wiring.flat_map, origin=str(file), now=wiring.clock())
        tenants = list_tenants(session)
        used = read_used(session)
    click.echo(
        f"entries that are new: {len(found.new)}, there already: {len(lines) - len(found.new)}"
    )
    rows = list(_rows(_find_shifts(found, tenants, used), len(tenants)))
    if rows:
        click.echo(print_table(_HEADERS, rows))
    elif found.new:
        click.echo("no tenant's usage would cost more or less")
    for fault in found.faults:
        click.echo(f"{file}:{fault.line}: {fault.reason}", err=True)
    if found.faults:
        click.echo("adding it would be refused", err=True)
        sys.exit(1)


def _find_shifts(found: Laying, tenants: Iterable[Tenant], used: Iterable[Used]) -> Iterator[Shift]:
    """Yield what changes, on each date on which something new starts that was not so before."""
    told: dict[Kind, dict[str, Shift]] = {}
    kinds_of = {tenant.tenant_id: _kinds_of_entries(found.new) for tenant in tenants}
    for use in used:
        if use.tenant_id in kinds_of:
            kinds_of[use.tenant_id].add(use[1:])
    for day in sorted({line.entry.starts_on for line in found.new}):
        for tenant in tenants:
            plan = tenant.period_at(day_start(day, tenant)).plan
            for place in sorted(kinds_of[tenant.tenant_id], key=str):
                kind = Kind(tenant.tenant_id, plan, day, *place)
                shifts = {s.unit.name: s for s in compare_books(found.before, found.after, [kind])}
                lately = told.get(kind._replace(date=date.min, plan=""), {})
                told[kind._replace(date=date.min, plan="")] = shifts
                for name, shift in shifts.items():
                    before = lately.get(name)
                    if before is None or before[2:] != shift[2:]:
                        yield shift


_Place = tuple[str, str, str | None, str]


def _kinds_of_entries(new: Sequence[Line]) -> set[_Place]:
    """Return the kinds of usage that entries name, whether or not there was any."""
    found: set[_Place] = set()
    for line in new:
        match line.entry:
            case RateEntry(model=model, price_class=price_class, direction=way, unit=name):
                unit = load_catalogue().unit(name)
                if unit is None:
                    continue
                named = price_class or unit.price_class or unit.apart or STANDARD_PRICE_CLASS
                ways = ("outbound",) if unit.channel == "ai" else DIRECTIONS
                found |= {
                    (unit.channel, each, model, named) for each in ways if way in {None, each}
                }
            case AliasEntry(model=model):
                found.add(("ai", "outbound", model, STANDARD_PRICE_CLASS))
            case _:
                pass
    return found


def _rows(shifts: Iterable[Shift], tenant_count: int) -> Iterator[tuple[str, ...]]:
    """Yield a row for each change, with the tenants that it is the same for."""
    whose: dict[tuple[str, ...], list[str]] = {}
    for shift in shifts:
        kind = shift.kind
        row: tuple[str, ...] = (
            str(kind.date),
            kind.channel,
            kind.direction,
            kind.model or "",
            kind.price_class,
            unit_text(shift.unit),
            _side(shift, shift.before),
            _side(shift, shift.after),
        )
        whose.setdefault(row, []).append(kind.tenant_id)
    for each, tenants in whose.items():
        every = len(tenants) == tenant_count and tenant_count > 1
        yield *each, f"all {tenant_count}" if every else names_text(tenants)


def _side(shift: Shift, quote: Quote | None) -> str:
    return "unpriced" if quote is None else f"{quote_text(quote, shift.unit)} ({quote.source})"
