from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from meterline.openai_hook.sse import Splitter, read_data

LINES = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=12)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
EVENTS = st.lists(st.lists(LINES, min_size=1, max_size=3), max_size=6)


def split(parts: list[bytes]) -> list[bytes]:
    splitter = Splitter()
    events = [event for part in parts for event in splitter.feed(part)]
    rest = splitter.rest()
    return [*events, rest] if rest else events


def cut(text: bytes, places: list[int]) -> list[bytes]:
    borders = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(borders)]


@given(EVENTS, ENDS, st.lists(st.integers(0, 10_000), max_size=8))
def test_where_parts_end_makes_no_difference(
    events: list[list[str]], end: str, places: list[int]
) -> None:
    text = "".join(f"data: {line}{end}" for lines in events for line in lines).encode()
    assert split([text]) == split(cut(text, places))


@given(EVENTS, ENDS, st.lists(st.integers(0, 10_000), max_size=8))
def test_every_event_is_handed_out_with_its_data(
    events: list[list[str]], end: str, places: list[int]
) -> None:
    text = "".join(
        "".join(f"data: {line}{end}" for line in lines) + end for lines in events
    ).encode()
    expected = ["\n".join(lines).encode() for lines in events]
    assert expected == [read_data(event) for event in split(cut(text, places))]


@given(st.binary(max_size=60), st.lists(st.integers(0, 100), max_size=6))
def test_no_byte_is_lost_or_made(text: bytes, places: list[int]) -> None:
    assert text == b"".join(split(cut(text, places)))


def test_an_event_is_handed_out_as_soon_as_its_empty_line_is_there() -> None:
    assert [b"data: 1\n\n"] == Splitter().feed(b"data: 1\n\ndata: 2\n")


def test_one_line_end_of_two_bytes_is_not_two() -> None:
    assert [] == Splitter().feed(b"event: a\r\ndata: 1\r\n")


def test_what_is_no_data_is_left_out() -> None:
    assert b"1" == read_data(b": keep alive\nevent: a\nid: 7\ndataset: 3\ndata:1\n\n")
