"""A share: what of a usage is one tenant's, and moves by itself. Values alone.

Mostly it is the whole usage. A recipient of a mailing is a share of its own, since each may be of
another tenant. So is what a key signed that is one owner's alone: it waits apart from what others
told of the same usage, and can reach nothing of theirs.
"""

import hashlib
from datetime import datetime
from typing import NamedTuple

from collector.attribution.claims import ClaimKey
from collector.attribution.store import Entry
from collector.facts.claim import ClaimKind
from collector.facts.fact import Fact
from collector.ids import MAX_ID
from ledger.tenant import TenantId


class Share(NamedTuple):
    """What the messages of one share say together.

    Attributes:
        share_id: what it waits under where it is nobody's yet.
        time: the earliest that any of them tells.
        claims: all that they name.
        provider_id: the provider's id of the usage.
        fact_id: of the recipient, where it is one.
        of_owner: the key that signed them is of what claims it, and of nothing else.
    """

    share_id: str
    time: datetime
    claims: tuple[ClaimKey, ...]
    provider_id: str
    fact_id: str | None
    of_owner: bool

    @property
    def named(self) -> list[TenantId]:
        """The tenants that the host named."""
        return [TenantId(c.value) for c in self.claims if c.kind is ClaimKind.TENANT]

    def joined(self, other: "Share") -> "Share":
        """Return what both say of the same share."""
        claims = tuple(dict.fromkeys((*self.claims, *other.claims)))
        return self._replace(time=min(self.time, other.time), claims=claims)

    def as_entry(self) -> Entry:
        """Return the entry of a share that begins to wait."""
        return Entry(
            self.share_id,
            self.time,
            self.claims,
            target=None,
            has_arrived=False,
            provider_id=self.provider_id,
            of_owner=self.of_owner,
        )

    def amend(self, entry: Entry) -> Entry:
        """Return the entry of this share with what else is known of it."""
        claims = tuple(dict.fromkeys((*entry.claims, *self.claims)))
        return entry._replace(time=min(entry.time, self.time), claims=claims)


def share_id(fact: Fact, owner: tuple[ClaimKey, ...] | None) -> str:
    """Return the id of the share that a fact is of.

    Args:
        fact: the fact.
        owner: what may be kept of whose key signed it; None: the key may tell of anybody's usage.
    """
    if owner is None and not fact.adds:
        return fact.usage_id
    parts = [fact.usage_id]
    if owner is not None:
        parts.insert(0, "/".join(("owner", *(key.value for key in owner))))
    if fact.adds:
        parts.append(fact.fact_id)
    text = ":".join(parts)
    return text if len(text) <= MAX_ID else hashlib.sha256(text.encode()).hexdigest()
