"""What metadata may hold: an allow-list of small scalars, and never anything personal.

Prompts, completions and message bodies are refused, since their presence is a mistake to be told.
Other unknown keys are left out and named in the answer: usage is worth more than its decoration.
Values that look like a phone number or an e-mail address are replaced by a keyed hash, so that they
can still be counted and compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from collector.counts import COUNT_KEYS, check_count
from collector.personal import (
    PERSONAL,
    hide,
    is_personal,
    is_personal_identifier,
    is_personal_label,
)
from ledger.errors import InvalidError

MAX_METADATA_BYTES = 4096
MAX_VALUE_CHARS = 128

DEFAULT_KEYS = COUNT_KEYS | {
    "batch",
    "callSid",
    "call_sid",
    "campaignId",
    "campaign_id",
    "conversationId",
    "conversation_id",
    "finish_reason",
    "messageSid",
    "message_sid",
    "model",
    "phoneNumber",
    "phone_number",
    "provisional",
    "requestId",
    "request_id",
    "responseId",
    "response_id",
    "service_tier",
    "status",
    "templateKey",
    "template_id",
    "template_key",
    "usage_missing",
}

CONTENT_KEYS = frozenset(
    {
        "answer",
        "body",
        "choices",
        "completion",
        "content",
        "contents",
        "html",
        "input",
        "instructions",
        "message",
        "messages",
        "output",
        "prompt",
        "prompts",
        "question",
        "response",
        "subject",
        "system",
        "text",
        "transcript",
    }
)
"""Keys under which hosts send what people wrote or read; compared in lower case."""


_ALWAYS_PERSONAL = frozenset({"phoneNumber", "phone_number"})
_NEVER_PERSONAL = frozenset({"model", "service_tier"})
"""Stored in columns of their own, where a hash would mean nothing."""


class CleanMetadata(NamedTuple):
    """What is left of submitted metadata.

    Attributes:
        stored: what may be stored, as canonical JSON text, or None.
        dropped: the keys that were left out.
        traceless: canonical JSON of all that was submitted, personal values blanked: what a
            fingerprint may be made of without giving them away to somebody who tries them all.
    """

    stored: str | None
    dropped: tuple[str, ...]
    traceless: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class MetadataPolicy:
    """Which keys are kept, and the key that hides personal values (None: they are left out)."""

    allowed: frozenset[str] = frozenset(DEFAULT_KEYS)
    hash_key: bytes | None = None

    def __post_init__(self) -> None:
        content = sorted(key for key in self.allowed if key.lower() in CONTENT_KEYS)
        if content:
            raise InvalidError(
                "metadata_has_content", "such metadata can never be kept", key=content[0]
            )

    def clean(self, metadata: Mapping[str, object], canonical: bytes) -> CleanMetadata:
        """Return what may be stored of submitted metadata.

        Args:
            metadata: as submitted.
            canonical: the same as canonical JSON, which is stored where nothing has to go.

        Raises:
            InvalidError: `metadata_has_content`, `metadata_not_scalar`, `metadata_value_too_long`,
                `invalid_count` or `personal_data`.
        """
        kept: dict[str, object] = {}
        dropped: list[str] = []
        hidden: list[str] = []
        for key, value in metadata.items():
            if type(value) is int and value >= 0 and key in COUNT_KEYS and key in self.allowed:
                kept[key] = value  # most of what comes
                continue
            _check_value(key, value)
            personal = _is_personal(key, value)
            if personal:
                hidden.append(key)
            if key not in self.allowed:
                _refuse_content(key)
                dropped.append(key)
            elif not personal:
                kept[key] = value
            elif key in _NEVER_PERSONAL:
                raise InvalidError(
                    "personal_data", "an e-mail address or a phone number", key=f"metadata.{key}"
                )
            elif self.hash_key is None:
                dropped.append(key)
            else:
                kept[key] = hide(self.hash_key, value)
        stored = traceless = canonical
        if hidden:
            traceless = _dump({**metadata, **dict.fromkeys(hidden, PERSONAL)})
        if dropped or hidden:
            stored = _dump(kept)
        return CleanMetadata(stored.decode() if kept else None, tuple(dropped), traceless)


def _is_personal(key: str, value: object) -> bool:
    if key in COUNT_KEYS:
        return False
    if key in _NEVER_PERSONAL:
        return is_personal_label(value)
    return key in _ALWAYS_PERSONAL or is_personal(value)


def _dump(values: Mapping[str, object]) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS)


def check_size(submitted: bytes) -> None:
    """Check the size of metadata as canonical JSON.

    Raises:
        InvalidError: `metadata_too_large`.
    """
    if len(submitted) > MAX_METADATA_BYTES:
        raise InvalidError(
            "metadata_too_large",
            f"metadata has {len(submitted)} bytes; at most {MAX_METADATA_BYTES} are taken",
            key="metadata",
        )


def check_identifier(text: str, *, key: str) -> None:
    """Refuse an identifier that carries an e-mail address or a phone number.

    Raises:
        InvalidError: `personal_data`; the value is not repeated.
    """
    if is_personal_identifier(text):
        raise InvalidError(
            "personal_data", f"{key} holds an e-mail address or a phone number", key=key
        )


def _check_value(key: str, value: object) -> None:
    if key in COUNT_KEYS:
        check_count(key, value)
    elif isinstance(value, str):
        if len(value) > MAX_VALUE_CHARS:
            _refuse_content(key)
            raise InvalidError(
                "metadata_value_too_long",
                f"metadata values have at most {MAX_VALUE_CHARS} characters",
                key=f"metadata.{key}",
            )
    elif value is not None and not isinstance(value, int | float):
        _refuse_content(key)
        raise InvalidError(
            "metadata_not_scalar",
            "metadata values are text, numbers, booleans or null",
            key=f"metadata.{key}",
        )


def _refuse_content(key: str) -> None:
    if key.lower() in CONTENT_KEYS:
        raise InvalidError(
            "metadata_has_content",
            "prompts, completions, bodies and subjects are not taken; leave them out",
            key=f"metadata.{key}",
        )
