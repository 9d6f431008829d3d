import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterline.delivery.segment import HEADER, Segment

SIZE = 8192
LAST = b"the last one"
LINES = st.lists(st.binary(min_size=1, max_size=200).map(bytes.hex).map(str.encode), max_size=25)


def make(*lines: bytes, size: int = SIZE) -> tuple[bytearray, Segment]:
    buffer = bytearray(HEADER.ljust(size, b"\0"))
    segment = Segment(buffer)
    for line in lines:
        segment.append(line)
    return buffer, segment


def recovered(buffer: bytearray) -> Segment:
    segment = Segment(bytearray(buffer))
    segment.recover()
    return segment


def read_all(segment: Segment) -> list[bytes]:
    return [record.line for record in segment.read(most=1000, most_bytes=10**9)]


def test_what_was_appended_is_read_in_order() -> None:
    _, segment = make(b"one", b"two", b"three")
    assert [b"one", b"two", b"three"] == read_all(segment)


def test_a_full_segment_takes_no_more_and_keeps_what_it_has() -> None:
    _, segment = make(b"x" * 7000)
    assert (False, [b"x" * 7000]) == (segment.append(b"y" * 2000), read_all(segment))


def test_an_event_with_a_result_is_never_read_again() -> None:
    buffer, segment = make(b"one", b"two", b"three")
    segment.mark_done(segment.read(most=3, most_bytes=10**9)[1])
    assert [b"one", b"three"] == read_all(recovered(buffer))


def test_a_read_stops_before_it_gets_too_large_and_goes_on_from_there() -> None:
    _, segment = make(b"1" * 60, b"2" * 60, b"3" * 60)
    found = [len(segment.read(most=10, most_bytes=130)) for _ in range(2)]
    assert [2, 1] == found


def test_an_event_larger_than_a_whole_read_is_read_alone() -> None:
    _, segment = make(b"1" * 500, b"2")
    assert [b"1" * 500] == [record.line for record in segment.read(most=10, most_bytes=100)]


def test_events_that_were_given_back_are_read_again() -> None:
    _, segment = make(b"one", b"two")
    segment.read(most=1, most_bytes=100)
    segment.rewind()
    assert [b"one", b"two"] == read_all(segment)


def test_what_was_read_and_is_pending_is_not_due_before_its_time() -> None:
    _, segment = make(b"one")
    segment.read(most=1, most_bytes=100)
    segment.retry_at = 50.0
    assert (False, True) == (segment.is_due(49.0), segment.is_due(50.0))


def test_a_new_event_is_due_though_another_is_held_back() -> None:
    _, segment = make(b"held")
    segment.read(most=1, most_bytes=100)
    segment.retry_at = 50.0
    segment.append(b"new")
    assert (True, [b"new"]) == (segment.is_due(0.0), read_all(segment))


def test_nothing_of_a_parked_segment_is_due_before_its_time() -> None:
    _, segment = make(b"one")
    segment.is_parked, segment.retry_at = True, 50.0
    read_all(segment)
    segment.append(b"two")
    assert (False, True) == (segment.is_due(49.0), segment.is_due(50.0))


@given(lines=LINES, written=st.integers(0, len(LAST) + 11))
def test_a_write_that_a_kill_tore_costs_that_event_and_no_other(
    lines: list[bytes], written: int
) -> None:
    buffer, segment = make(*lines[:10])
    end = buffer.rstrip(b"\0")
    segment.append(LAST)
    whole = len(end) + len(LAST) + 12
    buffer[len(end) + written : whole] = bytes(len(LAST) + 12 - written)
    assert lines[:10] == read_all(recovered(buffer))


@given(lines=LINES, at=st.integers(len(HEADER), SIZE - 1), garbage=st.binary(max_size=300))
def test_garbage_anywhere_never_makes_an_event_that_was_not_there(
    lines: list[bytes], at: int, garbage: bytes
) -> None:
    buffer, segment = make()
    kept = [line for line in lines if segment.append(line)]
    buffer[at : at + len(garbage)] = garbage[: SIZE - at]
    assert set(read_all(recovered(buffer))) <= set(kept)


def test_events_behind_garbage_are_found() -> None:
    buffer, _ = make(b"one", b"two", b"three")
    at = buffer.index(b"two")
    buffer[at : at + 3] = b"\xf5\xff?"
    found = recovered(buffer)
    assert ([b"one", b"three"], 1) == (read_all(found), found.damaged)


def test_an_untouched_rest_is_no_damage() -> None:
    buffer, _ = make(b"one")
    assert 0 == recovered(buffer).damaged


def test_a_length_that_leads_out_of_the_buffer_is_damage() -> None:
    buffer, _ = make(b"one")
    buffer[len(HEADER) + 4 : len(HEADER) + 8] = b"\xff\xff\xff\x7f"
    found = recovered(buffer)
    assert ([], 1) == (read_all(found), found.damaged)


def test_what_is_no_segment_is_told() -> None:
    with pytest.raises(ValueError, match="not a segment"):
        recovered(bytearray(b"something else entirely"))
