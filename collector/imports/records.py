"""Splits CSV text into records without letting one broken quote swallow the rest of the file."""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ledger.errors import InvalidError

MAX_SPAN = 100
"""Most lines that one record with line breaks inside quotes may cover."""


class Record(NamedTuple):
    """Cells of one record, or what is wrong with it, and the line on which it starts."""

    line: int
    cells: list[str] | InvalidError


class _Lines:
    """Numbered lines that can be put back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._numbered = enumerate(lines, start=1)
        self._returned: deque[tuple[int, str]] = deque()

    def take(self) -> tuple[int, str] | None:
        if self._returned:
            return self._returned.popleft()
        return next(self._numbered, None)

    def put_back(self, lines: Iterable[tuple[int, str]]) -> None:
        self._returned.extendleft(reversed(list(lines)))


def read_records(lines: Iterable[str], *, delimiter: str = ",") -> Iterator[Record]:
    """Yield the records of a CSV text; the first one is the header and sets the width.

    A quote that is never closed makes a reader take all that follows for one cell. So a record that
    covers several lines counts only if it has as many cells as the header; otherwise its first line
    is the broken one, and reading goes on at the next.

    Args:
        lines: physical lines. Undecodable bytes are expected as surrogates.
        delimiter: one character.
    """
    source = _Lines(lines)
    width: int | None = None
    while taken := source.take():
        number, line = taken
        if not line.strip():
            continue
        cells = _plain_cells(line, delimiter)
        record = Record(
            number, _quoted_cells(line, delimiter, source, width) if cells is None else cells
        )
        if isinstance(record.cells, list):
            record = _checked(record, width)
            if width is None and isinstance(record.cells, list):
                width = len(record.cells)
        yield record


def _plain_cells(line: str, delimiter: str) -> list[str] | None:
    """Split a line without quotes, which needs no parser."""
    return None if '"' in line else line.rstrip("\r\n").split(delimiter)


def _quoted_cells(
    line: str, delimiter: str, source: _Lines, width: int | None
) -> list[str] | InvalidError:
    taken: list[tuple[int, str]] = []
    text = [line]
    fault = "a quote is never closed"
    while len(text) <= MAX_SPAN:
        try:
            cells = next(csv.reader(text, delimiter=delimiter, strict=True))
        except csv.Error as error:
            if "unexpected end of data" not in str(error):
                fault = str(error)
                break
        else:
            if len(text) == 1 or width in (None, len(cells)):
                return cells
            break
        following = source.take()
        if following is None:
            break
        taken.append(following)
        text.append(following[1])
    source.put_back(taken)
    return InvalidError("broken_row", fault)


def _checked(record: Record, width: int | None) -> Record:
    cells = record.cells
    if isinstance(cells, InvalidError):
        return record
    if width is not None and len(cells) != width:
        fault = InvalidError("broken_row", f"{len(cells)} cells where the header has {width}")
        return Record(record.line, fault)
    if any(not cell.isascii() and _undecoded(cell) for cell in cells):
        return Record(
            record.line, InvalidError("malformed_utf8", "not UTF-8; save the file as UTF-8")
        )
    return record


def _undecoded(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return True
    return False
