"""Who gets in, who waits, and who is sent away. Nothing here depends on how long things take."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from api.gateway.gate import Gate
from ledger.errors import UnavailableError
from tests.processes import wait_until

LONG = 30.0


class Crowd:
    """Threads that ask for a place and keep it until they are told to go."""

    def __init__(self, gate: Gate) -> None:
        self.inside: list[str] = []
        self.refused: list[str] = []
        self._gate = gate
        self._leaves: list[tuple[str, threading.Event]] = []
        self._threads: list[threading.Thread] = []

    def send(self, *keys: str) -> None:
        """Let somebody with each key ask for a place, one after the other."""
        for key in keys:
            before = self._count()
            leave = threading.Event()
            thread = threading.Thread(target=self._stay, args=(key, leave))
            self._threads.append(thread)
            thread.start()
            wait_until(lambda before=before: self._count() > before, f"{key} is there")  # type: ignore[misc] # mypy cannot infer a default

    def _count(self) -> int:
        return len(self.inside) + len(self.refused) + self._gate.waiting

    def _stay(self, key: str, leave: threading.Event) -> None:
        try:
            with self._gate.enter(key, seconds=LONG):
                self._leaves.append((key, leave))
                self.inside.append(key)
                leave.wait(LONG)
        except UnavailableError:
            self.refused.append(key)

    def let_go(self, key: str) -> None:
        """Let one with this key leave, and wait until somebody else is in, if anybody waits."""
        place = next(n for n, (other, _) in enumerate(self._leaves) if other == key)
        _, leave = self._leaves.pop(place)
        entered, waiting = len(self.inside), self._gate.waiting
        leave.set()
        if waiting:
            wait_until(lambda: len(self.inside) > entered, "the next one is in")

    def close(self) -> None:
        while any(thread.is_alive() for thread in self._threads):
            for _, leave in list(self._leaves):
                leave.set()
            for thread in self._threads:
                thread.join(0.01)


@contextmanager
def crowd_at(gate: Gate) -> Iterator[Crowd]:
    crowd = Crowd(gate)
    try:
        yield crowd
    finally:
        crowd.close()


def test_a_key_has_half_of_the_places_at_most() -> None:
    with crowd_at(Gate(4)) as crowd:
        crowd.send("a", "a", "a")
        assert ["a", "a"] == crowd.inside


def test_other_keys_get_in_while_one_is_at_its_limit() -> None:
    with crowd_at(Gate(4)) as crowd:
        crowd.send("a", "a", "a", "a", "b")
        assert ["a", "a", "b"] == crowd.inside


def test_there_are_no_more_places_than_there_are() -> None:
    with crowd_at(Gate(4)) as crowd:
        crowd.send("a", "a", "b", "b", "c")
        assert ["a", "a", "b", "b"] == crowd.inside


def test_a_key_that_waits_too_often_is_sent_away_and_another_is_not() -> None:
    with crowd_at(Gate(4)) as crowd:
        crowd.send(*["a"] * 9, "b", "b", "c", "c")
        assert (["a"], []) == (crowd.refused, [key for key in crowd.refused if key != "a"])


def test_where_all_room_is_taken_everybody_is_sent_away() -> None:
    with crowd_at(Gate(1)) as crowd:
        crowd.send("a", "b", "c", "d")
        assert ["d"] == crowd.refused


def test_of_those_who_wait_the_key_with_fewest_places_is_next() -> None:
    with crowd_at(Gate(4)) as crowd:
        crowd.send("a", "a", "b", "b", "a", "c")
        crowd.let_go("b")
        assert "c" == crowd.inside[-1]


def test_a_place_is_free_again_when_its_work_broke() -> None:
    gate = Gate(1)
    with pytest.raises(KeyError), gate.enter("a", seconds=LONG):
        raise KeyError
    with gate.enter("a", seconds=0):
        pass


def test_whoever_waited_long_enough_is_sent_away_and_leaves_no_trace() -> None:
    gate = Gate(1)
    with ExitStack() as stack:
        stack.enter_context(gate.enter("a", seconds=LONG))
        with pytest.raises(UnavailableError), gate.enter("b", seconds=0):
            pass
        assert 0 == gate.waiting
    with gate.enter("b", seconds=0):
        pass
