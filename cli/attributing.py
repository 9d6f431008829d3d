"""Runs attribution beside costing, and tells what became of it."""

from datetime import timedelta

import click

from collector.attribution.job import Attributed, Attribution, Failure
from ledger.clock import Clock

_PAUSE = timedelta(seconds=15)

NOTHING = Attributed(0)
"""What became of a run that found nothing to do: where nothing is mapped, nobody is told so."""


class Attributing:
    """Attributes every now and then; what goes wrong is told once, and tried again later."""

    def __init__(self, attribution: Attribution, clock: Clock) -> None:
        self._attribution = attribution
        self._clock = clock
        self._told: tuple[Failure, ...] = ()
        self._due_at = clock()

    def run(self) -> None:
        """Attribute if it is time to.

        Raises:
            UnavailableError: the ledger did not answer.
        """
        now = self._clock()
        if now < self._due_at:
            return
        done = self._attribution.run(now=now)
        if done.failures != self._told:
            tell_failures(done)
            self._told = done.failures
        self._due_at = now + _PAUSE


def tell_attributed(done: Attributed) -> bool:
    """Tell what was attributed and what was not; tell whether all of it was."""
    click.echo(f"usages attributed: {done.usages}")
    tell_failures(done)
    return not done.failures


def tell_failures(done: Attributed) -> None:
    """Tell which tenants could not be given what is theirs."""
    for failure in done.failures:
        click.echo(
            f"usage of tenant {failure.tenant_id} stays in transit: {failure.reason}", err=True
        )
