"""What the page of mappings says, as text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from api.pages.money import show_count, show_exact_usd
from collector.attribution.claims import ClaimKey
from collector.attribution.keeping import NewMapping, is_dead, shown_value
from collector.attribution.resolution import MappedPeriod
from collector.attribution.store import Waiting
from collector.attribution.transit import InTransit
from collector.facts.claim import ClaimKind
from ledger.money import Nanos
from ledger.tenant import Tenant, TenantId

KIND_LABELS = {
    ClaimKind.ACCOUNT: "Twilio account",
    ClaimKind.SERVICE: "Messaging service",
    ClaimKind.NUMBER: "Phone number",
    ClaimKind.SUBUSER: "SendGrid subuser",
}
_LABELS = {**KIND_LABELS, ClaimKind.TENANT: "Tenant that is not registered"}


@dataclass(frozen=True, kw_only=True, slots=True)
class MappingLine:
    """One mapping. `state`: `over`, `later`, `dead` or, in force, nothing."""

    mapping_id: int
    kind: str
    value: str
    label: str | None
    tenant_id: str
    tenant_name: str
    valid_from: str
    until: str | None
    state: str | None
    is_changed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingLine:
    """Usage that waits with the same claims: each a label and a value."""

    claims: tuple[tuple[str, str], ...]
    usages: str
    first: str
    last: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MappingsView:
    """All that the page of mappings shows."""

    lines: tuple[MappingLine, ...]
    waiting: tuple[WaitingLine, ...]
    waiting_usages: str
    in_transit: tuple[str, ...]
    kinds: tuple[tuple[str, str, bool], ...]
    tenants: tuple[tuple[str, str], ...]
    typed: NewMapping
    has_hash_key: bool
    changed: str | None


def build_mappings_view(  # noqa: PLR0913 - the parts of one page; keyword-only keeps calls readable
    *,
    periods: Sequence[MappedPeriod],
    waiting: Sequence[Waiting],
    in_transit: Sequence[tuple[InTransit, Nanos | None]],
    tenants: Mapping[TenantId, Tenant],
    hash_key: bytes | None,
    typed: NewMapping,
    changed: int | None,
    now: datetime,
) -> MappingsView:
    """Return what the page shows: mappings in force first, then later ones, then those over."""
    lines = [
        _line(period, tenants[period.tenant_id], hash_key, changed=changed, now=now)
        for period in periods
    ]
    lines.sort(key=lambda line: _ORDER[line.state])
    return MappingsView(
        lines=tuple(lines),
        waiting=tuple(_waiting(found) for found in waiting),
        waiting_usages=show_count(sum(found.usages for found in waiting)),
        in_transit=tuple(_in_transit(part, cost) for part, cost in in_transit),
        kinds=tuple((kind, label, kind == typed.kind) for kind, label in KIND_LABELS.items()),
        tenants=tuple((t.tenant_id, t.name) for t in tenants.values() if t.closed_at is None),
        typed=typed,
        has_hash_key=hash_key is not None,
        changed=next((_changed(line) for line in lines if line.is_changed), None),
    )


_ORDER = {None: 0, "dead": 0, "later": 1, "over": 2}


def _line(
    period: MappedPeriod,
    tenant: Tenant,
    hash_key: bytes | None,
    *,
    changed: int | None,
    now: datetime,
) -> MappingLine:
    row = period.row
    return MappingLine(
        mapping_id=row.mapping_id,
        kind=KIND_LABELS[ClaimKind(row.kind)],
        value=shown_value(row),
        label=row.label,
        tenant_id=tenant.tenant_id,
        tenant_name=tenant.name,
        valid_from=_local(row.valid_from, tenant),
        until=None if period.until is None else _local(period.until, tenant),
        state=_state(period, hash_key, now),
        is_changed=row.mapping_id == changed,
    )


def _state(period: MappedPeriod, hash_key: bytes | None, now: datetime) -> str | None:
    if period.is_over_at(now):
        return "over"
    if is_dead(period.row, hash_key):
        return "dead"
    return None if period.covers(now) else "later"


def _changed(line: MappingLine) -> str:
    until = f" until {line.until}" if line.until else ""
    return f"{line.kind} {line.value} leads to {line.tenant_name} from {line.valid_from}{until}."


def _waiting(found: Waiting) -> WaitingLine:
    return WaitingLine(
        claims=tuple(_claim(claim) for claim in found.claims),
        usages=show_count(found.usages),
        first=f"{found.first:%Y-%m-%d}",
        last=f"{found.last:%Y-%m-%d}",
    )


def _claim(claim: ClaimKey) -> tuple[str, str]:
    return _LABELS[claim.kind], claim.shown


def _in_transit(part: InTransit, cost: Nanos | None) -> str:
    units = f"{show_count(part.quantity)} units of {part.channel}"
    usages = "usage" if part.usages == 1 else "usages"
    price = "no price yet" if cost is None else show_exact_usd(cost)
    return f"{show_count(part.usages)} {usages} ({units}, {price}) on the way to {part.target}"


def _local(instant: datetime, tenant: Tenant) -> str:
    """Write an instant on the tenant's clock; where its day begins there, the date says it all."""
    local = instant.astimezone(ZoneInfo(tenant.current.timezone))
    return f"{local:%Y-%m-%d}" if local.time() == time() else f"{local:%Y-%m-%d %H:%M}"
