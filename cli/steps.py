"""What a worker does for good, piece by piece: what goes wrong with one keeps no other from going.

Whatever it is, it is told once for as long as it lasts, and tried again.
"""

import traceback
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import click

from ledger.clock import Clock
from ledger.errors import MeterlineError

_RETRY = timedelta(minutes=1)
"""After how long at most something that was stopped short is tried again."""

_T = TypeVar("_T")


class Guard:
    """Stands before one thing that goes on for good, and tells what goes wrong with it.

    Args:
        name: what it is, as the beginning of a sentence.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._told: frozenset[str] = frozenset()

    def attempt(self, do: Callable[[], _T]) -> _T | None:
        """Do it and return what came of it; None: it was stopped short, which is told."""
        try:
            return do()
        except MeterlineError as error:
            self.tell([f"{self._name} is waiting: {error.message}"])
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing else is to stop with it
            self._tell_traceback(error)
        return None

    def tell(self, faults: Iterable[str]) -> None:
        """Tell what is wrong now, leaving out what was wrong already when it was last told."""
        now = dict.fromkeys(faults)
        for fault in now:
            if fault not in self._told:
                click.echo(fault, err=True)
        self._told = frozenset(now)

    def _tell_traceback(self, error: Exception) -> None:
        # By where it comes from: what it says may name another row each time.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} {frame.filename}:{frame.lineno}"
        if where not in self._told:
            trace = "".join(traceback.format_exception(error))
            click.echo(f"{self._name} stopped short, and is tried again:\n{trace}", err=True)
        self._told = frozenset([where])


class Step:
    """One of the things that a worker does by turns.

    Args:
        name: see `Guard`.
        do: does it as of an instant, and returns a sentence for each tenant it failed for.
        pause: how long to wait after it.
        clock: tells when it is due, and which instant it is.
    """

    def __init__(
        self, name: str, do: Callable[[datetime], Iterable[str]], *, pause: timedelta, clock: Clock
    ) -> None:
        self._guard = Guard(name)
        self._do = do
        self._pause = pause
        self._clock = clock
        self._due_at = clock()

    def run(self) -> None:
        """Do it if it is time to. Never raises what an error of it is."""
        now = self._clock()
        if now < self._due_at:
            return
        faults = self._guard.attempt(partial(self._do, now))
        self._due_at = now + (min(self._pause, _RETRY) if faults is None else self._pause)
        if faults is not None:
            self._guard.tell(faults)
