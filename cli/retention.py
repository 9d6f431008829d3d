"""`meterline retention`: takes raw usage that is older than people want to keep it."""

import sys
import time

import click
from tabulate import tabulate

from cli.wiring import open_ledger
from costing.retention import Due, Retention
from ledger.errors import ConflictError
from ledger.period import MAX_RETENTION_DAYS, MIN_RETENTION_DAYS
from ledger.session import BusyError
from ledger.tenant import parse_tenant_id

# A writer that waits on SQLite looks for its turn every 25 ms or so. Without the pause a run hardly
# ever lets one in: beside it the slowest bookings took 800 ms, with it 100 to 200, for a quarter
# more time of the run.
_PAUSE_SECONDS = 0.025


@click.group()
def retention() -> None:
    """Take raw usage that is old; every figure stays, and so does what tells duplicates."""


@retention.command("run")
@click.option("--tenant", "tenant_id", help="Only this tenant.")
@click.option(
    "--days",
    type=click.IntRange(MIN_RETENTION_DAYS, MAX_RETENTION_DAYS),
    help="Local dates to keep, today included. Default: METERLINE_RETENTION_DAYS.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be taken, and take nothing.")
def run(tenant_id: str | None, days: int | None, *, dry_run: bool) -> None:
    """Turn costed raw usage of older dates into tombstones and checkpoints.

    A run that was stopped at any moment is resumed by running it again.
    """
    wiring = open_ledger()
    kept = days if days is not None else wiring.settings.retention_days
    if kept is None:
        raise click.UsageError(
            "give --days or set METERLINE_RETENTION_DAYS; without either, usage is kept for ever"
        )
    job = Retention(wiring.engine, days=kept)
    found = job.find_due(
        None if tenant_id is None else parse_tenant_id(tenant_id, reserved=True), now=wiring.clock()
    )
    if dry_run:
        _print_due(found)
        return
    taken, refused = _take_all(job, found)
    click.echo(f"raw rows that became tombstones: {taken}")
    for line in refused:
        click.echo(line, err=True)
    if refused:
        sys.exit(1)


def _take_all(job: Retention, found: list[Due]) -> tuple[int, list[str]]:
    """Take what is due; what goes wrong with one tenant stays with it."""
    taken = 0
    refused = []
    with click.progressbar(
        length=sum(due.rows for due in found), label="retention", file=sys.stderr
    ) as bar:
        for due in found:
            try:
                for rows in job.take(due):
                    taken += rows
                    bar.update(rows)
                    time.sleep(_PAUSE_SECONDS)
            except (ConflictError, BusyError) as error:
                refused.append(f"usage of tenant {due.tenant_id} is not taken: {error.message}")
    return taken, refused


def _print_due(found: list[Due]) -> None:
    if found:
        rows = [(due.tenant_id, due.first_kept.isoformat(), due.rows) for due in found]
        headers = ("tenant", "dates before", "raw rows")
        aligned = ("left", "left", "right")
        click.echo(
            tabulate(
                rows, headers=headers, tablefmt="plain", disable_numparse=True, colalign=aligned
            )
        )
    click.echo(f"raw rows that would become tombstones: {sum(due.rows for due in found)}")
