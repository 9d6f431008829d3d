"""A claim: what a provider's message names that tells whose usage it is. Values alone."""

from enum import StrEnum
from typing import NamedTuple


class ClaimKind(StrEnum):
    """What a message can name."""

    ACCOUNT = "account"
    """A Twilio account or subaccount, by its SID."""

    SERVICE = "service"
    """A Twilio messaging service, by its SID."""

    NUMBER = "number"
    """One of the operator's own phone numbers (E.164), or a short code."""

    SUBUSER = "subuser"
    """A SendGrid subuser, by its name."""


class Claim(NamedTuple):
    """One thing that a message names, with the value as the provider wrote it."""

    kind: ClaimKind
    value: str
