"""What a worker does for good, piece by piece: what goes wrong with one keeps no other from going.

Whatever it is, it is told once for as long as it lasts, and tried again.
"""

import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import click
import sqlalchemy as sa

from ledger.clock import Clock
from ledger.errors import MeterlineError, UnavailableError
from ledger.session import BusyError, operator_session
from ledger.stoppages import note_stoppage

_RETRY = timedelta(minutes=1)
"""After how long at most something that was stopped short is tried again."""

_T = TypeVar("_T")


class Guard:
    """Stands before one thing that goes on for good, and tells what goes wrong with it.

    Args:
        name: what it is, as the beginning of a sentence.
        engine: of the ledger, which is told what stopped it, about every minute.
        clock: tells when that was.
    """

    def __init__(self, name: str, engine: sa.Engine, clock: Clock) -> None:
        self._name = name
        self._engine = engine
        self._clock = clock
        self._told: frozenset[str] = frozenset()
        self._noted_at: datetime | None = None

    def attempt(self, do: Callable[[], _T]) -> _T | None:
        """Do it and return what came of it; None: it was stopped short, which is told."""
        try:
            return do()
        except MeterlineError as error:
            self.tell([f"{self._name} is waiting: {error.message}"])
            # A ledger that does not answer takes no note.
            if isinstance(error, BusyError) or not isinstance(error, UnavailableError):
                self._note(error.message)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing else is to stop with it
            self._tell_traceback(error)
            self._note(f"{type(error).__name__}: {error}".partition("\n")[0])
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

    def _note(self, text: str) -> None:
        now = self._clock()
        if self._noted_at is not None and now < self._noted_at + _RETRY:
            return
        # Whatever is in the way of it: the log has it.
        with (
            suppress(MeterlineError, sa.exc.SQLAlchemyError),
            operator_session(self._engine, write=True) as session,
        ):
            note_stoppage(session, self._name, text, now=now)
            self._noted_at = now


class Step:
    """One of the things that a worker does by turns.

    Args:
        guard: stands before it.
        do: does it as of an instant, and returns a sentence for each tenant it failed for.
        pause: how long to wait after it.
        clock: tells when it is due, and which instant it is.
    """

    def __init__(
        self,
        guard: Guard,
        do: Callable[[datetime], Iterable[str]],
        *,
        pause: timedelta,
        clock: Clock,
    ) -> None:
        self._guard = guard
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
