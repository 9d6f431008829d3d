"""Turns a provider's `usage` into the counts that events carry. Pure.

The collector takes totals that contain their details and makes them disjoint. It refuses counts
that contradict each other, so what a provider reports beyond its own total (cached audio tokens are
in two details) is cut down to the total: no token is billed twice, and no usage is lost.
"""

from collections.abc import Mapping
from typing import Any

Counts = dict[str, int | float]
"""Counts by their names in metadata. Details that are zero are left out."""

MAX_COUNT = 10**9
"""Largest count that the collector takes."""

_INPUT_DETAILS = (
    ("cached_tokens", "cached_tokens"),
    ("cache_write_tokens", "cache_write_tokens"),
    ("audio_tokens", "audio_input_tokens"),
    ("image_tokens", "image_input_tokens"),
)
_OUTPUT_DETAILS = (
    ("audio_tokens", "audio_output_tokens"),
    ("image_tokens", "image_output_tokens"),
)


def read_counts(usage: object, *, all_output: str | None = None) -> Counts | None:
    """Return the counts that a `usage` object tells, or None where it tells none.

    Args:
        usage: of any endpoint: tokens in and out under either pair of names, a total alone, or
            seconds of audio.
        all_output: the provider's name of the detail that the whole output belongs to where the
            answer does not split it, such as `image_tokens` at the endpoints for images.
    """
    if not isinstance(usage, dict):
        return None
    get = usage.get
    if get("type") == "duration":
        return read_seconds(get("seconds"))
    sent = _count(get("input_tokens", get("prompt_tokens")))
    received = _count(get("output_tokens", get("completion_tokens")))
    if sent is None or received is None:
        total = _count(get("total_tokens"))
        if sent is None and received is None:
            return None if total is None else {"total_tokens": total}
        sent = max(0, (total or 0) - (received or 0)) if sent is None else sent
        received = max(0, (total or 0) - sent) if received is None else received
    counts: Counts = {"input_tokens": sent, "output_tokens": received}
    inside = (
        get("input_tokens_details") or get("prompt_tokens_details") or get("input_token_details")
    )
    if isinstance(inside, dict):
        _add_details(counts, inside, _INPUT_DETAILS, sent)
    inside = (
        get("output_tokens_details")
        or get("completion_tokens_details")
        or get("output_token_details")
    )
    if isinstance(inside, dict):
        _add_details(counts, inside, _OUTPUT_DETAILS, received)
        reasoning = _count(inside.get("reasoning_tokens"))
        if reasoning:
            counts["reasoning_tokens"] = min(reasoning, received)
    elif all_output is not None:
        _add_details(counts, {all_output: received}, _OUTPUT_DETAILS, received)
    return counts


def read_seconds(value: object) -> Counts | None:
    """Return the count of so many seconds of audio: a number, or text that is one."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else -1.0
    except ValueError:
        return None
    if isinstance(value, bool) or not 0 <= seconds <= MAX_COUNT:
        return None
    return {"audio_seconds": value if isinstance(value, int) else seconds}


def _add_details(
    counts: Counts, inside: Mapping[str, Any], names: tuple[tuple[str, str], ...], total: int
) -> None:
    """Add the details that are inside of a total, never more than it together."""
    left = total
    for theirs, ours in names:
        value = inside.get(theirs)
        if value and left and _count(value):  # nearly always nothing
            counts[ours] = value = min(value, left)
            left -= value


def _count(value: object) -> int | None:
    """Return a whole number that can be a count; a boolean is of another type."""
    return value if type(value) is int and 0 <= value <= MAX_COUNT else None
