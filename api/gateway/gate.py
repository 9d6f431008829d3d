"""Lets a few queries in at a time, and no tenant takes the places of the others."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ledger.errors import UnavailableError

WAITING_FOR_EACH_PLACE = 2


class Gate:
    """So many places; one key has half of them at most, and may wait for as many as there are.

    Twice as many as there are places can wait, and of one key no more than three quarters of these.
    So another key always finds room to wait, and its turn comes with the next place: of those who
    wait, the key with the fewest places goes first.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._places_each = max(places // 2, 1)
        self._room = places * WAITING_FOR_EACH_PLACE
        self._room_each = max(self._room * 3 // 4, 1)
        self._inside: Counter[str] = Counter()
        self._waiting: list[tuple[str, object]] = []
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """How many wait."""
        with self._changed:
            return len(self._waiting)

    @contextmanager
    def enter(self, key: str, *, seconds: float) -> Iterator[None]:
        """Hold a place; wait for one up to so many seconds.

        Raises:
            UnavailableError: `too_many_queries`; too many wait already, or the time is over.
        """
        self._come_in(key, seconds)
        try:
            yield
        finally:
            self._leave(key)

    def _come_in(self, key: str, seconds: float) -> None:
        me = (key, object())
        with self._changed:
            of_key = sum(other == key for other, _ in self._waiting)
            if len(self._waiting) >= self._room or of_key >= self._room_each:
                raise _too_many()
            self._waiting.append(me)
            try:
                if not self._changed.wait_for(lambda: self._next() is me, seconds):
                    raise _too_many()
                self._inside[key] += 1
            finally:
                self._waiting.remove(me)
                self._changed.notify_all()

    def _next(self) -> tuple[str, object] | None:
        if self._inside.total() >= self._places:
            return None
        free = (one for one in self._waiting if self._inside[one[0]] < self._places_each)
        return min(free, key=lambda one: self._inside[one[0]], default=None)

    def _leave(self, key: str) -> None:
        with self._changed:
            self._inside[key] -= 1
            self._inside += Counter()  # forgets whoever has no place
            self._changed.notify_all()


def _too_many() -> UnavailableError:
    return UnavailableError("too_many_queries", "too many queries are under way; try again")
