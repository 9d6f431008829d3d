"""Turns CSV records into usage events by a mapping of columns to fields. Pure functions."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import orjson

from collector.counts import COUNT_KEYS
from collector.events import FIELDS, parse_time
from collector.imports.records import Record
from collector.personal import PERSONAL, is_personal
from ledger.errors import InvalidError, shorten

_EVENT_FIELDS = FIELDS - {"metadata"}
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?", re.ASCII)
_SHOWN_HEADER = 300
_NUMERIC = COUNT_KEYS | {"quantity"}
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True, slots=True)
class CsvMapping:
    """How rows become events.

    Attributes:
        columns: header name by field; fields that events do not have go to metadata.
        fixed: text by field, the same for every row.
        timezone: zone of times without an offset; None leaves them to be rejected.
    """

    columns: Mapping[str, str]
    fixed: Mapping[str, str] = field(default_factory=dict)
    timezone: ZoneInfo | None = None

    def __post_init__(self) -> None:
        both = sorted(self.columns.keys() & self.fixed.keys())
        if both:
            raise InvalidError(
                "mapped_twice", f"{both[0]} is both mapped and set; choose one", key=both[0]
            )

    def positions(self, header: Sequence[str]) -> dict[str, int]:
        """Return where each mapped field stands in the header.

        Raises:
            InvalidError: `missing_column` or `ambiguous_column`, naming the column and the header.
        """
        names = [name.strip() for name in header]
        for fieldname, column in self.columns.items():
            found = names.count(column)
            if found != 1:
                raise InvalidError(
                    "ambiguous_column" if found else "missing_column",
                    f"--map {fieldname}={column}: the header has"
                    f" {'that column twice' if found else 'no such column'};"
                    f" it has {shorten(', '.join(names), _SHOWN_HEADER)}",
                    key=fieldname,
                )
        return {fieldname: names.index(column) for fieldname, column in self.columns.items()}


def map_records(records: Iterator[Record], mapping: CsvMapping) -> Iterator[tuple[int, object]]:
    """Yield line number and event, or `InvalidError`, for every record after the header.

    A row without an id gets a stable one: a hash of its mapped cells, and how many rows of the file
    said the same before it. Neither the file's name nor the row's place takes part, so a file that
    grew can be imported again.

    Raises:
        InvalidError: the header cannot be used.
    """
    header = next(records, None)
    if header is None:
        raise InvalidError("empty_file", "line 1: the file is empty; a header is needed")
    if isinstance(header.cells, InvalidError):
        raise InvalidError(header.cells.code, f"line {header.line}: {header.cells.message}")
    try:
        positions = mapping.positions(header.cells)
    except InvalidError as error:
        raise InvalidError(error.code, f"line {header.line}: {error.message}") from None
    seen: Counter[bytes] = Counter()
    for line, cells in records:
        if isinstance(cells, InvalidError):
            yield line, cells
            continue
        row = {fieldname: cells[place].strip() for fieldname, place in positions.items()}
        yield line, _event(row, mapping, seen)


def _event(row: Mapping[str, str], mapping: CsvMapping, seen: Counter[bytes]) -> object:
    event: dict[str, object] = {"direction": "outbound"}
    metadata: dict[str, object] = {}
    for fieldname, text in (*mapping.fixed.items(), *row.items()):
        if text:
            target = event if fieldname in _EVENT_FIELDS else metadata
            target[fieldname] = _value(fieldname, text)
    if metadata:
        event["metadata"] = metadata
    if "id" not in event:
        event["id"] = _stable_id(row, seen)
    time = event.get("time")
    if isinstance(time, str):
        event["time"] = _with_offset(time, mapping.timezone)
    return event


def _value(fieldname: str, text: str) -> object:
    if fieldname in _NUMERIC and _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    if fieldname in _EVENT_FIELDS:
        return text
    return _FLAGS.get(text.lower(), text)


def _stable_id(row: Mapping[str, str], seen: Counter[bytes]) -> str:
    # A hash of a phone number could be undone by trying them all, so personal cells take no part.
    cells = [
        (name, PERSONAL if name not in FIELDS and is_personal(text) else text)
        for name, text in sorted(row.items())
    ]
    digest = hashlib.blake2b(orjson.dumps(cells), digest_size=16).digest()
    seen[digest] += 1
    return f"csv:{digest.hex()}:{seen[digest]}"


def _with_offset(text: str, zone: ZoneInfo | None) -> str:
    time = parse_time(text)
    if time is None or time.tzinfo is not None or zone is None:
        return text
    return time.replace(tzinfo=zone).isoformat()
