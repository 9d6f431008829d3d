"""One usage as the providers' hooks see it: what the spool keeps and the collector books."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

Scalar = str | int | float | bool | None
"""What metadata may hold; the collector keeps an allow-list of keys."""


class Usage(NamedTuple):
    """A billable use of a provider, with the fields of an event of the collector.

    Attributes:
        id: the provider's own id, or one minted once; the identity within the tenant.
        time: when it happened, in seconds since 1970 (UTC).
        channel: `sms`, `mms`, `voice`, `email` or `ai`.
        direction: `inbound` or `outbound`.
        source: who provided it, such as `openai`.
        tenant: whose usage it is; None is told by the context or refused by the collector.
        feature: what it was used for, a slug.
        quantity: segments, messages, started minutes, recipients; None where metadata tells.
        metadata: counts and small scalars; never a prompt, a body, an address or a number.
    """

    id: str
    time: float
    channel: str
    direction: str
    source: str | None
    tenant: str | None
    feature: str | None
    quantity: int | None
    metadata: Mapping[str, Scalar]


Sink = Callable[[Usage], None]
"""Takes a usage. It never raises, never blocks, and does no I/O on the caller's thread."""
