"""Which tenants have series of their own: the limits that keep their number bounded."""

from dataclasses import dataclass
from fractions import Fraction

from ledger.money import Nanos

MAX_HIGH_AI_TENANTS = 1_000
"""Most tenants with high AI spend that have series; how many there are is counted in full."""

MAX_COSTLY_TENANTS = 250
"""Most tenants with a costly hour that have series, since each has its past looked up."""

MAX_GROUPS = 200
"""Most channels, sources and features that have series of their own."""

OTHER = "_other"
"""What is left is together under this label. No tenant, source or feature can be called so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """What is looked at.

    Attributes:
        tenants: how many of them, by what they spent today, have series whatever they spend.
        ai_share: over which share of a tenant's spend today AI spend is high; it must be over
            `ai_amount`, too.
        ai_amount: over which amount.
        hour_amount: from which spend of an hour on it is compared with what is usual.
    """

    tenants: int
    ai_share: Fraction
    ai_amount: Nanos
    hour_amount: Nanos
