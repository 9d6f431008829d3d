"""`meterline reprice`: rates days that are over by the price book as it is now, with a reason."""

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import click
from tabulate import tabulate

from cli.options import known_tenants
from cli.wiring import Wiring, open_ledger
from costing.looking import FindBook
from costing.pricing.files import Line, load_price_file
from costing.pricing.laying import examine, lay_down
from costing.pricing.reader import BookReader
from costing.repricing.job import Repricing, Scope, parse_reason
from costing.repricing.outside import find_outside
from costing.repricing.page import Sums
from ledger.money import Nanos, format_usd
from ledger.period import DateRange
from ledger.session import operator_session
from ledger.tenant import Tenant

_DAY = click.DateTime(["%Y-%m-%d"])


class _Line(NamedTuple):
    """What the repricing of one tenant comes to."""

    tenant: Tenant
    sums: Sums


class _Wanted(NamedTuple):
    """Which rows are rated again, and whose."""

    scope: Scope
    tenants: Sequence[Tenant]


@click.command()
@click.option("--from", "first", type=_DAY, required=True, help="First local date.")
@click.option("--to", "last", type=_DAY, required=True, help="Last local date, included.")
@click.option("--tenant", "tenant_id", help="Only this tenant.")
@click.option("--model", help="Only usage of this model, as it was served.")
@click.option(
    "--prices",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Lay this price file down first; its entries may begin in the past.",
)
@click.option("--reason", required=True, help="Why; it is kept with every change of a closed day.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
def reprice(  # noqa: PLR0913 - the options that the command has
    *,
    first: datetime,
    last: datetime,
    tenant_id: str | None,
    model: str | None,
    file: Path | None,
    reason: str,
    dry_run: bool,
) -> None:
    """Rate usage of these days again, by the price book as it is now.

    Days that have closed change in no other way; each change is an entry of the journal, with the
    reason. A repricing that was stopped is finished by running it again.
    """
    dates = DateRange.inclusive(first.date(), last.date())
    why = parse_reason(reason)
    lines = [] if file is None else load_price_file(file)
    wiring = open_ledger()
    tenants = known_tenants(wiring, tenant_id)
    scope = Scope(dates, model)
    find_book = _open_book(wiring, lines, file, _Wanted(scope, tenants), dry_run=dry_run)
    repricing = Repricing(wiring.engine, find_book, scope)
    with click.progressbar(tenants, label="reprice", file=sys.stderr) as bar:
        done = [
            _Line(tenant, _reprice(repricing, tenant, wiring, why, dry_run=dry_run))
            for tenant in bar
        ]
    _tell(done, dry_run=dry_run)


def _reprice(
    repricing: Repricing, tenant: Tenant, wiring: Wiring, reason: str, *, dry_run: bool
) -> Sums:
    if dry_run:
        return repricing.preview(tenant.tenant_id)
    sums = Sums()
    for part in repricing.run(tenant.tenant_id, clock=wiring.clock, reason=reason):
        sums = sums.plus(part)
    return sums


def _open_book(
    wiring: Wiring, lines: list[Line], file: Path | None, wanted: _Wanted, *, dry_run: bool
) -> FindBook:
    """Return what finds the book to rate by, with a price file laid down, or as if it were."""
    find_book = BookReader(wiring.engine, wiring.flat_map).find_book
    if not lines:
        return find_book
    with operator_session(wiring.engine, write=not dry_run) as session:
        lay = examine if dry_run else lay_down
        found = lay(
            session,
            lines,
            flat=wiring.flat_map,
            origin=str(file),
            now=wiring.clock(),
            backdated=True,
        )
    found.require_sound(str(file))
    if not dry_run:
        click.echo(f"price entries laid down: {len(found.new)}")
    repriced = {tenant.tenant_id for tenant in wanted.tenants}
    with operator_session(wiring.engine) as session:
        outside = find_outside(session, found, wanted.scope, repriced)
    for line, reason in outside:
        click.echo(f"note: {file}:{line}: {reason}", err=True)
    # What is laid down beside it counts, too. Of a dry run nothing is.
    return (lambda _session: found.after) if dry_run else find_book


def _tell(done: list[_Line], *, dry_run: bool) -> None:
    changed = [line for line in done if line.sums.rows]
    if not changed:
        click.echo("nothing changes: every row is rated as the price book says")
        return
    total = Sums()
    rows = []
    for line in changed:
        total = total.plus(line.sums)
        rows.append((line.tenant.tenant_id, *_cells(line.sums)))
    if len(changed) > 1:
        rows.append(("all", *_cells(total)))
    headers = ("tenant", "rows", "before", "after", "difference", "unpriced rows")
    right = ("left", *["right"] * 5)
    click.echo(
        tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True, colalign=right)
    )
    if dry_run:
        click.echo("nothing was changed: this was a dry run")


def _cells(sums: Sums) -> tuple[str, ...]:
    difference = sums.after - sums.before
    sign = "+" if difference > 0 else ""
    return (
        str(sums.rows),
        format_usd(Nanos(sums.before)),
        format_usd(Nanos(sums.after)),
        f"{sign}{format_usd(Nanos(difference))}",
        f"{sums.unpriced_before} → {sums.unpriced_after}",
    )
