"""What metadata may hold: an allow-list of small scalars, and never anything personal.

Prompts, completions and message bodies are refused, since their presence is a mistake to be told.
Other unknown keys are left out and named in the answer: usage is worth more than its decoration.
Values that look like a phone number or an e-mail address are replaced by a keyed hash, so that they
can still be counted and compared.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from collector.counts import COUNT_KEYS
from ledger.errors import InvalidError, shorten

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

_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_PHONE = re.compile(r"(?<![\w-])\+?\(?\d(?:[ ().\-/]{0,2}\d){6,14}(?!\w)")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_E164 = re.compile(r"\+\d{7,15}")
_PHONE_DIGITS = range(10_000_000, 10**15)


_IMPERSONAL_KEYS = COUNT_KEYS | {"model"}


class CleanMetadata(NamedTuple):
    """Metadata that may be stored, as canonical JSON text, and the keys that were left out."""

    stored: str | None
    dropped: tuple[str, ...]


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
            InvalidError: `metadata_has_content`, `metadata_not_scalar` or
                `metadata_value_too_long`.
        """
        kept: dict[str, object] = {}
        dropped: list[str] = []
        hidden = False
        for key, value in metadata.items():
            _check_value(key, value)
            if key not in self.allowed:
                _refuse_content(key)
                dropped.append(shorten(key) or "")
            elif key in _IMPERSONAL_KEYS or not _is_personal(value):
                kept[key] = value
            elif self.hash_key is None:
                dropped.append(key)
            else:
                hidden = True
                kept[key] = _hide(self.hash_key, str(value))
        if dropped or hidden:
            canonical = orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
        return CleanMetadata(canonical.decode() if kept else None, tuple(dropped))


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
    if ("@" in text and _EMAIL.search(text)) or ("+" in text and _E164.search(text)):
        raise InvalidError(
            "personal_data", f"{key} holds an e-mail address or a phone number", key=key
        )


def _check_value(key: str, value: object) -> None:
    if isinstance(value, str):
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


def _is_personal(value: object) -> bool:
    if isinstance(value, str):
        if "@" in value and _EMAIL.search(value):
            return True
        found = _PHONE.search(value)
        return found is not None and _ISO_DATE.fullmatch(found.group()) is None
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) in _PHONE_DIGITS


def _hide(key: bytes, value: str) -> str:
    return "hmac:" + hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:32]
