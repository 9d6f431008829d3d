"""A usage event as it is booked, and what booking answers."""

import re
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from ledger.errors import InvalidError
from ledger.measures import Measures

DIRECTIONS = ("inbound", "outbound")

STANDARD_PRICE_CLASS = "standard"
FAILED_PRICE_CLASS = "failed"
"""Of messages that the provider could not send, and takes a fee for: one unit for each."""

OWN_ID_PREFIX = "meterline:"
"""How ids of rows begin that we book ourselves. Nobody can submit an event with such an id."""

UNKNOWN_FINGERPRINT = b"\x00"
"""Fingerprint of a row that was never submitted as an event of ours: taken over from SP-3, or
booked by the ledger itself."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


class UsageEvent(NamedTuple):
    """One validated, normalised usage of one tenant; a held value is a valid value.

    The fields have the names of the columns of `usage_metrics`.

    Attributes:
        event_id: identity within the tenant, at most 255 characters.
        fingerprint: what was submitted, condensed: tells a duplicate from a conflict.
        time: when it happened, aware, UTC.
        date: the tenant's local date of `time`.
        derived: the counts were derived from a total.
        provisional: the submitter expects a better count later, or told a part of it.
        metadata: allow-listed scalars as canonical JSON text, or None.
        measures: the billable counts.
    """

    event_id: str
    fingerprint: bytes
    time: datetime
    date: date
    channel: str
    direction: str
    source: str | None
    feature: str | None
    model: str | None
    price_class: str
    derived: bool
    provisional: bool
    metadata: str | None
    measures: Measures


class Status(StrEnum):
    """What became of one submitted event."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REJECTED = "rejected"


@lru_cache(maxsize=4096)
def is_slug(text: str) -> bool:
    """Whether `text` is safe as an InfluxDB tag, a Prometheus label and a CSV cell."""
    return _SLUG.fullmatch(text) is not None


def parse_slug(text: object, *, key: str) -> str:
    """Check that `text` is a slug.

    Raises:
        InvalidError: `invalid_slug`.
    """
    if isinstance(text, str) and is_slug(text):
        return text
    raise InvalidError(
        "invalid_slug",
        f"{key} has 1 to 64 of a-z 0-9 _ . - and starts with a letter or digit",
        key=key,
        value=text,
    )
