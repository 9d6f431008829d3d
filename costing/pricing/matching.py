"""Which names of models a catalogue entry is for: the clauses of `genai-prices` as plain data."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

Clause = Mapping[str, Any]
"""One key: `equals`, `starts_with`, `ends_with`, `contains` or `regex` with a text, or `or` or
`and` with a list of clauses."""


_RUN_TOGETHER = re.compile(r"-(20\d{2})(\d{2})(\d{2})(?=[-:]|$)", re.ASCII)


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "equals": lambda wanted, name: name == wanted.lower(),
    "starts_with": lambda wanted, name: name.startswith(wanted.lower()),
    "ends_with": lambda wanted, name: name.endswith(wanted.lower()),
    "contains": lambda wanted, name: wanted.lower() in name,
    "regex": lambda wanted, name: _compile(wanted).search(name) is not None,
}


def matches(clause: Clause, name: str) -> bool:
    """Whether a clause holds for a name in small letters.

    Raises:
        KeyError: a clause of another kind.
    """
    ((kind, wanted),) = clause.items()
    if kind == "or":
        return any(matches(part, name) for part in wanted)
    if kind == "and":
        return all(matches(part, name) for part in wanted)
    return _TESTS[kind](wanted, name)


def part_dates(name: str) -> str:
    """Return a name with its dates as OpenAI writes them: `…-20251211` is `…-2025-12-11`.

    Gateways run them together, and so a name that nothing matches is looked up in this form, too.
    """
    return _RUN_TOGETHER.sub(_part, name)


def _part(found: re.Match[str]) -> str:
    try:
        return f"-{date(*map(int, found.groups())).isoformat()}"
    except ValueError:
        return found[0]
