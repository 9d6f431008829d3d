"""Tells what became of attribution."""

import click

from collector.attribution.job import Attributed

NOTHING = Attributed(0)
"""What became of a run that found nothing to do: where nothing is mapped, nobody is told so."""


def tell_attributed(done: Attributed) -> bool:
    """Tell what was attributed and what was not; tell whether all of it was."""
    click.echo(f"usages attributed: {done.usages}")
    tell_failures(done)
    return not done.failures


def tell_failures(done: Attributed) -> None:
    """Tell which tenants could not be given what is theirs."""
    for fault in describe_attributed(done):
        click.echo(fault, err=True)


def describe_attributed(done: Attributed) -> list[str]:
    """Return a sentence for each tenant that could not be given what is its own."""
    return [
        f"usage of tenant {failure.tenant_id} stays in transit: {failure.reason}"
        for failure in done.failures
    ]
