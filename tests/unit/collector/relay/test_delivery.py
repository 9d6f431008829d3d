"""How a delivery finds the bad among the good, against a writer that refuses by rule."""

from collections.abc import Callable

import pytest

from collector.influx.errors import RejectedError, TooLargeError
from collector.relay.delivery import Delivery, ManyRefusedError
from collector.relay.points import Point
from ledger.errors import UnavailableError


class RuleWriter:
    """Keeps good lines, as InfluxDB does, and refuses a call that holds a bad or too many."""

    def __init__(self, is_bad: Callable[[str], bool], *, most: int = 10**6) -> None:
        self._is_bad = is_bad
        self._most = most
        self.kept: set[str] = set()
        self.calls = 0

    def write(self, bucket: str, body: bytes) -> int:
        del bucket
        self.calls += 1
        lines = body.decode().split("\n")
        if len(lines) > self._most:
            raise TooLargeError("too large")
        self.kept.update(line for line in lines if not self._is_bad(line))
        if any(map(self._is_bad, lines)):
            raise RejectedError("partial write")
        return 0


def points(count: int) -> list[Point]:
    return [Point("usage", n, n, f"line-{n}") for n in range(count)]


def nothing() -> None:
    """Stand in for what keeps the lease."""


@pytest.mark.parametrize("bad", [{0}, {999}, {500}, {0, 1, 2}, {3, 77, 500, 998}, set()])
def test_the_bad_are_found_and_the_good_are_kept(bad: set[int]) -> None:
    names = {f"line-{n}" for n in bad}
    writer = RuleWriter(names.__contains__)
    sifted = Delivery(writer, before_call=nothing).sift("b", points(1000), most=5)
    refused = {refusal.point.line for refusal in sifted.refusals}
    assert (names, 1000 - len(bad)) == (refused, len(writer.kept))


def test_a_call_that_is_rejected_keeps_no_other_back() -> None:
    writer = RuleWriter(lambda line: line == "line-3")
    sent = Delivery(writer, before_call=nothing, most=10).send("b", points(30))
    assert ([range(10)], 29) == (sent.rejected, len(writer.kept))


def test_one_bad_line_costs_few_calls() -> None:
    writer = RuleWriter(lambda line: line == "line-700")
    Delivery(writer, before_call=nothing).sift("b", points(4096), most=1)
    assert writer.calls <= 2 * 12 + 1


def test_more_bad_lines_than_allowed_end_the_search() -> None:
    writer = RuleWriter(lambda _line: True)
    with pytest.raises(ManyRefusedError, match="partial write"):
        Delivery(writer, before_call=nothing).sift("b", points(21), most=20)


def test_as_many_bad_lines_as_are_allowed_are_told() -> None:
    writer = RuleWriter(lambda _line: True)
    sifted = Delivery(writer, before_call=nothing).sift("b", points(20), most=20)
    assert 20 == len(sifted.refusals)


@pytest.mark.parametrize("most", [1, 7, 300])
def test_the_bad_are_found_in_calls_that_are_small_enough(most: int) -> None:
    writer = RuleWriter(lambda line: line == "line-700", most=most)
    sifted = Delivery(writer, before_call=nothing).sift("b", points(1000), most=1)
    assert ["line-700"] == [refusal.point.line for refusal in sifted.refusals]


def test_calls_shrink_until_they_are_small_enough_and_stay_so() -> None:
    writer = RuleWriter(lambda _line: False, most=300)
    delivery = Delivery(writer, before_call=nothing)
    delivery.send("b", points(1000))
    first = writer.calls
    delivery.send("b", points(1000))
    assert (2 + 4, 4, 1000) == (first, writer.calls - first, len(writer.kept))


def test_a_line_that_alone_is_too_large_is_no_fault_of_the_line() -> None:
    with pytest.raises(UnavailableError):
        Delivery(RuleWriter(lambda _line: False, most=0), before_call=nothing).send("b", points(4))


def test_nothing_is_sent_of_nothing() -> None:
    writer = RuleWriter(lambda _line: False)
    Delivery(writer, before_call=nothing).send("b", [])
    assert 0 == writer.calls


def test_every_call_asks_first() -> None:
    asked = []
    writer = RuleWriter(lambda line: line == "line-3")
    delivery = Delivery(writer, before_call=lambda: asked.append(1))
    delivery.send("b", points(8))
    delivery.sift("b", points(8), most=1)
    assert writer.calls == len(asked)
