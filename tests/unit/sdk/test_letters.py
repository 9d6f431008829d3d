import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterline.delivery.answers import Fate, Verdict
from meterline.delivery.letters import read_letter, write_letter

EVENT = b'{"id":"1","metadata":{"a":"},\\"reason\\":{"}}'


@given(st.text())
def test_a_dead_letter_gives_its_event_back_as_it_was_sent(message: str) -> None:
    letter = write_letter(EVENT, Verdict(Fate.DEAD, "rejected", "some_code", message))
    assert EVENT == read_letter(letter)


def test_a_dead_letter_is_one_line() -> None:
    assert b"\n" not in write_letter(EVENT, Verdict(Fate.DEAD, "rejected", "x", "one\ntwo"))


@pytest.mark.parametrize(
    "letter",
    [
        b"",
        b"garbage",
        b'{"event":{"id":1',
        b'{"event":{"id":,"reason":{}}',
        b'{"event":5,"reason":1}',
    ],
)
def test_a_letter_that_was_torn_is_not_read(letter: bytes) -> None:
    assert None is read_letter(letter)
