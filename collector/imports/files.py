"""Reads a file of usage and books it in chunks, telling what became of every line."""

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from collector.formats import read_line
from collector.imports.mapping import CsvMapping, map_records
from collector.imports.records import read_records
from collector.intake import TRANSACTION_EVENTS, Intake, Result
from ledger.clock import Clock
from ledger.event import Status

Line = TypeVar("Line", str, bytes)


class LineFault(NamedTuple):
    """A line that was not booked, and why."""

    line: int
    result: Result


@dataclass(kw_only=True)
class ImportReport:
    """What became of the lines of a file."""

    counts: Counter[Status] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    faults: int = 0


def read_csv_events(
    path: Path, mapping: CsvMapping, *, delimiter: str, on_bytes: Callable[[int], None]
) -> Iterator[tuple[int, object]]:
    """Yield line number and event of a CSV file; `on_bytes` hears how much was read."""
    # Surrogates stand in for undecodable bytes, so that only their row is refused.
    with (
        path.open("rb") as raw,
        io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape") as lines,
    ):
        watched = _watch(lines, raw, on_bytes)
        yield from map_records(read_records(watched, delimiter=delimiter), mapping)


def read_ndjson_events(
    path: Path, *, on_bytes: Callable[[int], None]
) -> Iterator[tuple[int, object]]:
    """Yield line number and event of a file with one JSON event a line."""
    with path.open("rb") as lines:
        for number, line in enumerate(_watch(lines, lines, on_bytes), start=1):
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if text.strip():
                yield number, read_line(text)


def import_events(
    events: Iterable[tuple[int, object]],
    intake: Intake,
    *,
    clock: Clock,
    on_fault: Callable[[LineFault], None],
) -> ImportReport:
    """Book events in chunks. Stopped at any point, the same import can simply be run again."""
    report = ImportReport()
    iterator = iter(events)
    while chunk := list(islice(iterator, TRANSACTION_EVENTS)):
        results = intake.book([event for _, event in chunk], only_tenant=None, now=clock())
        for (line, _), result in zip(chunk, results, strict=True):
            report.counts[result.status] += 1
            report.dropped.update(result.dropped)
            if result.status in (Status.REJECTED, Status.CONFLICT):
                report.faults += 1
                on_fault(LineFault(line, result))
    return report


def _watch(lines: Iterable[Line], raw: BinaryIO, on_bytes: Callable[[int], None]) -> Iterator[Line]:
    """Hand the lines on, and tell how many bytes of the file were read for them."""
    told = 0
    for line in lines:
        position = raw.tell()
        if position > told:
            on_bytes(position - told)
            told = position
        yield line
