"""Books the difference between what is booked for usages and what they come to."""

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from collector.facts.effective import (
    DatedFact,
    Usage,
    counts_for,
    find_changes,
    find_effective,
)
from collector.facts.store import (
    Balance,
    Row,
    insert_rows,
    lock_balances,
    read_facts,
    read_known,
    write_balances,
)
from ledger.models import usage_balances, usage_metrics
from ledger.session import TenantSession

_RAW = usage_metrics.c
_BALANCE = usage_balances.c
# Scalar subqueries for the reason that looking for tombstones has them: a tenant without facts pays
# for one look into an index, any other for one each new event.
_ANY_BALANCE = (
    sa.select(_BALANCE.usage_id)
    .where(_BALANCE.tenant_id == sa.bindparam("tenant"))
    .order_by(_BALANCE.usage_id)
    .limit(1)
    .scalar_subquery()
)
_OWN_BALANCE = (
    sa.select(_BALANCE.usage_id)
    .where(_BALANCE.tenant_id == _RAW.tenant_id, _BALANCE.usage_id == _RAW.event_id)
    .scalar_subquery()
)
_BATCH = sa.bindparam("batch", type_=sa.BigInteger)
_TOLD = sa.select(_RAW.event_id).where(
    _RAW.tenant_id == sa.bindparam("tenant"),
    _RAW.batch_id == sa.case((_ANY_BALANCE.is_not(None), _BATCH)),
    _RAW.channel != "ai",
    _OWN_BALANCE.is_not(None),
)


def reconcile_batch(session: TenantSession, batch_id: int) -> int:
    """Correct the new events of a batch whose usage has facts already; return the rows booked.

    Comes after the events were inserted, in their transaction, and adds to their batch: whoever
    told facts meanwhile has made them wait, so that what they told is seen now.
    """
    values = {"tenant": session.tenant_id, "batch": batch_id}
    told = set(session.connection.execute(_TOLD, values).scalars())
    if not told:
        return 0
    balances = lock_balances(session, told)
    facts = read_facts(session, told)
    events = read_known(session, told).events
    rows = settle(session, balances, facts, events, fresh=told)
    insert_rows(session, rows, batch_id=batch_id)
    return len(rows)


def settle(
    session: TenantSession,
    balances: Mapping[str, Balance],
    facts: Mapping[str, Collection[DatedFact]],
    events: Mapping[str, Usage],
    *,
    fresh: Collection[str] = (),
) -> list[Row]:
    """Return the rows that make usages come to what is known of them, and note their balances.

    Args:
        session: of the tenant, writing.
        balances: of the usages, locked.
        facts: all there are of each usage.
        events: the events that the SDK booked of them.
        fresh: usages whose event this transaction has booked, so that no balance has it yet.
    """
    rows: list[Row] = []
    changed: dict[str, Usage | None] = {}
    for usage_id in sorted(balances):
        balance, event = balances[usage_id], events.get(usage_id)
        before = [] if balance.booked is None else [balance.booked]
        booked = [*before, event] if event is not None and usage_id in fresh else before
        told = facts.get(usage_id, ())
        # What expired was counted once, and what it came to is not known any more.
        target = None if balance.is_expired else find_effective(event, told)
        changes = find_changes(booked, target)
        metadata = _metadata([one for one in told if counts_for(one, event, told)])
        rows += [
            Row(usage_id, change, bool(booked), metadata if change.sign > 0 else None)
            for change in changes
        ]
        if not balance.is_expired and _differ(balance.booked, target):
            changed[usage_id] = target
    write_balances(session, changed)
    return rows


def _differ(a: Usage | None, b: Usage | None) -> bool:
    return (a and a.figures) != (b and b.figures)


def _metadata(facts: Collection[DatedFact]) -> dict[str, object] | None:
    """Return the metadata of the fact that is worth most."""
    if not facts:
        return None
    best = max(facts, key=lambda one: (one.fact.rank, one.fact.fact_id))
    return dict(best.fact.metadata) or None
