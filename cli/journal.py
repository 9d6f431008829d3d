"""`meterline journal`: what changed of closed days, when, by what, and why."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

import click

from cli.options import known_tenants
from cli.prices.tables import print_table
from cli.wiring import Wiring, open_ledger
from costing.journal import Figures, JournalLine, read_lines, write_journal_csv
from costing.store import Cause
from ledger.event import STANDARD_PRICE_CLASS
from ledger.money import format_usd
from ledger.period import FIRST_DATE, LAST_DATE, DateRange
from ledger.session import tenant_session
from ledger.tenant import Tenant

_DAY = click.DateTime(["%Y-%m-%d"])
_HEADERS = ("booked at", "tenant", "date", "usage", "cause", "before", "after", "reason")
_MOST_SHOWN = 1000


@click.command()
@click.option("--tenant", "tenant_id", help="Only this tenant.")
@click.option("--from", "first", type=_DAY, help="First local date.")
@click.option("--to", "last", type=_DAY, help="Last local date, included.")
@click.option(
    "--cause", type=click.Choice([str(cause) for cause in Cause]), help="Only what it changed."
)
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV to standard output.")
@click.option(
    "--output",
    "file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write CSV to this file.",
)
def journal(  # noqa: PLR0913 - the options that the command has
    *,
    tenant_id: str | None,
    first: datetime | None,
    last: datetime | None,
    cause: str | None,
    as_csv: bool,
    file: Path | None,
) -> None:
    """Show what changed of closed days: what rows said before and after, when and why.

    Tenant by tenant, the oldest change first.
    """
    if as_csv and file is not None:
        raise click.UsageError("give --csv or --output, not both")
    dates = DateRange.inclusive(
        FIRST_DATE if first is None else first.date(), LAST_DATE if last is None else last.date()
    )
    wiring = open_ledger()
    tenants = known_tenants(wiring, tenant_id)
    lines = _read(wiring, tenants, dates, None if cause is None else Cause(cause))
    if file is not None:
        with file.open("w", newline="", encoding="utf-8") as target:
            target.writelines(write_journal_csv(lines))
    elif as_csv:
        for text in write_journal_csv(lines):
            click.echo(text, nl=False)
    else:
        _tell(lines)


def _read(
    wiring: Wiring, tenants: list[Tenant], dates: DateRange, cause: Cause | None
) -> Iterator[JournalLine]:
    for tenant in tenants:
        with tenant_session(wiring.engine, tenant.tenant_id) as session:
            yield from read_lines(session, dates, cause=cause)


def _tell(lines: Iterator[JournalLine]) -> None:
    shown = [_row(line) for line in islice(lines, _MOST_SHOWN)]
    if not shown:
        click.echo("nothing changed of closed days")
        return
    click.echo(print_table(_HEADERS, shown))
    more = sum(1 for _ in lines)
    if more:
        click.echo(f"and {more} more; --csv and --output have all")


def _row(line: JournalLine) -> tuple[str, ...]:
    *labels, price_class = line.labels
    named = [*labels, None if price_class == STANDARD_PRICE_CLASS else price_class]
    return (
        f"{line.booked_at:%Y-%m-%d %H:%M:%S}",
        line.tenant_id,
        line.date.isoformat(),
        " ".join(filter(None, named)) or f"rollup {line.rollup_id}",
        line.cause,
        _figures(line.before),
        _figures(line.after),
        line.reason or "",
    )


def _figures(figures: Figures | None) -> str:
    """Return the cost, and in brackets the count where the entry has one."""
    if figures is None:
        return "-"
    cost = "unpriced" if figures.cost is None else format_usd(figures.cost)
    return cost if figures.events is None else f"{cost} ({figures.events})"
