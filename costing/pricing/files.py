"""Price files: TOML with tables of rates, markups and aliases; every fault with its line."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from costing.pricing.entries import Entry, find_contradictions
from costing.pricing.tables import read_table
from ledger.errors import InvalidError, shorten

TABLES: Mapping[str, str] = {"rates": "rate", "markups": "markup", "aliases": "alias"}
"""Tables of a price file and the kind of their entries."""

_HEADER = re.compile(r"\s*(?P<opening>\[\[?)\s*[\"']?(?P<name>[A-Za-z0-9_-]+)[\"']?\s*\]")
_ANY_HEADER = re.compile(r"\s*\[")
_KEY = re.compile(r"\s*[\"']?(?P<key>[A-Za-z0-9_-]+)[\"']?\s*=")
_AT_LINE = re.compile(r" \(at line (?P<line>\d+), column \d+\)$")


class Line(NamedTuple):
    """An entry and the line of the file that its table begins on."""

    number: int
    entry: Entry


class _Place(NamedTuple):
    """Where a table stands: its first line, and those of its keys."""

    line: int
    keys: Mapping[str, int]


class _Places(NamedTuple):
    """Where tables stand.

    Attributes:
        tables: of each name in double brackets.
        names: first line of each name at the top, however it is written.
    """

    tables: Mapping[str, Sequence[_Place]]
    names: Mapping[str, int]

    def of(self, table: str, number: int, count: int) -> _Place:
        """Return where a table stands that is number `number` of `count`."""
        found = self.tables.get(table, ())
        # Tables in brackets inside a line have no lines of their own.
        return found[number] if len(found) == count else _Place(self.line(table), {})

    def line(self, name: str) -> int:
        """Return the first line of what has a name."""
        return self.names.get(name, 1)


def load_price_file(path: Path) -> list[Line]:
    """Read a price file.

    Raises:
        InvalidError: `invalid_price_file`, with the file, and line and reason of every fault.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise InvalidError("invalid_price_file", f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InvalidError("invalid_price_file", f"{path}:{line}: it is not UTF-8") from error
    return parse_price_file(text, name=str(path))


def parse_price_file(text: str, *, name: str) -> list[Line]:
    """Read the text of a price file.

    Args:
        text: TOML.
        name: of the file, for the message.

    Raises:
        InvalidError: `invalid_price_file`, with the file, and line and reason of every fault.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = _AT_LINE.search(str(error))
        line = text.count("\n") + 1 if found is None else found["line"]
        reason = _AT_LINE.sub("", str(error))
        raise InvalidError("invalid_price_file", f"{name}:{line}: no TOML: {reason}") from error
    faults: list[str] = []
    lines = list(_read(document, _find_places(text), name, faults))
    for first, second in find_contradictions([line.entry for line in lines]):
        faults.append(
            f"{name}:{lines[second].number}: it overlaps the entry of line {lines[first].number}:"
            " the same place and start with another price"
        )
    if not faults and not lines:
        faults.append(f"{name}: nothing in it; there are [[rates]], [[markups]] and [[aliases]]")
    if faults:
        raise InvalidError("invalid_price_file", "\n".join(faults))
    return lines


def _read(
    document: Mapping[str, Any],
    places: _Places,
    name: str,
    faults: list[str],
) -> Iterator[Line]:
    for table, entries in document.items():
        if table not in TABLES or not isinstance(entries, list):
            there = ", ".join(f"[[{known}]]" for known in TABLES)
            line = places.line(table)
            faults.append(f"{name}:{line}: {table}: no such table; there are {there}")
            continue
        for number, said in enumerate(entries):
            place = places.of(table, number, len(entries))
            if not isinstance(said, dict):
                faults.append(f"{name}:{place.line}: {table}: write it as [[{table}]]")
                continue
            try:
                yield Line(place.line, read_table(TABLES[table], said))
            except InvalidError as error:
                line = place.keys.get(error.key or "", place.line)
                is_named = error.message.startswith(error.key or "")
                key = "" if is_named else f"{error.key}: "
                value = "" if error.value is None else f" (it is {shorten(error.value)})"
                faults.append(f"{name}:{line}: {key}{error.message}{value}")


def _find_places(text: str) -> _Places:
    """Return where the tables of each name begin, and their keys."""
    tables: dict[str, list[_Place]] = {}
    names: dict[str, int] = {}
    keys = names
    # Lines as TOML has them: other characters that end lines may stand in comments and texts.
    for number, line in enumerate(text.split("\n"), start=1):
        if header := _HEADER.match(line):
            keys = {}
            names.setdefault(header["name"], number)
            if header["opening"] == "[[":
                tables.setdefault(header["name"], []).append(_Place(number, keys))
        elif _ANY_HEADER.match(line):
            keys = {}
        elif key := _KEY.match(line):
            keys.setdefault(key["key"], number)
    return _Places(tables, names)
