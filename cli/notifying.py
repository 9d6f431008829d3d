"""Runs the delivery of notices, once or for good, and tells what became of it."""

import threading

import click

from cli.steps import Guard
from collector.notices.job import Delivered, Delivery

_IDLE_SECONDS = 2.0


def keep_delivering(delivery: Delivery, guard: Guard, stop: threading.Event) -> None:
    """Deliver what is due until told to stop. Whatever goes wrong is told, and tried again."""
    while not stop.is_set():
        done = guard.attempt(delivery.run)
        # A run between two tries of a notice that fails has none: the next one is told no more.
        if done is not None and done.failures:
            guard.tell(describe(done))
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
