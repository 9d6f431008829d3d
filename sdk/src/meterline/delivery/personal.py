"""Tells what must not leave the host application: content, addresses, numbers. Pure functions.

The collector refuses or hides the same. Here it is left out before it is written anywhere.
"""

import re

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
"""Keys under which applications keep what people wrote or read; compared in lower case."""

PERSONAL_KEYS = frozenset({"phonenumber", "phone_number", "phone", "email", "to", "from"})

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
_SLUG = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


def is_forbidden_key(key: str) -> bool:
    """Whether what is under a key is what somebody wrote, or where somebody is reached."""
    lowered = key.lower()
    return lowered in CONTENT_KEYS or lowered in PERSONAL_KEYS


def is_slug(text: str) -> bool:
    """Whether a text can be a source or a feature, and is no phone number."""
    return _SLUG.fullmatch(text) is not None and not is_personal(text)


def is_personal(text: str) -> bool:
    """Whether a text looks like, or holds, a phone number or an e-mail address."""
    if text.isalpha():
        return False
    if ("@" in text or "%40" in text) and _EMAIL.search(text) is not None:
        return True
    return _holds_phone(text)


def is_personal_model(text: str) -> bool:
    """Tell the same of a model, whose name may end with a day or a serial number."""
    return is_personal(_without_serial(text))


def is_personal_identifier(text: str) -> bool:
    """Whether an id holds an e-mail address, or what is written as a phone number.

    A bare run of digits in an id cannot be told from a serial number.
    """
    if ("@" in text or "%40" in text) and _EMAIL.search(text) is not None:
        return True
    return ("+" in text or "(" in text) and _WRITTEN_PHONE.search(text) is not None


def _holds_phone(text: str) -> bool:
    if any(_ISO_TIME.fullmatch(found.group()) is None for found in _PHONE.finditer(text)):
        return True
    return len(text) >= _SHORTEST_TOUCHED and _TOUCHED_PHONE.search(text) is not None


def _without_serial(model: str) -> str:
    """Take out of a model's name what only looks like a number or an address."""
    return _TUNED.sub("", model) if model.startswith("ft:") else _VERSION.sub("", model)
