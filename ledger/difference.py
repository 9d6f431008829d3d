"""Where two sides that have to say the same do not."""

from dataclasses import dataclass

from ledger.tenant import TenantId


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """The first place where two sides disagree."""

    tenant_id: TenantId
    where: str
    expected: str
    found: str
