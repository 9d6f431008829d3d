"""Runs the delivery of notices, once or for good, and tells what became of it."""

import threading

import click

from collector.notices.job import Delivered, Delivery
from ledger.errors import MeterlineError

_IDLE_SECONDS = 2.0


def keep_delivering(delivery: Delivery, stop: threading.Event) -> None:
    """Deliver what is due until told to stop. Whatever goes wrong is told, and tried again."""
    told: list[str] = []
    while not stop.is_set():
        try:
            faults = describe(delivery.run())
        except MeterlineError as error:
            faults = [f"waiting: {error.message}"]
        except Exception as error:  # noqa: BLE001 - notices that stopped in silence would be missed
            faults = [f"notices stopped short: {type(error).__name__}: {error}"]
        for fault in faults:
            if fault not in told:
                click.echo(fault, err=True)
        told = faults or told
        stop.wait(_IDLE_SECONDS)


def tell_delivered(done: Delivered) -> bool:
    """Tell what was delivered and what was not; tell whether all of it was."""
    click.echo(f"notices sent: {done.sent}")
    for fault in describe(done):
        click.echo(fault, err=True)
    return not done.failures


def describe(done: Delivered) -> list[str]:
    """Return a sentence for each attempt that failed."""
    return [f"notice {name} is not sent: {reason}" for name, reason in done.failures]
