"""`meterline work`, `rebuild` and `verify`: cost what was booked, recompute it, prove it."""

import os
import signal
import sys
import threading
from types import FrameType

import click
from tabulate import tabulate

from cli.wiring import Wiring, open_ledger
from costing.job import Failure, Outcome
from costing.verify import Report, verify
from ledger.errors import UnavailableError
from ledger.money import Nanos, format_usd
from ledger.session import operator_session
from ledger.tenant import TenantId, parse_tenant_id
from ledger.tenants import get_tenant

_IDLE_SECONDS = 1.0


@click.command()
@click.option("--once", is_flag=True, help="Stop when nothing is left to do.")
@click.option("--parent", type=int, hidden=True, help="Stop when this parent process is gone.")
def work(*, once: bool, parent: int | None) -> None:
    """Cost booked usage, again and again. Any number of these may run."""
    wiring = open_ledger()
    costing = wiring.costing
    if once:
        outcome = costing.run(now=wiring.clock(), wait=True)
        click.echo(f"batches costed: {outcome.batches}")
        _tell_failures(outcome)
        if outcome.failures:
            sys.exit(1)
        return
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    told: tuple[Failure, ...] = ()
    while not stop.is_set() and parent in (None, os.getppid()):
        try:
            outcome = costing.run(now=wiring.clock())
            if outcome.failures != told:
                _tell_failures(outcome)
                told = outcome.failures
        except UnavailableError as error:
            click.echo(f"waiting: {error.message}", err=True)
        stop.wait(_IDLE_SECONDS)


def _tell_failures(outcome: Outcome) -> None:
    for failure in outcome.failures:
        click.echo(f"tenant {failure.tenant_id} is not costed: {failure.reason}", err=True)


@click.group()
def rebuild() -> None:
    """Recompute what is derived from the ledger."""


@rebuild.command("rollups")
@click.option("--tenant", "tenant_id", help="Only this tenant.")
@click.option("--price-version", help="What rated rows that were deleted, where it is not known.")
def rebuild_rollups(tenant_id: str | None, price_version: str | None) -> None:
    """Recompute the daily rollups from raw usage. Rows keep the price version that rated them."""
    wiring = open_ledger()
    mended = wiring.costing.rebuild(
        _known_tenant(wiring, tenant_id), lost_version=price_version, now=wiring.clock()
    )
    click.echo(f"rollup rows that were wrong and are mended: {mended}")


@click.command("verify")
@click.option("--tenant", "tenant_id", help="Only this tenant.")
def verify_ledger(tenant_id: str | None) -> None:
    """Prove that ledger = rollups = CSV, or name the first difference and exit with 1."""
    wiring = open_ledger()
    report = verify(wiring.engine, wiring.book, _known_tenant(wiring, tenant_id))
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


def _known_tenant(wiring: Wiring, tenant_id: str | None) -> TenantId | None:
    if tenant_id is None:
        return None
    with operator_session(wiring.engine) as session:
        return get_tenant(session, parse_tenant_id(tenant_id)).tenant_id
