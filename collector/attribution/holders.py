"""Which tenants have a usage already: by its event, or by facts of it.

What retention has taken counts, too: a usage that is told again afterwards has to come back to the
tenant that knows it has expired, and to be booked for no other.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping

import sqlalchemy as sa

from collector.attribution.resolution import names_a_tenant
from collector.attribution.store import Entry
from ledger.engine import is_postgresql
from ledger.models import (
    IS_TOLD_OF,
    WAS_TOLD_OF,
    tenants,
    usage_balances,
    usage_facts,
    usage_metrics,
    usage_tombstones,
)
from ledger.session import OperatorSession
from ledger.tenant import TenantId

_RAW = usage_metrics.c
_TOMBSTONE = usage_tombstones.c
_BALANCE = usage_balances.c
_FACT = usage_facts.c
_IN_ONE_QUERY = 500


def find_booked(
    session: OperatorSession, provider_ids: Collection[str]
) -> Mapping[str, set[TenantId]]:
    """Return for which tenants the SDK has booked usages, by their provider's id.

    Raw rows are read before tombstones, so that none is missed on its way from here to there.
    """
    found: defaultdict[str, set[TenantId]] = defaultdict(set)
    ordered = sorted(provider_ids)
    for start in range(0, len(ordered), _IN_ONE_QUERY):
        part = ordered[start : start + _IN_ONE_QUERY]
        for columns, condition in ((_RAW, IS_TOLD_OF), (_TOMBSTONE, WAS_TOLD_OF)):
            query = sa.select(columns.event_id, columns.tenant_id).where(
                columns.event_id.in_(part), condition
            )
            if not is_postgresql(session.connection):
                # It has the key of each tenant and no other index: without them it would read all.
                query = query.where(columns.tenant_id.in_(sa.select(tenants.c.tenant_id)))
            for event_id, tenant_id in session.connection.execute(query):
                found[event_id].add(tenant_id)
    return found


def only_one(tenant_ids: Collection[TenantId]) -> TenantId | None:
    """Return the tenant that is alone, None where there is none or another one."""
    (*rest, last) = tenant_ids or (None,)
    return None if rest else last


def find_events(session: OperatorSession, entries: Collection[Entry]) -> dict[str, TenantId]:
    """Return for which tenant alone the SDK has booked what may be anybody's, by the usage."""
    anybodys = [one for one in entries if not one.of_owner and not names_a_tenant(one.claims)]
    booked = find_booked(session, {entry.provider_id for entry in anybodys})
    targets = {entry.usage_id: only_one(booked.get(entry.provider_id, ())) for entry in anybodys}
    return {usage_id: target for usage_id, target in targets.items() if target is not None}


def find_told(
    session: OperatorSession,
    tenant_ids: Collection[TenantId],
    usage_id: str,
    fact_id: str | None = None,
) -> set[TenantId]:
    """Return which of some tenants have facts of a usage, or this very fact of it.

    Of what retention took the single facts are gone: whoever had any may have had this one.
    """
    balances = sa.select(_BALANCE.tenant_id).where(
        _BALANCE.tenant_id.in_(tenant_ids), _BALANCE.usage_id == usage_id
    )
    taken = sa.select(_TOMBSTONE.tenant_id).where(
        _TOMBSTONE.tenant_id.in_(tenant_ids), _TOMBSTONE.event_id == usage_id, WAS_TOLD_OF
    )
    if fact_id is None:
        return set(session.connection.execute(balances.union_all(taken)).scalars())
    told = sa.select(_FACT.tenant_id).where(
        _FACT.tenant_id.in_(tenant_ids), _FACT.usage_id == usage_id, _FACT.fact_id == fact_id
    )
    expired = balances.where(_BALANCE.expired)
    return set(session.connection.execute(told.union_all(expired, taken)).scalars())
