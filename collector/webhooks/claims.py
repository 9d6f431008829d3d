"""What a webhook says, and of whom: facts, with the claims that a tenant is found by."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from collector.facts.claim import Claim
from collector.facts.fact import Fact
from ledger.budget_notices import NoticeName
from ledger.errors import InvalidError
from ledger.tenant import TenantId, parse_tenant_id


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Whom a signed address, or a signed custom argument, works for.

    Attributes:
        tenant: named by the host; whether it is registered is not known here.
        feature: a slug.
        owner: whose key signed it, where the key is one owner's alone.
    """

    tenant: TenantId | None = None
    feature: str | None = None
    owner: Claim | None = None


class OwnMail(NamedTuple):
    """What a mail that a notice of a budget may be says of itself.

    Attributes:
        name: of the notice.
        recipient: an address, looked at and forgotten.
    """

    name: NoticeName
    recipient: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """Facts of one tenant.

    Attributes:
        facts: in the order of the webhook.
        claims: what the tenant is found by where none is named; the first that is mapped holds.
        tenant: the tenant that the host named. It is never somebody else's for the sake of claims.
        owner: whose key signed it, where the key is one owner's alone: then that tells the tenant,
            and nothing else does.
        own_mail: says that it is of a mail of our own; whether it is, the ledger knows.
    """

    facts: Sequence[Fact]
    claims: tuple[Claim, ...]
    tenant: TenantId | None
    owner: Claim | None = None
    own_mail: OwnMail | None = None


class Ignored(StrEnum):
    """Why a webhook, or an event of one, books nothing."""

    PROGRESS = "progress"
    """The provider works on it, and bills nothing yet."""

    OTHER_EVENT = "other_event"
    """It says nothing of what is billed, such as an opened mail."""

    UNKNOWN_STATUS = "unknown_status"
    """Nobody said what the status or event comes to."""

    PARTIALLY_DELIVERED = "partially_delivered"
    """A message of which a part arrived. What Twilio bills of it is written nowhere, so that what
    was booked stands."""

    UNKNOWN_DIRECTION = "unknown_direction"
    """A call that is neither inbound nor outbound."""

    TRUNK = "trunk"
    """A call over a trunk of the operator's own, which Twilio bills by a price list of its own."""

    OWN_NOTICE = "own_notice"
    """A mail of ours about a budget, which was booked when it was sent."""

    UNREADABLE_EVENT = "unreadable_event"
    """An event in a batch lacks what it is told from others by; its neighbours are booked."""


def named_tenant(text: object) -> TenantId | None:
    """Return the tenant that a host named, None where that can be no tenant."""
    try:
        return parse_tenant_id(text)
    except InvalidError:
        return None
