"""Times pieces of work against each other: in turns, after a warm-up, by their medians."""

import gc
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from statistics import median

Work = Callable[[], object]

Side = Callable[[], AbstractContextManager[Work]]
"""Prepares one run of a piece of work, hands it over, and cleans up; only the work is timed."""

ROUNDS = 5


def alternate(sides: Mapping[str, Side], *, rounds: int = ROUNDS) -> dict[str, float]:
    """Run all sides in turns and return the median seconds of each.

    What else the machine does hits all sides alike, since each has its turn in every round and the
    order is turned around from round to round. One more round goes first and is not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name in list(sides) if number % 2 else reversed(list(sides)):
            with sides[name]() as work:
                taken = _time(work)
            if number:
                seconds[name].append(taken)
    return {name: median(taken) for name, taken in seconds.items()}


def _time(work: Work) -> float:
    """Return the seconds that the work takes.

    The garbage collector stays on, as it is in a server, and starts every run from the same state:
    what was prepared before is taken out of its sight.
    """
    gc.collect()
    gc.freeze()
    try:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    finally:
        gc.unfreeze()
