"""`meterline verify`: proves that all sides say the same, or names the first difference."""

import sys

import click
from tabulate import tabulate

from cli.options import known_tenant
from cli.wiring import open_ledger
from costing.verify import Report, verify
from ledger.money import Nanos, format_usd


@click.command("verify")
@click.option("--tenant", "tenant_id", help="Only this tenant.")
def verify_ledger(tenant_id: str | None) -> None:
    """Prove that ledger = rollups = CSV, or name the first difference and exit with 1."""
    wiring = open_ledger()
    report = verify(wiring.engine, wiring.book, known_tenant(wiring, tenant_id))
    _print_totals(report)
    for difference in report.differences:
        click.echo(
            f"DIFFERS {difference.tenant_id}: {difference.where}:"
            f" expected {difference.expected}, found {difference.found}",
            err=True,
        )
    if report.differences:
        sys.exit(1)
    cost = format_usd(Nanos(sum(t.cost for t in report.totals)))
    events = sum(t.events for t in report.totals)
    click.echo(f"ledger = rollups = CSV: {events} events, {cost} USD")


def _print_totals(report: Report) -> None:
    rows = [
        (t.tenant_id, t.events, format_usd(t.cost), t.unpriced_events, t.pending.events)
        for t in report.totals
    ]
    if rows:
        headers = ("tenant", "events", "cost USD", "unpriced events", "pending events")
        click.echo(
            tabulate(
                rows,
                headers=headers,
                tablefmt="plain",
                disable_numparse=True,
                colalign=("left", "right", "right", "right", "right"),
            )
        )
