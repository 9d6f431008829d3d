"""What is in transit: it has left `_unattributed` and is in no tenant's figures yet."""

from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import sqlalchemy as sa

from collector.attribution.luggage import load_facts
from collector.attribution.store import Journey, read_journeys
from collector.facts.effective import DatedFact, Usage, find_effective
from ledger.measures import NOTHING, Measures
from ledger.models import usage_facts
from ledger.rollups import RollupKey
from ledger.session import OperatorSession
from ledger.tenant import TenantId

_FACT = usage_facts.c
_IN_ONE_QUERY = 500
_NO_MEASURES: Mapping[RollupKey, Measures] = MappingProxyType({})


class InTransit(NamedTuple):
    """Usage on its way to a tenant, by channel.

    Attributes:
        measures: what it was in `_unattributed`, by the rollup row that it was in.
    """

    target: TenantId
    channel: str
    usages: int
    quantity: int
    measures: Mapping[RollupKey, Measures] = _NO_MEASURES


def read_in_transit(session: OperatorSession) -> list[InTransit]:
    """Return what is in transit, by tenant and channel.

    What was booked and is only not written down as arrived is not: it would be counted twice. Nor
    is usage that came to nothing.
    """
    parts: defaultdict[tuple[TenantId, str], list[Journey]] = defaultdict(list)
    for journey in _still_travelling(session, read_journeys(session)):
        if journey.channel is not None:
            parts[journey.target, journey.channel].append(journey)
    return [
        InTransit(*key, len(part), sum(journey.quantity for journey in part), _measure(part))
        for key, part in sorted(parts.items())
    ]


def _measure(journeys: list[Journey]) -> dict[RollupKey, Measures]:
    sums: defaultdict[RollupKey, Measures] = defaultdict(lambda: NOTHING)
    for journey in journeys:
        # `_unattributed` has its days in UTC, and no events of the SDK.
        told = [DatedFact(fact, fact.time.date()) for fact in load_facts(journey.luggage)]
        usage = find_effective(None, told)
        if usage is not None:
            key = _row_of(usage)
            sums[key] = sums[key].plus(usage.measures)
    return dict(sums)


def _row_of(usage: Usage) -> RollupKey:
    return RollupKey(*(getattr(usage, name) for name in RollupKey._fields))


def _still_travelling(session: OperatorSession, journeys: list[Journey]) -> list[Journey]:
    there: set[tuple[str, str, str]] = set()
    for start in range(0, len(journeys), _IN_ONE_QUERY):
        part = journeys[start : start + _IN_ONE_QUERY]
        told = {fact.usage_id for journey in part for fact in load_facts(journey.luggage)}
        query = sa.select(_FACT.tenant_id, _FACT.usage_id, _FACT.fact_id).where(
            _FACT.tenant_id.in_({journey.target for journey in part}),
            _FACT.usage_id.in_(told),
        )
        there |= {(row[0], row[1], row[2]) for row in session.connection.execute(query)}
    return [
        journey
        for journey in journeys
        if any(
            (journey.target, fact.usage_id, fact.fact_id) not in there
            for fact in load_facts(journey.luggage)
        )
    ]
