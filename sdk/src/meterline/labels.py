"""What the collector takes as a label: checked here too, so that a bad one never costs the event.

The collector refuses an event for the sake of one label that it cannot read. What a provider or a
third party says about a usage is therefore left out where it would be refused: the counts matter
more than their decoration. What the host says itself is passed on as it is, and told by the answer.
"""

import re
from functools import lru_cache

MAX_LABEL = 128
"""Most characters of a model or another value of metadata, as the collector has it."""

MAX_ID = 200
"""Most characters of a provider's id that are used; the collector takes 255."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


def is_slug(value: object) -> bool:
    """Whether a value can be a feature or a service tier."""
    return isinstance(value, str) and _SLUG.fullmatch(value) is not None


def is_feature(value: str) -> bool:
    """Whether a text of a third party can be a feature; one of digits may be a phone number."""
    return is_slug(value) and value[0].isalpha()


@lru_cache(maxsize=256)  # the same few come again and again
def _checked_slug(value: str) -> str | None:
    return value if is_slug(value) else None


def as_slug(value: object) -> str | None:
    """Return the value if it is a slug, else None."""
    return _checked_slug(value) if isinstance(value, str) else None


@lru_cache(maxsize=256)
def _checked_label(value: str) -> str | None:
    return value.strip() or None if len(value) <= MAX_LABEL and value.isprintable() else None


def as_label(value: object) -> str | None:
    """Return the value if it can be a model or a template, else None."""
    return _checked_label(value) if isinstance(value, str) else None


def as_id(value: object) -> str | None:
    """Return the value if it can be part of an event's id, else None."""
    if isinstance(value, str) and 0 < len(value) <= MAX_ID and value.isprintable():
        return None if "@" in value or "%40" in value else value
    return None
