"""Whether Grafana answers, asked so that no page waits for it longer than a second."""

from datetime import datetime, timedelta
from threading import Event, Lock, Thread

from grafana.provisioning.client import connect
from grafana.provisioning.target import Target
from ledger.clock import Clock
from ledger.errors import MeterlineError

PATIENCE_SECONDS = 1.0
HOLDS = timedelta(seconds=5)
"""How long an answer counts, and how long the lack of one."""

THREAD = "grafana-probe"


class Probe:
    """Asks Grafana how it is, for all who want to know at the same time together.

    Args:
        target: which Grafana.
        clock: what the time is.
        patience_seconds: how long anybody waits.
    """

    def __init__(
        self, target: Target, *, clock: Clock, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._target = target
        self._clock = clock
        self._patience = patience_seconds
        self._lock = Lock()
        self._asking: Event | None = None
        self._answered_at: datetime | None = None
        self._is_up = False

    def is_up(self) -> bool:
        """Whether Grafana answered just now, or does so before patience ends."""
        with self._lock:
            now = self._clock()
            if self._answered_at is not None and now - self._answered_at < HOLDS:
                return self._is_up
            if self._asking is None:
                self._asking = Event()
                # Beside the request: looking up the name of a host can take as long as it likes.
                Thread(target=self._ask, args=(self._asking,), name=THREAD, daemon=True).start()
            asking = self._asking
        if asking.wait(self._patience):
            return self._is_up
        self._note(is_up=False)
        return False

    def _ask(self, asking: Event) -> None:
        is_up = False
        try:
            with connect(self._target, timeout_seconds=self._patience) as client:
                client.get("/health", "tell how it is")
            is_up = True
        except MeterlineError:
            pass
        finally:
            if not self._is_late(asking):
                self._note(is_up=is_up)
            asking.set()

    def _is_late(self, asking: Event) -> bool:
        """Whether those who wanted to know have given up; another one asks anew then."""
        with self._lock:
            return self._asking is not asking

    def _note(self, *, is_up: bool) -> None:
        with self._lock:
            self._answered_at, self._is_up = self._clock(), is_up
            self._asking = None
