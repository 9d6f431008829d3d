"""`meterline budget`: what tenants mean to spend, and how far they are."""

import sys
from collections.abc import Sequence

import click
from tabulate import tabulate

from cli.options import known_tenant, known_tenants
from cli.wiring import Wiring, open_ledger
from costing.budgets.budget import (
    DEFAULT_THRESHOLDS,
    Budget,
    make_budget_id,
    parse_amount,
    parse_feature,
    parse_period,
    parse_recipients,
    parse_thresholds,
)
from costing.budgets.changing import remove_budget, set_budget
from costing.budgets.periods import Period
from costing.budgets.report import BudgetReport, ShownBudget, report_budgets
from ledger.money import format_usd
from ledger.session import tenant_session
from ledger.tenant import Tenant, TenantId, parse_tenant_id
from ledger.tenants import get_own_tenant

_BY = "command line"
_HEADERS = ("tenant", "period", "feature", "amount", "spent", "used", "forecast", "tells at")

_PERIOD = click.option(
    "--period",
    type=click.Choice([str(period) for period in Period]),
    default=str(Period.MONTHLY),
    show_default=True,
)
_FEATURE = click.option("--feature", help="Whose spending it is about. Default: all of it.")


@click.group()
def budget() -> None:
    """Say what a tenant means to spend, and be told when it does."""


@budget.command("set")
@click.argument("tenant_id")
@click.argument("amount")
@_PERIOD
@_FEATURE
@click.option(
    "--threshold",
    "thresholds",
    type=int,
    multiple=True,
    help="Percent of the amount at which to tell; may be repeated. Default: 50, 80, 100.",
)
@click.option("--to", "recipients", multiple=True, help="Address for mail; may be repeated.")
def set_one(  # noqa: PLR0913, PLR0917 - click hands each option over by its name
    tenant_id: str,
    amount: str,
    period: str,
    feature: str | None,
    thresholds: Sequence[int],
    recipients: Sequence[str],
) -> None:
    """Set a budget of AMOUNT USD, in place of the one for the same period and feature."""
    wiring = open_ledger()
    tenant = _customer(wiring, tenant_id)
    wanted = Budget(
        period=parse_period(period),
        feature=parse_feature(feature),
        amount=parse_amount(amount),
        thresholds=parse_thresholds(thresholds or DEFAULT_THRESHOLDS),
        recipients=parse_recipients(recipients),
    )
    with tenant_session(wiring.engine, tenant, write=True) as session:
        set_budget(session, wanted, by=_BY, now=wiring.clock())
    click.echo(f"budget {wanted.budget_id} of {tenant}: {format_usd(wanted.amount)} USD")


@budget.command("remove")
@click.argument("tenant_id")
@_PERIOD
@_FEATURE
def remove(tenant_id: str, period: str, feature: str | None) -> None:
    """Take a budget away. What it was is kept."""
    wiring = open_ledger()
    tenant = _customer(wiring, tenant_id)
    budget_id = make_budget_id(parse_period(period), parse_feature(feature))
    with tenant_session(wiring.engine, tenant, write=True) as session:
        remove_budget(session, budget_id, by=_BY, now=wiring.clock())
    click.echo(f"budget {budget_id} of {tenant} is gone")


@budget.command("list")
@click.option("--tenant", "tenant_id", help="Of one tenant. Default: of all.")
def show(tenant_id: str | None) -> None:
    """List budgets, and how far each is."""
    _tell(_reports(open_ledger(), tenant_id))


@budget.command("check")
@click.option("--tenant", "tenant_id", help="List those of one tenant. Default: of all.")
def check(tenant_id: str | None) -> None:
    """Evaluate budgets now, and list them; exit code 1 says that one is spent in full."""
    wiring = open_ledger()
    is_whole = _evaluate(wiring)
    reports = _reports(wiring, tenant_id)
    _tell(reports)
    shown = [one for _, report in reports for one in report.budgets]
    if not is_whole or any(one.standing.spent >= one.budget.amount for one in shown):
        sys.exit(1)


def _evaluate(wiring: Wiring) -> bool:
    """Evaluate all budgets and tell what came of it; return whether all could be.

    A crossing that is noted where no notice can go out is told by nobody, ever. The worker may have
    the settings for that which this shell lacks, so it is left to the worker.
    """
    if not wiring.media:
        click.echo("thresholds are left to the worker: no mail or webhook is set here", err=True)
        return True
    done = wiring.budgeting.run(now=wiring.clock())
    for failure in done.failures:
        click.echo(f"tenant {failure.tenant_id} is not evaluated: {failure.reason}", err=True)
    click.echo(f"thresholds reached since the last time: {done.crossings}")
    return not done.failures


def _customer(wiring: Wiring, tenant_id: str) -> TenantId:
    """Return a tenant that can have budgets: usage without a tenant has none."""
    parse_tenant_id(tenant_id)
    known_tenant(wiring, tenant_id)
    return TenantId(tenant_id)


def _reports(wiring: Wiring, tenant_id: str | None) -> list[tuple[Tenant, BudgetReport]]:
    now = wiring.clock()
    found = []
    for tenant in known_tenants(wiring, tenant_id):
        with tenant_session(wiring.engine, tenant.tenant_id) as session:
            found.append((tenant, report_budgets(session, get_own_tenant(session), now=now)))
    return found


def _tell(reports: list[tuple[Tenant, BudgetReport]]) -> None:
    rows = [_row(tenant, one) for tenant, report in reports for one in report.budgets]
    click.echo(tabulate(rows, headers=_HEADERS, tablefmt="plain", disable_numparse=True))


def _row(tenant: Tenant, shown: ShownBudget) -> tuple[str, ...]:
    forecast = shown.forecast
    more = " + unpriced" if shown.standing.figures.has_unpriced else ""
    return (
        tenant.tenant_id,
        str(shown.budget.period),
        shown.budget.feature or "(all)",
        format_usd(shown.budget.amount),
        f"{format_usd(shown.standing.spent)}{more}",
        f"{shown.standing.percent}%",
        "" if forecast is None else f"{format_usd(forecast.low)} to {format_usd(forecast.high)}",
        ", ".join(f"{threshold}%" for threshold in shown.budget.thresholds),
    )
