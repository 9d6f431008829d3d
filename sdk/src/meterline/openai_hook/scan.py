"""Reads a few members of a large JSON object without parsing what is between them.

A body of embeddings or images has megabytes that nobody here looks at; parsing 3 MB takes 80 ms on
the caller's thread. What is wanted stands before or after them:

- From the front, members are decoded one by one until one does not end within the window.
- From the back, a key is searched for. The text from a key to the end of the body, put behind an
  opening brace, is JSON if and only if the key is a member of the outermost object: one that is
  nested deeper leaves a closing bracket too many. So nothing is guessed, and what is inside texts
  cannot match: a quote in a text is escaped.

What is not found that way is searched for by a full parse, if its key is there at all.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from meterline.parsing import parse_json

WINDOW = 64 * 1024
"""Bytes that are looked at from either end; bodies up to this size are parsed whole."""

_TRIES = 8
"""Most places of one key that are tried, from the last one on."""

_decoder = json.JSONDecoder()
_MEMBER = re.compile(r'[\s,]*"((?:[^"\\]|\\.)*)"\s*:\s*')

Fields = Mapping[str, Any]


def read_object(body: bytes, *, wanted: Sequence[str]) -> Fields:
    """Return members of the object that the body is; all of them where the body is small.

    Args:
        body: UTF-8 text.
        wanted: keys that are needed; the first one is the key that a full parse is worth.

    Raises:
        ValueError: it is not a JSON object.
    """
    if len(body) <= WINDOW:
        return _whole(body)
    found = _from_front(body)
    found.update(_from_back(body, [key for key in wanted if key not in found]))
    if wanted[0] not in found and _quoted(wanted[0]) in body:
        return _whole(body)
    return found


def _whole(body: bytes) -> Fields:
    value = parse_json(body)
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 (of the same kind as text that is no JSON)
    return value


def _from_front(body: bytes) -> dict[str, Any]:
    """Return the members that end within the window, and the last one only if more follows it."""
    text = body[:WINDOW].decode(errors="ignore")  # may end within a character
    found: dict[str, Any] = {}
    start = text.find("{") + 1
    if text[:start].strip() != "{":
        raise ValueError("not an object")
    while member := _MEMBER.match(text, start):
        try:
            value, start = _decoder.raw_decode(text, member.end())
        except ValueError:
            break
        if start >= len(text):
            break  # a number may go on
        found[_decoder.decode(f'"{member[1]}"')] = value
    return found


def _from_back(body: bytes, keys: Sequence[str]) -> dict[str, Any]:
    """Return all members from the first of the keys on that is found within the window."""
    found: dict[str, Any] = {}
    for key in keys:
        # The more of them are found, the further from the end they began.
        members = {} if key in found else _tail_from(body, _quoted(key))
        if len(members) > len(found):
            found = members
    return found


def _tail_from(body: bytes, quoted: bytes) -> dict[str, Any]:
    """Return the members from the last place on where this key is one of the outermost object."""
    at = len(body)
    for _ in range(_TRIES):
        at = body.rfind(quoted, max(1, len(body) - WINDOW), at)
        if at < 0:
            break
        if body[at - 1 : at] == b"\\":
            continue  # the end of a longer text
        try:
            members = _decoder.decode("{" + body[at:].decode())
        except ValueError:
            continue
        if isinstance(members, dict):
            return members
    return {}


def _quoted(key: str) -> bytes:
    return f'"{key}"'.encode()
