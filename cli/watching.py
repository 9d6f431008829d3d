"""Runs budgets and the search for anomalies beside costing, and tells what became of it."""

from datetime import datetime, timedelta

import click

from costing.anomalies.job import AnomalySearch
from costing.budgets.job import Budgeting, Failure
from ledger.clock import Clock
from ledger.errors import UnavailableError

_BUDGETS_PAUSE = timedelta(seconds=5)
_ANOMALIES_PAUSE = timedelta(minutes=30)


class Watching:
    """Evaluates budgets every few seconds and looks for anomalies every now and then.

    What goes wrong is told once, and tried again later.
    """

    def __init__(self, budgeting: Budgeting, search: AnomalySearch, clock: Clock) -> None:
        self._budgeting = budgeting
        self._search = search
        self._clock = clock
        self._told: frozenset[str] = frozenset()
        self._budgets_at = self._anomalies_at = clock()

    def run(self) -> None:
        """Do what it is time for.

        Raises:
            UnavailableError: the ledger did not answer.
        """
        now = self._clock()
        if now >= self._budgets_at:
            self._budgets_at = now + _BUDGETS_PAUSE
            self._tell(self._evaluate(now))
        if now >= self._anomalies_at:
            self._anomalies_at = now + _ANOMALIES_PAUSE
            self._search.run(now=now)

    def _evaluate(self, now: datetime) -> list[str]:
        try:
            return list(map(_describe, self._budgeting.run(now=now).failures))
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - costing, which runs beside it, has to go on
            return [f"budgets are not evaluated: {type(error).__name__}: {error}"]

    def _tell(self, faults: list[str]) -> None:
        for fault in faults:
            if fault not in self._told:
                click.echo(fault, err=True)
        self._told = frozenset(faults)


def watch_once(budgeting: Budgeting, search: AnomalySearch, *, now: datetime) -> bool:
    """Evaluate budgets and look for anomalies; tell whether all of it could be."""
    done = budgeting.run(now=now)
    if done.tenants:
        click.echo(f"tenants whose budgets were looked at: {done.tenants}")
        click.echo(f"thresholds reached: {done.crossings}")
    for failure in done.failures:
        click.echo(_describe(failure), err=True)
    search.run(now=now)
    return not done.failures


def _describe(failure: Failure) -> str:
    return f"budgets of tenant {failure.tenant_id} are not evaluated: {failure.reason}"
