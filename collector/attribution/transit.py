"""What is in transit: it has left `_unattributed` and is in no tenant's figures yet."""

from collections import defaultdict
from typing import NamedTuple

import sqlalchemy as sa

from collector.attribution.luggage import load_facts
from collector.attribution.store import Journey, read_journeys
from ledger.models import usage_facts
from ledger.session import OperatorSession
from ledger.tenant import TenantId

_FACT = usage_facts.c
_IN_ONE_QUERY = 500


class InTransit(NamedTuple):
    """Usage on its way to a tenant, by channel."""

    target: TenantId
    channel: str
    usages: int
    quantity: int


def read_in_transit(session: OperatorSession) -> list[InTransit]:
    """Return what is in transit, by tenant and channel.

    What was booked and is only not written down as arrived is not: it would be counted twice. Nor
    is usage that came to nothing.
    """
    sums: defaultdict[tuple[TenantId, str], list[int]] = defaultdict(lambda: [0, 0])
    for journey in _still_travelling(session, read_journeys(session)):
        if journey.channel is not None:
            found = sums[journey.target, journey.channel]
            found[0] += 1
            found[1] += journey.quantity
    return [InTransit(*key, *found) for key, found in sorted(sums.items())]


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
