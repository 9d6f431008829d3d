"""Makes submitted counts billable: whole, disjoint, never guessed in silence. Pure functions.

Providers report totals that contain their details: cached and cache-write tokens are inside the
input tokens, audio and image tokens are inside the side that they are on, reasoning is inside the
output. Adding a detail to its total would bill it twice, so details are taken out of their totals.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from ledger.errors import InvalidError
from ledger.measures import Measures

MAX_COUNT = 10**9
"""Largest count of one AI event: a sum of 9 billion such events still fits the column."""

MAX_QUANTITY = 10**6
"""Largest quantity of one event on another channel: far beyond any message, call or mailing."""

DERIVED_OUTPUT_SHARE = 4
"""Where only a total of tokens is known, one token in four counts as output: the 3:1 mix that
published blended prices of language models assume."""

_ALIASES = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "cached_input_tokens": "cached_tokens",
}

_INPUT_DETAILS = {
    "cached_tokens": "cached_input_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "audio_input_tokens": "audio_in_tokens",
    "image_input_tokens": "image_in_tokens",
}
_OUTPUT_DETAILS = {
    "audio_output_tokens": "audio_out_tokens",
    "image_output_tokens": "image_out_tokens",
}

_SIDES = frozenset({"input_tokens", "output_tokens"})
_TOTALS = frozenset({"input_tokens", "output_tokens", "total_tokens", "reasoning_tokens"})

TOKEN_KEYS = frozenset(_TOTALS | _ALIASES.keys() | _INPUT_DETAILS.keys() | _OUTPUT_DETAILS.keys())
SECONDS_KEYS = frozenset({"audio_seconds", "duration_seconds"})
COUNT_KEYS = TOKEN_KEYS | SECONDS_KEYS | {"num_segments", "num_media"}
"""Metadata keys that hold counts."""

_SECONDS_A_MINUTE = 60


class Counted(NamedTuple):
    """Billable counts, and how well they are known.

    Attributes:
        derived: they were derived from a total.
        partial: of tokens in and out one was not told. It counts as none, and may be some.
    """

    measures: Measures
    derived: bool = False
    partial: bool = False


def count_usage(channel: str, quantity: object, metadata: Mapping[str, object]) -> Counted:
    """Return the billable counts of one event.

    Args:
        channel: a known channel.
        quantity: as submitted, or None.
        metadata: as submitted; counts are looked up in it, other keys are ignored.

    Raises:
        InvalidError: `invalid_quantity`, `invalid_count`, `contradictory_counts` or
            `missing_count`.
    """
    if channel == "ai":
        return _count_ai(quantity, metadata)
    counted = (
        _count_voice(quantity, metadata)
        if channel == "voice"
        else _count_items(channel, quantity, metadata)
    )
    if counted.measures.quantity > MAX_QUANTITY:
        raise InvalidError(
            "invalid_quantity",
            f"quantity must be from 0 to {MAX_QUANTITY}",
            key="quantity",
            value=counted.measures.quantity,
        )
    return counted


def _count_items(channel: str, quantity: object, metadata: Mapping[str, object]) -> Counted:
    given = _whole(quantity, key="quantity", code="invalid_quantity")
    if channel == "sms":
        segments = _whole(metadata.get("num_segments"), key="metadata.num_segments")
        given = _agree("quantity", given, "metadata.num_segments", segments or None)
    return Counted(Measures(quantity=1 if given is None else given))


def _count_voice(quantity: object, metadata: Mapping[str, object]) -> Counted:
    given = _number(quantity, key="quantity", code="invalid_quantity")
    minutes = None if given is None else math.ceil(given)
    seconds = _number(metadata.get("duration_seconds"), key="metadata.duration_seconds")
    started = None if seconds is None else math.ceil(seconds / _SECONDS_A_MINUTE)
    minutes = _agree("quantity", minutes, "metadata.duration_seconds", started)
    return Counted(Measures(quantity=1 if minutes is None else minutes))


def _count_ai(quantity: object, metadata: Mapping[str, object]) -> Counted:
    if quantity is None and COUNT_KEYS.intersection(metadata) == _SIDES:
        sent, received = metadata["input_tokens"], metadata["output_tokens"]
        if type(sent) is type(received) is int and 0 <= sent <= MAX_COUNT >= received >= 0:
            return Counted(Measures(sent + received, sent, output_tokens=received))  # nearly always
    counts = _read_tokens(metadata)
    given = _whole(quantity, key="quantity", code="invalid_quantity")
    total = _agree("quantity", given, "metadata.total_tokens", counts.get("total_tokens"))
    audio_ms = _audio_ms(metadata)
    if not counts.keys() & _SIDES and total is None and audio_ms is None:
        raise InvalidError(
            "missing_count",
            "AI usage needs metadata.input_tokens and output_tokens, total_tokens, audio_seconds,"
            " or a quantity of tokens",
            key="metadata.input_tokens",
        )
    sent, received, derived = _sides(counts, total)
    if counts.get("reasoning_tokens", 0) > received:
        raise _contradiction("metadata.reasoning_tokens", "metadata.output_tokens")
    measures = Measures(
        quantity=sent + received,
        audio_ms=audio_ms or 0,
        **_split("input_tokens", sent, _INPUT_DETAILS, counts),
        **_split("output_tokens", received, _OUTPUT_DETAILS, counts),
    )
    # Where audio is billed by duration, it may be all that there is on the other side.
    is_partial = len(counts.keys() & _SIDES) == 1 and total is None and audio_ms is None
    return Counted(measures, derived, is_partial)


def _read_tokens(metadata: Mapping[str, object]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for key, submitted in metadata.items():
        if key not in TOKEN_KEYS:
            continue
        value = _whole(submitted, key=f"metadata.{key}")
        if value is None:
            continue
        name = _ALIASES.get(key, key)
        if counts.setdefault(name, value) != value:
            raise _contradiction(f"metadata.{key}", f"metadata.{name}")
    return counts


def _sides(counts: Mapping[str, int], total: int | None) -> tuple[int, int, bool]:
    """Return tokens in, tokens out, and whether they were derived from the total."""
    sent, received = counts.get("input_tokens"), counts.get("output_tokens")
    if sent is None and received is None:
        if total is None:
            return 0, 0, False
        output = total // DERIVED_OUTPUT_SHARE
        return total - output, output, True
    if total is None:
        return sent or 0, received or 0, False
    sent = total - (received or 0) if sent is None else sent
    received = total - sent if received is None else received
    if sent < 0 or received < 0 or sent + received != total:
        raise _contradiction("the total of tokens", "metadata.input_tokens and output_tokens")
    return sent, received, False


def _split(
    whole: str, total: int, details: Mapping[str, str], counts: Mapping[str, int]
) -> dict[str, int]:
    """Take the details out of their total; return disjoint counts by the names of measures."""
    if counts.keys() <= _TOTALS:  # nearly always
        return {whole: total}
    inside = {name: counts[key] for key, name in details.items() if key in counts}
    rest = total - sum(inside.values())
    if rest < 0:
        named = " and ".join(f"metadata.{key}" for key in sorted(details) if counts.get(key))
        raise _contradiction(named, f"metadata.{whole}")
    return {whole: rest, **inside}


def _audio_ms(metadata: Mapping[str, object]) -> int | None:
    seconds = _number(metadata.get("audio_seconds"), key="metadata.audio_seconds")
    # As the text that was sent says it: 2.003 s are 2,003 ms, not a hair more.
    return None if seconds is None else math.ceil(Fraction(str(seconds)) * 1000)


def _agree(first: str, a: int | None, second: str, b: int | None) -> int | None:
    """Return the one count that two places give, if any."""
    if a is not None and b is not None and a != b:
        raise _contradiction(first, second)
    return b if a is None else a


def _contradiction(first: str, second: str) -> InvalidError:
    return InvalidError("contradictory_counts", f"{first} contradicts {second}", key=first)


def _whole(value: object, *, key: str, code: str = "invalid_count") -> int | None:
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value  # nearly always; a boolean is of another type
    number = _number(value, key=key, code=code)
    if number is None or isinstance(number, int):
        return number
    if number.is_integer():
        return int(number)
    raise InvalidError(code, f"{key} must be a whole number", key=key, value=value)


def _number(value: object, *, key: str, code: str = "invalid_count") -> int | float | None:
    """Check a count at the door; booleans, text, NaN and negatives are refused."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidError(code, f"{key} must be a number", key=key, value=value)
    if not 0 <= value <= MAX_COUNT:
        raise InvalidError(code, f"{key} must be from 0 to {MAX_COUNT}", key=key, value=value)
    return value


def check_count(key: str, value: object) -> None:
    """Check the value of a count key, also on a channel that does not use it.

    Raises:
        InvalidError: `invalid_count`.
    """
    _number(value, key=f"metadata.{key}")
