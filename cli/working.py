"""`meterline work`: costs what was booked, watches budgets, and ships and tells what there is."""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

import click

from cli.attributing import NOTHING, Attributing, tell_attributed
from cli.notifying import keep_delivering, tell_delivered
from cli.shipping import keep_shipping, ship_all, tell_shipped
from cli.watching import Watching, watch_once
from cli.wiring import open_ledger
from costing.job import Costing, Failure, Outcome
from ledger.clock import Clock
from ledger.errors import UnavailableError

_IDLE_SECONDS = 1.0
_FAREWELL_SECONDS = 5.0


@click.command()
@click.option("--once", is_flag=True, help="Do what there is to do, and stop.")
@click.option("--parent", type=int, hidden=True, help="Stop when this parent process is gone.")
def work(*, once: bool, parent: int | None) -> None:
    """Attribute, cost and ship booked usage, and watch budgets. Any number of these may run."""
    wiring = open_ledger()
    costing, relay, delivery = wiring.costing, wiring.relay, wiring.delivery
    if once:
        attributed = wiring.attribution.run(now=wiring.clock())
        is_attributed = attributed == NOTHING or tell_attributed(attributed)
        outcome = costing.run(clock=wiring.clock, wait=True)
        click.echo(f"batches costed: {outcome.batches}")
        _tell_failures(outcome)
        is_watched = watch_once(wiring.budgeting, wiring.anomaly_search, now=wiring.clock())
        is_told = delivery is None or tell_delivered(delivery.run())
        is_shipped = relay is None or tell_shipped(ship_all(relay))
        if outcome.failures or not (is_shipped and is_attributed and is_watched and is_told):
            sys.exit(1)
        return
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    steps: list[Attributing | _Costing | Watching] = [
        Attributing(wiring.attribution, wiring.clock),
        _Costing(costing, wiring.clock),
        Watching(wiring.budgeting, wiring.anomaly_search, wiring.clock),
    ]
    # Threads of their own, so that costing waits for no answer of anybody; and such as do not keep
    # the process alive: whatever they are in the midst of is done again by the next one.
    threads = []
    if relay is not None:
        threads.append(threading.Thread(target=keep_shipping, args=(relay, stop), daemon=True))
    if delivery is not None:
        threads.append(threading.Thread(target=keep_delivering, args=(delivery, stop), daemon=True))
    for thread in threads:
        thread.start()
    _keep_working(steps, stop, parent)
    stop.set()
    for thread in threads:
        thread.join(_FAREWELL_SECONDS)


class _Costing:
    """Costs what is pending; what goes wrong is told once, and tried again later."""

    def __init__(self, costing: Costing, clock: Clock) -> None:
        self._costing = costing
        self._clock = clock
        self._told: tuple[Failure, ...] = ()

    def run(self) -> None:
        outcome = self._costing.run(clock=self._clock)
        if outcome.failures != self._told:
            _tell_failures(outcome)
            self._told = outcome.failures


def _keep_working(
    steps: Sequence[Attributing | _Costing | Watching], stop: threading.Event, parent: int | None
) -> None:
    while not stop.is_set() and parent in (None, os.getppid()):
        try:
            for step in steps:
                step.run()
        except UnavailableError as error:
            click.echo(f"waiting: {error.message}", err=True)
        stop.wait(_IDLE_SECONDS)


def _tell_failures(outcome: Outcome) -> None:
    for failure in outcome.failures:
        click.echo(f"tenant {failure.tenant_id} is not costed: {failure.reason}", err=True)
