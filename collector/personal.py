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
# Letters may touch a whole number of ten digits or more, as in `sms_14155552671`. Hashes, serial
# numbers and the parts of a UUID mix letters and digits otherwise.
_TOUCHED_PHONE = re.compile(
    r"(?<![^\W_])(?<!-)(?:[A-Za-z]+-?)?(?:\d{10,15}|\d{3}[-. ]\d{3}[-. ]\d{4})"
    r"(?:(?:x|ext)\d{0,6})?(?![^\W_])"
)
_SHORTEST_TOUCHED = 11
# A model's name may end with the day of its version, or with the id of a fine-tuned one.
_VERSION = re.compile(r"(?<=[a-z0-9])@20\d{6}$")
_TUNED = re.compile(r"(?<=:)[A-Za-z0-9]{8}(?=(?::ckpt-step-\d{1,9})?$)")
_PHONE_DIGITS = range(10_000_000, 10**15)
_NOT_DIGITS = re.compile(r"\D")


def is_personal(value: object) -> bool:
    """Whether a value looks like, or holds, a phone number or an e-mail address."""
    if isinstance(value, str):
        if value.isalpha():
            return False
        return _holds_email(value) or _holds_phone(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) in _PHONE_DIGITS


def is_personal_identifier(text: str) -> bool:
    """Whether an identifier holds an e-mail address, or what is written as a phone number."""
    written = "+" in text or "(" in text
    return _holds_email(text) or (written and _WRITTEN_PHONE.search(text) is not None)


@lru_cache(maxsize=4096)
def is_personal_label(text: object) -> bool:
    """Tell the same of a model, whose name may end with a day or a serial number."""
    return is_personal(_without_serial(text) if isinstance(text, str) else text)


def _holds_email(text: str) -> bool:
    return ("@" in text or "%40" in text) and _EMAIL.search(text) is not None


def _holds_phone(text: str) -> bool:
    if any(_ISO_TIME.fullmatch(found.group()) is None for found in _PHONE.finditer(text)):
        return True
    return len(text) >= _SHORTEST_TOUCHED and _TOUCHED_PHONE.search(text) is not None


def _without_serial(model: str) -> str:
    """Take out of a model's name what only looks like a number or an address."""
    return _TUNED.sub("", model) if model.startswith("ft:") else _VERSION.sub("", model)


def hide(key: bytes, value: object) -> str:
    """Return the keyed hash that stands for a personal value.

    The ways to write one phone number, and one e-mail address, have the same hash.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    plain = text.strip().lower() if _holds_email(text) else _NOT_DIGITS.sub("", text) or text
    return "hmac:" + hmac.new(key, plain.encode(), hashlib.sha256).hexdigest()[:32]
