"""A fact: what one message of a provider says of one usage. Values alone.

A usage has the provider's own id, and any number of facts in any order, each any number of times.
What it comes to depends on the set of its facts, never on their order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum


class Rank(IntEnum):
    """How much a fact is worth: of two that contradict each other, the higher one holds."""

    ESTIMATE = 0
    """What the caller saw when it made the call: an event of the SDK."""

    PROGRESS = 10
    """The provider works on it: accepted, queued, sending."""

    FINAL = 20
    """The provider is done with it, and says how it ended."""

    MOVED = 100
    """Ours: the usage belongs to another tenant, which has its facts from now on."""


class Verdict(StrEnum):
    """What a fact says that the usage is billed as."""

    BILLED = "billed"
    FAILED = "failed"
    """The provider could not do it and takes a fee for the attempt, one for each message."""

    VOID = "void"
    """Nothing: it was canceled, or failed in a way that is free."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One fact.

    Attributes:
        usage_id: the provider's id of the usage, which is the id of the SDK's event: the SID of a
            message or a call, the `X-Message-Id` of a mailing.
        fact_id: what tells this fact from the others of its usage, and is the same when it comes
            again: a status, or the provider's id of the notice.
        rank: how much it is worth.
        verdict: what the usage is billed as.
        time: when the usage happened, in UTC; where the provider does not say, when it was told.
        channel, direction, source: as of an event.
        feature: what a rule or a signed address says; None where nothing does.
        quantity: segments, messages, started minutes or recipients; None where it tells none.
        adds: facts of this kind are added up, each is a part of the usage, as the recipients of a
            mailing are; where the SDK booked the whole usage they say nothing of its quantity.
        metadata: counts and small scalars, checked by the policy like those of an event.
    """

    usage_id: str
    fact_id: str
    rank: Rank
    verdict: Verdict
    time: datetime
    channel: str
    direction: str
    source: str
    feature: str | None = None
    quantity: int | None = None
    adds: bool = False
    metadata: Mapping[str, object] = field(default_factory=dict)


class Booked(StrEnum):
    """What became of a fact."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    OUTRANKED = "outranked"
    """It was kept and changed nothing: a higher one is there."""

    OTHER_CHANNEL = "other_channel"
    """It was kept and changed nothing: what is booked under its id is of another channel."""

    EXPIRED = "expired"
    """Its usage is past retention, so that it cannot be corrected any more."""
