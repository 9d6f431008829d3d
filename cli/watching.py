"""Runs budgets and the search for anomalies once, and tells what became of it."""

from datetime import datetime

import click

from costing.anomalies.job import AnomalySearch
from costing.budgets.job import Budgeting, Evaluated


def watch_once(budgeting: Budgeting, search: AnomalySearch, *, now: datetime) -> bool:
    """Evaluate budgets and look for anomalies; tell whether all of it could be."""
    done = budgeting.run(now=now)
    if done.tenants:
        click.echo(f"tenants whose budgets were looked at: {done.tenants}")
        click.echo(f"thresholds reached: {done.crossings}")
    for fault in describe_evaluated(done):
        click.echo(fault, err=True)
    search.run(now=now)
    return not done.failures


def describe_evaluated(done: Evaluated) -> list[str]:
    """Return a sentence for each tenant whose budgets could not be evaluated."""
    return [
        f"budgets of tenant {failure.tenant_id} are not evaluated: {failure.reason}"
        for failure in done.failures
    ]
