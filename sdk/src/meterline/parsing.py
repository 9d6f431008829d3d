"""Parses JSON on the thread of a call: with `jiter`, which openai brings along, where it is there.

It takes a third of the time. It keeps keys for the next text, and is told to keep no values.
Looked for when a client is wrapped, and not before: it is somebody else's package.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

_decoder = json.JSONDecoder()
_parsers: list[Callable[..., Any]] = []


def parse_json(text: bytes) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: it is no JSON.
    """
    if _parsers:
        try:
            return _parsers[0](text, cache_mode="keys")
        except ValueError:  # it is stricter, such as with half of a surrogate pair
            pass
    return _decoder.decode(text.decode())


def use_fast_parser() -> None:
    """Parse with `jiter` from now on, if it is installed."""
    if not _parsers:
        with suppress(ImportError, AttributeError):
            _parsers.append(import_module("jiter").from_json)
