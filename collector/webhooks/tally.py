"""Counts what became of webhooks, in this process, by provider and outcome."""

from collections import Counter
from collections.abc import Mapping
from threading import Lock


class Tally:
    """Counters that only grow. Both labels are from closed lists, never from a request."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, provider: str, outcomes: Mapping[str, int]) -> None:
        """Count what became of one webhook: how often each outcome."""
        with self._lock:
            for outcome, times in outcomes.items():
                self._counts[provider, outcome] += times

    def snapshot(self) -> dict[tuple[str, str], int]:
        """Return all counts by provider and outcome."""
        with self._lock:
            return dict(self._counts)
