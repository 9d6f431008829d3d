"""Writes a usage as one line of JSON, the event that the collector reads. Pure functions.

The line is made once, is what the spool keeps and what is sent, byte for byte, however often: so an
event that is sent again is told `duplicate` and never `conflict`. Text is put together by hand,
since this runs on the caller's thread and a general encoder takes twice as long.
"""

from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring as _quote
from math import floor, isfinite
from typing import NamedTuple

from meterline.delivery.personal import (
    is_forbidden_key,
    is_personal,
    is_personal_identifier,
    is_personal_model,
    is_slug,
)
from meterline.usage import Usage

MAX_EVENT_BYTES = 8192
MAX_METADATA_BYTES = 4096
MAX_ID = 255
_MAX_VALUE_CHARS = 128
_PHONE_DIGITS = 10_000_000
"""From here on, a whole number that is no count may be a phone number."""

_COUNTS = ("_tokens", "_seconds")
_SURELY_SMALL = 1000
"""A text of so many characters has less than 4,096 bytes, whatever is in it."""


class UnfitError(ValueError):
    """A usage that cannot become an event; the message names the field, never its value."""


class Encoded(NamedTuple):
    """An event as a line of JSON, and how much of its decoration was left out."""

    line: bytes
    withheld: int


def encode_usage(usage: Usage) -> Encoded:
    """Return the event of a usage.

    Metadata, a feature or a source that the collector would refuse, or that may be personal, is
    left out and counted: the usage is worth more than what it is decorated with. Beside what a hook
    hands over, `time` may be a `datetime` and `quantity` a fraction, such as minutes, which the
    collector rounds up.

    Raises:
        UnfitError: a field cannot be sent.
        TypeError, ValueError, OverflowError: a field is of a type or size that no event has.
    """
    event_id, time, channel, direction, source, tenant, feature, quantity, metadata = usage
    if not 1 <= len(event_id) <= MAX_ID or not _is_fit(event_id):
        raise UnfitError("id")
    withheld = 0
    text = (
        f'{{"id":{_quote(event_id)},"time":"{_moment(time)}'
        f'","channel":{_quote(channel)},"direction":{_quote(direction)}'
    )
    if tenant is not None:
        text += _tenant_pair(tenant)
    if source is not None:
        text += (said := _slug_pair("source", source))
        withheld += not said
    if feature is not None:
        text += (said := _slug_pair("feature", feature))
        withheld += not said
    if quantity is not None:
        text += f',"quantity":{_quantity(quantity)}'
    if metadata:
        kept = [pair for item in metadata.items() if (pair := _metadata_pair(*item)) is not None]
        withheld += len(metadata) - len(kept)
        pairs = ",".join(kept)
        if len(pairs) > _SURELY_SMALL:
            pairs, left_out = _shrink(kept)
            withheld += left_out
        text += f',"metadata":{{{pairs}}}'
    line = (text + "}").encode()
    if len(line) > MAX_EVENT_BYTES:
        raise UnfitError("event")
    return Encoded(line, withheld)


def _moment(time: object) -> str:
    if isinstance(time, float):
        second = floor(time)
        return f"{_second(second)}.{int((time - second) * 1e6):06d}Z"
    if isinstance(time, datetime):
        if (
            time.utcoffset() is None
        ):  # the host's local time is a guess, hours off where it is wrong
            raise UnfitError("time")
        return time.astimezone(UTC).isoformat()
    if isinstance(time, int):
        return f"{_second(time)}Z"
    raise UnfitError("time")


@lru_cache(maxsize=8)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


@lru_cache(maxsize=4096)
def _tenant_pair(tenant: str) -> str:
    if not 1 <= len(tenant) <= _MAX_VALUE_CHARS or not _is_fit(tenant):
        raise UnfitError("tenant")
    return f',"tenant":{_quote(tenant)}'


@lru_cache(maxsize=4096)
def _slug_pair(name: str, value: str) -> str:
    return f',"{name}":{_quote(value)}' if is_slug(value) else ""


def _quantity(value: object) -> str:
    if type(value) is int or (type(value) is float and isfinite(value)):
        return repr(value)
    raise UnfitError("quantity")


def _metadata_pair(key: object, value: object) -> str | None:  # noqa: PLR0911 - one for each type
    """Return `"key":value`, or None where it cannot or must not be sent."""
    if type(key) is not str:
        return None
    name = _metadata_name(key)
    if name is None:
        return None
    if type(value) is int:
        if -_PHONE_DIGITS < value < _PHONE_DIGITS or key.endswith(_COUNTS):
            return f"{name}{value}"
        return None
    if isinstance(value, str):
        is_sound = _is_sound_model if key == "model" else _is_sound
        return f"{name}{_quote(value)}" if is_sound(value) else None
    if value is None:
        return f"{name}null"
    if type(value) is bool:
        return f"{name}true" if value else f"{name}false"
    if type(value) is float and isfinite(value) and abs(value) < _PHONE_DIGITS:
        return f"{name}{value!r}"
    return None


@lru_cache(maxsize=1024)
def _metadata_name(key: str) -> str | None:
    return None if not _is_sound(key) or is_forbidden_key(key) else f"{_quote(key)}:"


def _is_fit(text: str) -> bool:
    return text.isprintable() and not is_personal_identifier(text)


def _is_sound(text: str) -> bool:
    return len(text) <= _MAX_VALUE_CHARS and text.isprintable() and not is_personal(text)


@lru_cache(maxsize=512)  # models come again and again; other values are looked at and forgotten
def _is_sound_model(text: str) -> bool:
    return len(text) <= _MAX_VALUE_CHARS and text.isprintable() and not is_personal_model(text)


def _shrink(kept: list[str]) -> tuple[str, int]:
    """Return metadata that is not too large, and how many were left out: text, else everything."""
    numbers = [pair for pair in kept if not pair.endswith('"')]  # counts are what is billed
    for chosen in (kept, numbers):
        pairs = ",".join(chosen)
        if len(pairs.encode()) <= MAX_METADATA_BYTES - 2:
            return pairs, len(kept) - len(chosen)
    return "", len(kept)
