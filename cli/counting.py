"""Writes down, every few seconds, what a server process has counted."""

import atexit
import threading

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from ledger.counters import Counters, write_counters
from ledger.errors import MeterlineError
from ledger.session import operator_session

_INTERVAL_SECONDS = 5.0
_FAREWELL_SECONDS = 5.0


class CounterWriter:
    """Writes the counters of this process, and once more when it ends.

    Args:
        engine: of the ledger.
        counters: of this process.
    """

    def __init__(self, engine: sa.Engine, counters: Counters) -> None:
        self._engine = engine
        self._counters = counters
        self._stop = threading.Event()
        # What it is in the midst of when the process must end is a few counts.
        self._thread = threading.Thread(target=self._keep_writing, daemon=True)

    def start(self) -> None:
        """Write from now on until the process ends."""
        self._thread.start()
        atexit.register(self.close)

    def close(self) -> None:
        """Stop, and write the last counts."""
        self._stop.set()
        self._thread.join(_FAREWELL_SECONDS)
        self.write()

    def write(self) -> None:
        """Write what was counted. Where the ledger does not take it, it is kept for later."""
        counts = self._counters.take()
        if not counts:
            return
        try:
            with operator_session(self._engine, write=True) as session:
                write_counters(session, counts)
        except (MeterlineError, SQLAlchemyError):
            # Requests say what is wrong with the ledger; counting is no reason to say it again.
            self._counters.add(counts)

    def _keep_writing(self) -> None:
        while not self._stop.wait(_INTERVAL_SECONDS):
            self.write()
