"""The fields that all webhooks of Twilio have, checked. Pure functions.

Twilio adds parameters without notice, and leaves others out: what is needed is asked for, what is
not is passed over. No error repeats a value, which could be a phone number.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from collector.facts.claim import Claim, ClaimKind
from ledger.errors import InvalidError

Form = Mapping[str, str]
"""The parameters of a webhook, each once."""

SOURCE = "twilio"

_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,6}")
_MAX_DIGITS = 9
_MAX_AGE = timedelta(days=31)
"""A call may last a day, and a webhook may be late; what is older was not told in earnest."""


def need(form: Form, name: str) -> str:
    """Return a parameter that no such webhook lacks.

    Raises:
        InvalidError: `missing_parameter`.
    """
    value = form.get(name)
    if not value:
        raise InvalidError("missing_parameter", f"a webhook of Twilio has {name}", key=name)
    return value


def need_sid(form: Form, name: str) -> str:
    """Return the SID of what a webhook is about.

    Raises:
        InvalidError: `missing_parameter` or `invalid_parameter`.
    """
    sid = need(form, name)
    if not is_sid(sid):
        raise InvalidError("invalid_parameter", f"{name} is not a SID", key=name)
    return sid


def is_sid(text: str) -> bool:
    """Whether it is an id as Twilio makes them, and no other provider does."""
    return _SID.fullmatch(text) is not None


def read_count(form: Form, name: str) -> int | None:
    """Return a count, which Twilio writes as text; None where it is not told.

    Raises:
        InvalidError: `invalid_parameter`.
    """
    text = form.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise InvalidError("invalid_parameter", f"{name} is not a count", key=name)
    return int(text)


def own_number(address: str | None) -> str | None:
    """Return the phone number or short code of an address, also of `whatsapp:+14155550100`.

    No other network's address is a number, even where it looks so: a browser that calls is
    `client:` and whatever name it was given.
    """
    number = (address or "").removeprefix("whatsapp:")
    return number if _NUMBER.fullmatch(number) else None


def name_fact(status: str, told: int | None) -> str:
    """Return what tells a fact from the others of its usage: its status, and what it counts.

    Two webhooks of one status that count differently are two facts, so that what they come to does
    not depend on which of them came first: the higher count stands.
    """
    return status if told is None else f"{status}-{told:0{_MAX_DIGITS}}"


def read_time(form: Form, *, now: datetime) -> datetime:
    """Return the time of the event, or now where Twilio told none that can be."""
    try:
        told = parsedate_to_datetime(form.get("Timestamp") or "")
        if told.tzinfo is None:
            return now
        told = told.astimezone(UTC)
    except (ValueError, OverflowError):
        return now
    return told if now - _MAX_AGE <= told <= now else now


def claims_of(form: Form, number: str | None) -> tuple[Claim, ...]:
    """Return what the tenant is found by, the most particular first."""
    claims = [
        (ClaimKind.NUMBER, number),
        (ClaimKind.SERVICE, form.get("MessagingServiceSid")),
        (ClaimKind.ACCOUNT, form.get("AccountSid")),
    ]
    return tuple(Claim(kind, value) for kind, value in claims if value)
