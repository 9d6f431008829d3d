"""What is booked where a provider told no usage: an estimate from what went over the wire. Pure.

Nothing that was written is kept: texts are measured while they pass. Four bytes of UTF-8 count as a
token, which is OpenAI's rule of thumb for English. Media in a request and reasoning that is not
shown are not in it. An estimate is marked `usage_missing` and `provisional`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from meterline.openai_hook.counts import Counts

BYTES_PER_TOKEN = 4

_SPOKEN = ("messages", "prompt", "input", "instructions", "tools", "functions")
"""Members of a request whose texts are read by the model."""

_TEXT = rb'"(?:%s)"\s*:\s*"((?:[^"\\]++|\\.)*+)"'


@lru_cache
def _texts_under(keys: str) -> "re.Pattern[bytes]":
    return re.compile(_TEXT % keys.encode())


class Written:
    """Measures the texts that a stream brings, event by event."""

    def __init__(self, keys: str) -> None:
        self._text = _texts_under(keys)
        self._bytes = 0
        self._pieces = 0

    def add(self, data: bytes) -> None:
        """Measure the texts in an event's data."""
        for text in self._text.findall(data):
            if text:
                self._pieces += 1
                self._bytes += len(text) if b"\\" not in text else _plain_length(text)

    @property
    def anything(self) -> bool:
        """Whether any text came."""
        return self._pieces > 0

    @property
    def tokens(self) -> int:
        """At least one token for each piece, since a stream brings about one a piece."""
        return max(self._pieces, tokens_of(self._bytes))


def tokens_of(length: int) -> int:
    """Return about how many tokens a text of this many bytes is; zero only for nothing."""
    return -(-length // BYTES_PER_TOKEN)


def estimate_counts(request: Mapping[str, Any], written_tokens: int) -> Counts:
    """Return counts for a request whose answer told none.

    Args:
        request: the members of the JSON body; nothing where it is a form.
        written_tokens: about how much came back.
    """
    length = sum(_length(request.get(key)) for key in _SPOKEN)
    return {"input_tokens": tokens_of(length), "output_tokens": written_tokens}


def measure_texts(value: object) -> int:
    """Return about how many tokens all texts in a value are."""
    return tokens_of(_length(value))


def _length(value: object) -> int:
    return sum(len(text.encode(errors="replace")) for text in _texts(value))


def _texts(value: object) -> Iterator[str]:
    """Walk through all texts but inline media, whose length says nothing about their tokens."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            if not item.startswith("data:"):
                yield item
        elif isinstance(item, list):
            todo.extend(item)
        elif isinstance(item, dict):
            todo.extend(value for key, value in item.items() if key not in {"data", "file_data"})


def _plain_length(text: bytes) -> int:
    try:
        return len(json.loads(b'"' + text + b'"').encode(errors="replace"))
    except ValueError:
        return len(text)
