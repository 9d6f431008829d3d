"""Runs the relay, once or for good, and tells what became of it."""

import threading
import time
from collections.abc import Callable

import click

from collector.relay.job import Relay
from collector.relay.outcome import Shipped
from ledger.errors import MeterlineError

_IDLE_SECONDS = 1.0
_MOST_SECONDS = 60.0
_BUSY_SECONDS = 0.5


def backoff_seconds(failures: int) -> float:
    """Return how long to wait after so many failures in a row: 1 s, 2 s, 4 s, at most a minute."""
    return float(min(2 ** min(failures - 1, 6), _MOST_SECONDS)) if failures else _IDLE_SECONDS


def keep_shipping(relay: Relay, stop: threading.Event) -> None:
    """Ship what is due until told to stop. Whatever goes wrong is told, and tried again later."""
    failures = 0
    told: list[str] = []
    while not stop.is_set():
        failures += 1
        try:
            shipped = relay.run()
        except MeterlineError as error:
            faults = [f"waiting: {error.message}"]
        except Exception as error:  # noqa: BLE001 - a relay that died in silence would lag for ever
            faults = [f"the relay stopped short: {type(error).__name__}: {error}"]
        else:
            faults = _faults(shipped)
            if shipped.error is None:  # a tenant that cannot be read holds up no other
                failures = 0
        if faults != told:
            for fault in faults:
                click.echo(fault, err=True)
            told = faults
        stop.wait(backoff_seconds(failures))


def ship_all(relay: Relay, on_points: Callable[[int], None] = lambda _count: None) -> Shipped:
    """Ship until nothing is left, also of what other relays are in the midst of.

    Args:
        relay: the relay.
        on_points: hears how many points each round has shipped.
    """
    total = Shipped()
    while True:
        now = relay.run()
        on_points(now.points + now.refused + now.expired)
        total.points += now.points
        total.refused += now.refused
        total.expired += now.expired
        total.failures, total.error = now.failures, now.error
        if now.error is not None or now.failures:
            return total
        if now.busy:
            time.sleep(_BUSY_SECONDS)
        elif not (now.points or now.refused or now.expired):
            return total


def tell_shipped(shipped: Shipped) -> bool:
    """Tell what was shipped and what was not; tell whether all of it was."""
    more = [
        f"{count} {word}"
        for count, word in ((shipped.refused, "refused"), (shipped.expired, "expired"))
        if count
    ]
    click.echo(f"points shipped: {', '.join([str(shipped.points), *more])}")
    faults = _faults(shipped)
    for fault in faults:
        click.echo(fault, err=True)
    return not faults and not shipped.refused


def _faults(shipped: Shipped) -> list[str]:
    faults = [f"tenant {name} is not shipped: {reason}" for name, reason in shipped.failures]
    if shipped.error is not None:
        faults.append(f"not shipped: {shipped.error.message}")
    return faults
