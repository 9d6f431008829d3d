"""`meterline prices update` and `diff --catalogue`: published prices, taken over when told to."""

from collections.abc import Iterator

import click

from cli.prices.tables import per_of, print_table, quote_text
from cli.wiring import Wiring, open_ledger
from costing.pricing.card import Amount
from costing.pricing.catalogue import CATALOGUE_SOURCE, Catalogue
from costing.pricing.comparing import Quote, Relisted, compare_catalogues, renamed_models
from costing.pricing.resolution import Dated
from costing.pricing.snapshots import (
    find_catalogue,
    installed_package,
    lay_catalogue,
    read_installed,
)
from costing.pricing.store import read_laid
from ledger.period import tomorrow_everywhere
from ledger.session import operator_session
from ledger.units import load_catalogue

_HEADERS = ("model", "class", "from", "units", "USD", "->")


@click.command()
@click.option("--yes", is_flag=True, help="Take the prices over, from tomorrow everywhere.")
def update(*, yes: bool) -> None:
    """Show what the installed genai-prices has that the ledger has not; take it over with --yes.

    Neither a newer package nor the network changes a price by itself.
    """
    wiring = open_ledger()
    there, installed = _tell(wiring)
    if there is not None and there.catalogue.version == installed.version:
        return
    starts_on = tomorrow_everywhere(wiring.clock())
    if not yes:
        click.echo(f"nothing is changed; --yes takes them over from {starts_on} on")
        return
    with operator_session(wiring.engine, write=True) as session:
        lay_catalogue(session, installed, starts_on=starts_on, now=wiring.clock())
    click.echo(f"price catalogue {installed.version} from {starts_on}")


def tell_catalogues() -> None:
    """Tell what the installed package has that the ledger has not."""
    _tell(open_ledger())


def _tell(wiring: Wiring) -> tuple[Dated | None, Catalogue]:
    with operator_session(wiring.engine) as session:
        there = find_catalogue(read_laid(session))
    installed = read_installed()
    before = None if there is None else there.catalogue
    had = "none" if there is None else f"{there.catalogue.version} from {there.starts_on}"
    click.echo(f"in the ledger: {had}")
    click.echo(f"installed: {installed.version} ({installed_package()})")
    if before is not None and before.version == installed.version:
        click.echo("the ledger has what is installed")
        return there, installed
    rows = list(_rows(before, installed))
    click.echo(print_table(_HEADERS, rows) if rows else "no price differs")
    for model in renamed_models(before, installed):
        click.echo(f"other names lead to {model}")
    return there, installed


def _rows(before: Catalogue | None, after: Catalogue) -> Iterator[tuple[str, ...]]:
    """Yield a row for each price that differs; classes that differ alike share it."""
    classes: dict[Relisted, list[str]] = {}
    for each in compare_catalogues(before, after):
        classes.setdefault(each._replace(price_class=""), []).append(each.price_class)
    for each, alike in classes.items():
        yield (
            each.model,
            ", ".join(alike),
            str(each.starts_on),
            ", ".join(each.units),
            _amount_text(each.units[0], each.before),
            _amount_text(each.units[0], each.after),
        )


def _amount_text(name: str, amount: tuple[str, int] | None) -> str:
    if amount is None:
        return "-"
    unit = load_catalogue().unit(name)
    if unit is None:  # of a catalogue that knew other units
        return f"{amount[0]} per {amount[1]}"
    quote = Quote(Amount(*amount).nanos(key=name), CATALOGUE_SOURCE)
    return f"{quote_text(quote, unit)} per {per_of(unit)}"
