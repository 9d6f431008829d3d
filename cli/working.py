"""`meterline work`: costs what was booked, and ships it to InfluxDB where one is configured."""

import os
import signal
import sys
import threading
from types import FrameType

import click

from cli.attributing import NOTHING, Attributing, tell_attributed
from cli.shipping import keep_shipping, ship_all, tell_shipped
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
    """Attribute, cost and ship booked usage, again and again. Any number of these may run."""
    wiring = open_ledger()
    costing, relay = wiring.costing, wiring.relay
    if once:
        attributed = wiring.attribution.run(now=wiring.clock())
        is_attributed = attributed == NOTHING or tell_attributed(attributed)
        outcome = costing.run(now=wiring.clock(), wait=True)
        click.echo(f"batches costed: {outcome.batches}")
        _tell_failures(outcome)
        is_shipped = relay is None or tell_shipped(ship_all(relay))
        if outcome.failures or not is_shipped or not is_attributed:
            sys.exit(1)
        return
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    attributing = Attributing(wiring.attribution, wiring.clock)
    if relay is None:
        _keep_costing(costing, attributing, wiring.clock, stop, parent)
        return
    # A thread of its own, so that costing waits for no answer of InfluxDB; and one that does not
    # keep the process alive: whatever it is in the midst of is done again by the next one.
    shipping = threading.Thread(target=keep_shipping, args=(relay, stop), daemon=True)
    shipping.start()
    _keep_costing(costing, attributing, wiring.clock, stop, parent)
    stop.set()
    shipping.join(_FAREWELL_SECONDS)


def _keep_costing(
    costing: Costing,
    attributing: Attributing,
    clock: Clock,
    stop: threading.Event,
    parent: int | None,
) -> None:
    told: tuple[Failure, ...] = ()
    while not stop.is_set() and parent in (None, os.getppid()):
        try:
            attributing.run()
            outcome = costing.run(now=clock())
            if outcome.failures != told:
                _tell_failures(outcome)
                told = outcome.failures
        except UnavailableError as error:
            click.echo(f"waiting: {error.message}", err=True)
        stop.wait(_IDLE_SECONDS)


def _tell_failures(outcome: Outcome) -> None:
    for failure in outcome.failures:
        click.echo(f"tenant {failure.tenant_id} is not costed: {failure.reason}", err=True)
