"""The group of `meterline prices`, and `missing`."""

from datetime import datetime
from pathlib import Path

import click

from cli.options import known_tenant
from cli.prices.catalogues import tell_catalogues, update
from cli.prices.changes import FILE, add, check, tell_difference
from cli.prices.show import show
from cli.prices.tables import print_table
from cli.wiring import open_ledger
from costing.reports.missing import read_missing
from ledger.period import DateRange
from ledger.session import operator_session

_DAY = click.DateTime(["%Y-%m-%d"])
_MISSING = (
    "state",
    "channel",
    "direction",
    "model",
    "class",
    "tenants",
    "rows",
    "events",
    "quantity",
)


@click.group()
def prices() -> None:
    """Say what usage costs: show, check, add and compare prices."""


prices.add_command(show)
prices.add_command(check)
prices.add_command(add)
prices.add_command(update)


@prices.command()
@click.argument("file", required=False, type=FILE)
@click.option("--catalogue", is_flag=True, help="Compare what the installed genai-prices has.")
def diff(file: Path | None, *, catalogue: bool) -> None:
    """Show what adding FILE would change, old and new price side by side. Changes nothing."""
    if (file is None) != catalogue:
        raise click.UsageError("give a FILE or --catalogue")
    if file is None:
        tell_catalogues()
    else:
        tell_difference(file)


@prices.command()
@click.option("--tenant", "tenant_id", help="Only this tenant.")
@click.option("--from", "first", type=_DAY, help="First local date.")
@click.option("--to", "last", type=_DAY, help="Last local date, included.")
def missing(tenant_id: str | None, first: datetime | None, last: datetime | None) -> None:
    """List usage that has no price, and AI usage that only the flat map rates; the most first."""
    if (first is None) != (last is None):
        raise click.UsageError("--from and --to go together")
    dates = None
    if first is not None and last is not None:
        dates = DateRange.inclusive(first.date(), last.date())
    wiring = open_ledger()
    wanted = known_tenant(wiring, tenant_id)
    with operator_session(wiring.engine) as session:
        found = read_missing(session, tenant_id=wanted, dates=dates)
    if not found:
        click.echo("all usage has a price of its own")
        return
    rows = [
        (
            str(each.state),
            each.channel,
            each.direction,
            each.model or "",
            each.price_class,
            *(str(n) for n in (each.tenants, each.rows, each.count, each.quantity)),
        )
        for each in found
    ]
    click.echo(print_table(_MISSING, rows))
