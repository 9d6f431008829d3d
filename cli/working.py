"""`meterline work`: costs what was booked, watches budgets, and ships and tells what there is."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from types import FrameType

import click

from cli.attributing import NOTHING, describe_attributed, tell_attributed
from cli.influx_health import describe_missed
from cli.notifying import keep_delivering, tell_delivered
from cli.shipping import keep_shipping, ship_all, tell_shipped
from cli.steps import Guard, Step
from cli.watching import describe_evaluated, watch_once
from cli.wiring import Wiring, open_ledger
from costing.job import Outcome

_ATTRIBUTION_PAUSE = timedelta(seconds=15)
_BUDGETS_PAUSE = timedelta(seconds=5)
_ANOMALIES_PAUSE = timedelta(minutes=30)
_IDLE_SECONDS = 1.0
_FAREWELL_SECONDS = 5.0


@click.command()
@click.option("--once", is_flag=True, help="Do what there is to do, and stop.")
@click.option("--parent", type=int, hidden=True, help="Stop when this parent process is gone.")
def work(*, once: bool, parent: int | None) -> None:
    """Attribute, cost and ship booked usage, and watch budgets. Any number of these may run."""
    wiring = open_ledger()
    missed = describe_missed(wiring)
    if missed is not None:
        click.echo(missed, err=True)
    if not once:
        _work_for_good(wiring, parent)
    elif not _work_once(wiring):
        sys.exit(1)


def _work_once(wiring: Wiring) -> bool:
    """Do what there is to do; tell whether all of it could be."""
    costing, relay, delivery = wiring.costing, wiring.relay, wiring.delivery
    attributed = wiring.attribution.run(now=wiring.clock())
    is_attributed = attributed == NOTHING or tell_attributed(attributed)
    outcome = costing.run(clock=wiring.clock, wait=True)
    click.echo(f"batches costed: {outcome.batches}")
    for fault in _describe_costed(outcome):
        click.echo(fault, err=True)
    is_watched = watch_once(wiring.budgeting, wiring.anomaly_search, now=wiring.clock())
    is_told = delivery is None or tell_delivered(delivery.run())
    is_shipped = relay is None or tell_shipped(ship_all(relay))
    return not outcome.failures and is_shipped and is_attributed and is_watched and is_told


def _work_for_good(wiring: Wiring, parent: int | None) -> None:
    relay, delivery = wiring.relay, wiring.delivery
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    threads = []

    # Threads of their own, so that costing waits for no answer of anybody; and such as do not keep
    # the process alive: whatever they are in the midst of is done again by the next one.
    def keep(name: str, do: Callable[[Guard], None]) -> None:
        guard = Guard(name, wiring.engine, wiring.clock)
        threads.append(threading.Thread(target=do, args=(guard,), daemon=True))

    if relay is not None:
        keep("the relay", lambda guard: keep_shipping(relay, guard, stop))
    if delivery is not None:
        keep("the delivery of notices", lambda guard: keep_delivering(delivery, guard, stop))
    for thread in threads:
        thread.start()
    _keep_working(_make_steps(wiring), stop, parent)
    stop.set()
    for thread in threads:
        thread.join(_FAREWELL_SECONDS)


def _make_steps(wiring: Wiring) -> list[Step]:
    attribution, costing = wiring.attribution, wiring.costing
    budgeting, search, clock = wiring.budgeting, wiring.anomaly_search, wiring.clock

    def look_for_anomalies(now: datetime) -> tuple[()]:
        search.run(now=now)
        return ()

    def step(name: str, do: Callable[[datetime], Iterable[str]], pause: timedelta) -> Step:
        return Step(Guard(name, wiring.engine, clock), do, pause=pause, clock=clock)

    return [
        step(
            "attribution",
            lambda now: describe_attributed(attribution.run(now=now)),
            _ATTRIBUTION_PAUSE,
        ),
        step("costing", lambda _now: _describe_costed(costing.run(clock=clock)), timedelta(0)),
        step(
            "the evaluation of budgets",
            lambda now: describe_evaluated(budgeting.run(now=now)),
            _BUDGETS_PAUSE,
        ),
        step("the search for anomalies", look_for_anomalies, _ANOMALIES_PAUSE),
    ]


def _keep_working(steps: Sequence[Step], stop: threading.Event, parent: int | None) -> None:
    while not stop.is_set() and parent in (None, os.getppid()):
        for step in steps:
            step.run()
        stop.wait(_IDLE_SECONDS)


def _describe_costed(outcome: Outcome) -> list[str]:
    return [
        f"tenant {failure.tenant_id} is not costed: {failure.reason}"
        for failure in outcome.failures
    ]
