"""Questions of several threads, asked as one.

While one thread asks, the others that come wait; then one of them asks for all that wait. So a busy
process sends the database fewer and larger messages, and an idle one waits for nobody. Whoever asks
gets an answer to a question that was put after it came, never an older one.
"""

from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Generic, TypeVar

Topic = TypeVar("Topic", bound=Hashable)
Question = TypeVar("Question")
Answer = TypeVar("Answer")


class _Turn(Generic[Question, Answer]):
    """One thread's question, and the lock that it sleeps on."""

    __slots__ = ("answer", "error", "is_over", "question", "sleep")

    def __init__(self, question: Question) -> None:
        self.question = question
        self.answer: list[Answer] = []
        self.error: BaseException | None = None
        self.is_over = False
        self.sleep = Lock()
        self.sleep.acquire()


class Coalescer(Generic[Topic, Question, Answer]):
    """Answers the questions on one topic together; topics know nothing of each other.

    Args:
        ask: answers questions on a topic, in their order. What it raises is raised to all of them.
        most: how many questions are asked together at most.
    """

    def __init__(
        self, ask: Callable[[Topic, Sequence[Question]], Sequence[Answer]], *, most: int
    ) -> None:
        self._ask = ask
        self._most = most
        self._lock = Lock()
        self._waiting: dict[Topic, list[_Turn[Question, Answer]]] = {}
        """Topics that somebody asks on, each with those who wait."""

    def ask(self, topic: Topic, question: Question) -> Answer:
        """Return the answer to a question, which may be asked together with those of others."""
        turn = _Turn[Question, Answer](question)
        with self._lock:
            is_asked_on = topic in self._waiting
            self._waiting.setdefault(topic, []).append(turn)
        if is_asked_on:
            turn.sleep.acquire()  # until it is answered, or its turn to ask has come
        if not turn.is_over:
            self._lead(topic)
        if turn.error is not None:
            raise turn.error
        return turn.answer[0]

    def _lead(self, topic: Topic) -> None:
        """Ask for those who wait, oneself the first, and wake them and whoever asks next."""
        with self._lock:
            waiting = self._waiting[topic]
            turns = waiting[: self._most]
            del waiting[: self._most]
        try:
            answers = self._ask(topic, [turn.question for turn in turns])
            for turn, answer in zip(turns, answers, strict=True):
                turn.answer.append(answer)
        except BaseException as error:  # noqa: BLE001 - each of those who wait raises it
            for turn in turns:
                turn.error = error
        for turn in turns:
            turn.is_over = True
        with self._lock:
            after = next(iter(self._waiting[topic]), None)
            if after is None:
                del self._waiting[topic]
        for turn in turns[1:]:
            turn.sleep.release()
        if after is not None:
            after.sleep.release()
