"""`meterline verify`: proves that all sides say the same, or names the first difference."""

import sys
from collections.abc import Iterable

import click
from tabulate import tabulate

from cli.options import known_tenant, known_tenants
from cli.wiring import open_ledger
from collector.relay.verify import SeriesReport, SeriesVerifier
from costing.verify import Report, verify
from ledger.difference import Difference
from ledger.money import Nanos, format_usd


@click.command("verify")
@click.option("--tenant", "tenant_id", help="Only this tenant.")
def verify_ledger(tenant_id: str | None) -> None:
    """Prove that ledger = rollups = CSV (= series), or name the first difference and exit with 1.

    The series are those in InfluxDB, where one is configured.
    """
    wiring = open_ledger()
    report = verify(wiring.engine, wiring.flat_map, known_tenant(wiring, tenant_id))
    _print_totals(report)
    _print_differences(report.differences)
    differences = list(report.differences)
    sides = "ledger = rollups = CSV"
    if wiring.target is not None:
        series = SeriesVerifier(wiring.engine, wiring.target).verify(
            known_tenants(wiring, tenant_id), is_all=tenant_id is None, now=wiring.clock()
        )
        _print_unshipped(series)
        _print_differences(series.differences)
        differences += series.differences
        sides += _tell_series(series)
    if differences:
        sys.exit(1)
    cost = format_usd(Nanos(sum(t.cost for t in report.totals)))
    events = sum(t.events for t in report.totals)
    click.echo(f"{sides}: {events} events, {cost} USD")


def _tell_series(series: SeriesReport) -> str:
    """Return what is proved of the series: not that of points which InfluxDB does not have."""
    refused = sum(waits.quarantined for waits in series.unshipped.values())
    return f" = series but for {refused} quarantined points" if refused else " = series"


def _print_differences(differences: Iterable[Difference]) -> None:
    for difference in differences:
        click.echo(
            f"DIFFERS {difference.tenant_id}: {difference.where}:"
            f" expected {difference.expected}, found {difference.found}",
            err=True,
        )


def _print_unshipped(series: SeriesReport) -> None:
    """Tell what is in no series, tenant by tenant, where there is any."""
    rows = [
        (tenant_id, waits.events, waits.rows + waits.days, waits.quarantined, waits.expired)
        for tenant_id, waits in series.unshipped.items()
        if waits.points or waits.quarantined or waits.expired
    ]
    if rows:
        headers = ("tenant", "events to ship", "figures to ship", "quarantined", "expired")
        aligned = ("left", "right", "right", "right", "right")
        click.echo(
            tabulate(
                rows, headers=headers, tablefmt="plain", disable_numparse=True, colalign=aligned
            )
        )


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
