"""Runs the relay, once or for good, and tells what became of it."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from types import FrameType

import click

from cli.steps import Guard
from collector.relay.backoff import backoff
from collector.relay.job import Relay
from collector.relay.outcome import Shipped
from ledger.tenant import TenantId

_IDLE_SECONDS = 1.0
_FIRST_WAIT = timedelta(seconds=1)
_MOST_WAIT = timedelta(minutes=1)
_BUSY_SECONDS = 0.5


def choose_pause(failures: int, *, is_more: bool) -> float:
    """Return how many seconds to wait before the next run.

    Args:
        failures: how many runs in a row came to an error: 1 s, 2 s, 4 s, at most a minute.
        is_more: more is due already.
    """
    if failures:
        return backoff(failures, first=_FIRST_WAIT, most=_MOST_WAIT).total_seconds()
    return 0.0 if is_more else _IDLE_SECONDS


def keep_shipping(relay: Relay, guard: Guard, stop: threading.Event) -> None:
    """Ship what is due until told to stop. Whatever goes wrong is told, and tried again later."""
    failures = 0
    while not stop.is_set():
        shipped = guard.attempt(partial(relay.run, is_stopped=stop.is_set))
        if shipped is not None:
            guard.tell(_faults(shipped))
        # A tenant that cannot be read holds up no other.
        is_well = shipped is not None and shipped.error is None
        failures = 0 if is_well else failures + 1
        is_more = shipped is not None and shipped.is_more
        stop.wait(choose_pause(failures, is_more=is_more))


def ship_all(
    relay: Relay,
    on_points: Callable[[int], None] = lambda _count: None,
    *,
    only: TenantId | None = None,
) -> Shipped:
    """Ship until nothing is left, also of what other relays are in the midst of.

    What can be shipped is, also where some of a tenant cannot. A signal to stop ends it between two
    calls, and the leases are given back.

    Args:
        relay: the relay.
        on_points: hears how many points each round has shipped.
        only: ship this tenant alone.
    """
    total = Shipped()
    with _stopping() as stop:
        while not stop.is_set():
            now = relay.run(only=only, is_stopped=stop.is_set)
            on_points(now.handled)
            total.points += now.points
            total.refused += now.refused
            total.expired += now.expired
            total.failures, total.error = now.failures, now.error
            if now.error is not None:
                return total
            if now.busy:
                stop.wait(_BUSY_SECONDS)
            elif not now.handled:
                return total
    raise click.Abort


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Yield what signals to stop set, instead of ending the process at once."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, on_signal) for number in signals]
    try:
        yield stop
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


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
