"""Turns mappings into what goes over the wire."""

from api import mapping_schemas as wire
from collector.attribution.claims import ClaimKey
from collector.attribution.keeping import is_dead, shown_value
from collector.attribution.resolution import MappedPeriod
from collector.attribution.store import Waiting
from collector.attribution.transit import InTransit
from ledger.money import Nanos, format_usd


def mapping_answer(period: MappedPeriod, hash_key: bytes | None) -> wire.MappingAnswer:
    """Describe one mapping."""
    row = period.row
    return wire.MappingAnswer(
        mapping_id=row.mapping_id,
        kind=row.kind,
        value=row.value if row.key_mark is None else None,
        shown=shown_value(row),
        tenant=period.tenant_id,
        valid_from=row.valid_from,
        until=period.until,
        label=row.label,
        matches=not is_dead(row, hash_key),
    )


def added_answer(
    period: MappedPeriod, hash_key: bytes | None, attributed: wire.AttributedAnswer
) -> wire.AddedMappingAnswer:
    """Describe a mapping that was added, and what was attributed then."""
    told = mapping_answer(period, hash_key).model_dump()
    return wire.AddedMappingAnswer(**told, attributed=attributed)


def waiting_answer(waiting: Waiting) -> wire.WaitingAnswer:
    """Describe usage that waits."""
    return wire.WaitingAnswer(
        claims=[_claim(claim) for claim in waiting.claims],
        usages=waiting.usages,
        first=waiting.first,
        last=waiting.last,
    )


def in_transit_answer(part: InTransit, cost: Nanos | None) -> wire.InTransitAnswer:
    """Describe usage on its way, and what it cost where it was."""
    return wire.InTransitAnswer(
        tenant=part.target,
        channel=part.channel,
        usages=part.usages,
        quantity=part.quantity,
        estimated_cost=None if cost is None else format_usd(cost),
    )


def _claim(claim: ClaimKey) -> wire.WaitingClaim:
    return wire.WaitingClaim(kind=claim.kind, shown=claim.shown)
