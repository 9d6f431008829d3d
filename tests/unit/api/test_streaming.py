from collections.abc import Generator

import pytest

from api.streaming import Stream


class Source:
    """Parts of a text, and what became of their making."""

    def __init__(self, lines: int, *, fault_after: int | None = None) -> None:
        self.made = 0
        self.is_open = False
        self._lines = lines
        self._fault_after = fault_after

    def read(self) -> Generator[str]:
        self.is_open = True
        try:
            for number in range(self._lines):
                if number == self._fault_after:
                    raise OSError("gone")
                self.made += 1
                yield f"line {number:06}\n"
        finally:
            self.is_open = False


def test_the_first_bytes_come_before_the_last_line_is_made() -> None:
    source = Source(10_000)
    next(Stream(source.read()))
    assert 0 < source.made < 10_000


def test_all_lines_come_in_order() -> None:
    source = Source(10_000)
    lines = b"".join(Stream(source.read())).decode().splitlines()
    assert [f"line {number:06}" for number in range(10_000)] == lines


def test_a_fault_before_the_first_part_is_told_at_once() -> None:
    with pytest.raises(OSError, match="gone"):
        Stream(Source(10, fault_after=0).read())


def test_closing_ends_what_was_not_read_to_its_end() -> None:
    source = Source(10_000)
    stream = Stream(source.read())
    next(stream)
    stream.close()
    assert not source.is_open


def test_closing_ends_what_was_not_read_at_all() -> None:
    source = Source(10_000)
    Stream(source.read()).close()
    assert not source.is_open


def test_of_nothing_comes_nothing() -> None:
    assert b"" == b"".join(Stream(Source(0).read()))
