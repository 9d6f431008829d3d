"""What several threads ask at one time is asked together, and each gets its own answer."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from ledger.coalescing import Coalescer
from tests.processes import wait_until


class Database:
    """Answers with the double of each number, once it is let go; notes what came together."""

    def __init__(self, *, most: int = 10) -> None:
        self.asked: list[list[int]] = []
        self.let_go = Event()
        self.coalescer: Coalescer[str, int, int] = Coalescer(self._answer, most=most)

    def _answer(self, _topic: str, questions: Sequence[int]) -> list[int]:
        self.asked.append(sorted(questions))
        assert self.let_go.wait(10)
        if 13 in questions:
            raise ValueError("13")
        return [2 * question for question in questions]


@pytest.fixture
def database() -> Database:
    return Database()


def ask_while_busy(database: Database, *numbers: int, topic: str = "t") -> list[Future[int]]:
    """Ask 0, and the numbers while that is under way."""
    waiting: dict[str, list[Any]] = database.coalescer._waiting  # noqa: SLF001 - who waits shows nowhere else
    with ThreadPoolExecutor(len(numbers) + 1) as threads:
        futures = [threads.submit(database.coalescer.ask, "t", 0)]
        wait_until(lambda: bool(database.asked), "the first is asked")
        futures += [threads.submit(database.coalescer.ask, topic, number) for number in numbers]
        if topic == "t":
            wait_until(lambda: len(waiting["t"]) == len(numbers), "the others wait")
        else:
            wait_until(lambda: len(database.asked) > 1, "another topic is asked")
        database.let_go.set()
    return futures


def test_who_is_alone_is_asked_at_once(database: Database) -> None:
    database.let_go.set()
    assert (4, [[2]]) == (database.coalescer.ask("t", 2), database.asked)


def test_those_who_come_meanwhile_are_asked_together(database: Database) -> None:
    ask_while_busy(database, 1, 2, 3)
    assert [[0], [1, 2, 3]] == database.asked


def test_each_gets_its_own_answer(database: Database) -> None:
    futures = ask_while_busy(database, 1, 2, 3)
    assert [0, 2, 4, 6] == [future.result() for future in futures]


def test_no_more_than_the_most_are_asked_together() -> None:
    database = Database(most=2)
    ask_while_busy(database, 1, 2, 3, 4, 5)
    assert [1, 2, 2, 1] == [len(together) for together in database.asked]


def test_what_fails_is_raised_to_all_who_asked_together(database: Database) -> None:
    futures = ask_while_busy(database, 13, 2)
    assert [None, "13", "13"] == [
        None if error is None else str(error)
        for error in (future.exception() for future in futures)
    ]


def test_after_a_failure_others_are_answered() -> None:
    database = Database(most=1)
    futures = ask_while_busy(database, 13, 2)
    assert 4 == futures[2].result()


def test_topics_do_not_wait_for_each_other(database: Database) -> None:
    ask_while_busy(database, 1, topic="another")
    assert [[0], [1]] == database.asked


def test_nothing_is_kept_of_what_was_asked(database: Database) -> None:
    ask_while_busy(database, 1, 2, 13)
    assert {} == database.coalescer._waiting  # noqa: SLF001 - as above
