"""Tells what looks like a phone number or an e-mail address. Pure functions.

A bare run of digits in an identifier cannot be told from a serial number, so identifiers are
searched for what is written as a phone number: with a plus, or in groups.
"""

import hashlib
import hmac
import re
from functools import lru_cache

PERSONAL = "(personal)"
"""Stands for a personal value where it must not leave a trace, such as in a fingerprint."""

_EMAIL = re.compile(r"[^\s@](@|%40)[^\s@]")
_GAP = r"[\s().\-/\u2010-\u2015]{0,3}"
_PHONE = re.compile(rf"(?<![\w-])\+?\(?\d(?:{_GAP}\d){{6,14}}(?!\w)")
_WRITTEN_PHONE = re.compile(rf"(?:\+\(?\d|\(\d)(?:{_GAP}\d){{6,14}}(?!\w)")
_ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{1,2})?")
_PHONE_DIGITS = range(10_000_000, 10**15)
_NOT_DIGITS = re.compile(r"\D")


def is_personal(value: object) -> bool:
    """Whether a value looks like, or holds, a phone number or an e-mail address."""
    if isinstance(value, str):
        if value.isalpha():
            return False
        return _holds_email(value) or any(
            _ISO_TIME.fullmatch(found.group()) is None for found in _PHONE.finditer(value)
        )
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) in _PHONE_DIGITS


def is_personal_identifier(text: str) -> bool:
    """Whether an identifier holds an e-mail address, or what is written as a phone number."""
    written = "+" in text or "(" in text
    return _holds_email(text) or (written and _WRITTEN_PHONE.search(text) is not None)


@lru_cache(maxsize=4096)
def is_personal_label(text: object) -> bool:
    """Tell the same as `is_personal` of values that come again and again, such as models."""
    return is_personal(text)


def _holds_email(text: str) -> bool:
    return ("@" in text or "%40" in text) and _EMAIL.search(text) is not None


def hide(key: bytes, value: object) -> str:
    """Return the keyed hash that stands for a personal value.

    The ways to write one phone number, and one e-mail address, have the same hash.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    plain = text.strip().lower() if _holds_email(text) else _NOT_DIGITS.sub("", text) or text
    return "hmac:" + hmac.new(key, plain.encode(), hashlib.sha256).hexdigest()[:32]
