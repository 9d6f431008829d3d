"""Which tenant a claim leads to at an instant. Pure functions of the rows that are there.

The history of a claim is append-only. Its row that began last counts; of two that began at the same
instant, the one that was written last. A row without a tenant ends the one that it names, and no
other that has taken its place.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from collector.attribution.claims import ClaimKey
from collector.facts.claim import ClaimKind
from ledger.mappings import ProviderMapping
from ledger.tenant import Tenant, TenantId

Histories = Mapping[tuple[str, str], Sequence[ProviderMapping]]
"""The rows of each claim by kind and value, those that count, in the order in which they begin."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MappedPeriod:
    """From when until when a claim leads to a tenant; `until` None: for good."""

    row: ProviderMapping
    tenant_id: TenantId
    until: datetime | None

    def covers(self, instant: datetime) -> bool:
        """Whether it is in force at an instant."""
        return self.row.valid_from <= instant and not self.is_over_at(instant)

    def is_over_at(self, instant: datetime) -> bool:
        """Whether it has ended by an instant."""
        return self.until is not None and self.until <= instant


def make_histories(rows: Iterable[ProviderMapping]) -> Histories:
    """Sort rows of any claims into histories."""
    by_claim: defaultdict[tuple[str, str], list[ProviderMapping]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.valid_from, row.mapping_id)):
        history = by_claim[row.kind, row.value]
        last = history[-1] if history else None
        if row.ends is not None and (last is None or last.mapping_id != row.ends):
            continue
        if last is not None and last.valid_from == row.valid_from:
            history.pop()
        history.append(row)
    return by_claim


def list_periods(histories: Histories) -> list[MappedPeriod]:
    """Return what each claim leads to and led to, by kind and value, oldest first."""
    return [
        MappedPeriod(
            row=row, tenant_id=row.tenant_id, until=None if after is None else after.valid_from
        )
        for _, history in sorted(histories.items())
        for row, after in pairwise([*history, None])
        if row is not None and row.tenant_id is not None
    ]


def find_in_force(history: Sequence[ProviderMapping], at: datetime) -> ProviderMapping | None:
    """Return the row that counts at an instant, None before the first and after an end."""
    found = None
    for row in history:
        if row.valid_from > at:
            break
        found = row
    return None if found is None or found.tenant_id is None else found


def names_a_tenant(claims: Sequence[ClaimKey]) -> bool:
    """Whether the host named a tenant: then it is of no other."""
    return any(claim.kind is ClaimKind.TENANT for claim in claims)


def resolve(claims: Sequence[ClaimKey], histories: Histories, at: datetime) -> TenantId | None:
    """Return the tenant that the first of the claims leads to which leads anywhere at an instant.

    Args:
        claims: in order of precedence.
        histories: of these claims at least.
        at: when the usage happened.
    """
    for claim in claims:
        found = find_in_force(histories.get((claim.kind, claim.value), ()), at)
        if found is not None:
            return found.tenant_id
    return None


def decide(
    claims: Sequence[ClaimKey],
    histories: Histories,
    tenants: Mapping[TenantId, Tenant],
    at: datetime,
) -> TenantId | None:
    """Return whose usage is: of the tenant that the host named, else of what claims lead to.

    Usage of a named tenant that is not registered is nobody's, whatever else claims it. No mapping
    leads to a tenant that has closed by then.

    Args:
        claims: in order of precedence.
        histories: of these claims at least.
        tenants: those that are registered, of all that may come out.
        at: when the usage happened.
    """
    named = [TenantId(c.value) for c in claims if c.kind is ClaimKind.TENANT]
    if named:
        return next((tenant_id for tenant_id in named if tenant_id in tenants), None)
    tenant_id = resolve(claims, histories, at)
    tenant = None if tenant_id is None else tenants.get(tenant_id)
    return None if tenant is None or tenant.is_closed_at(at) else tenant.tenant_id
