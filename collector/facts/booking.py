"""Books facts: keeps what is new of them and corrects what is booked, in one transaction."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from collector.facts.effective import DatedFact, Usage, counts_for, find_effective
from collector.facts.fact import Booked, Fact
from collector.facts.reconcile import settle
from collector.facts.store import (
    Balance,
    Known,
    claim_ids,
    find_balances,
    insert_facts,
    insert_rows,
    lock_balances,
    open_balances,
    read_facts,
    read_known,
)
from ledger.batches import add_batch
from ledger.session import TenantSession
from ledger.tenant import Tenant
from ledger.tenants import get_own_tenant


def book_facts(session: TenantSession, facts: Sequence[Fact], *, now: datetime) -> list[Booked]:
    """Book checked facts in the caller's transaction; answer for each, in order.

    Raises:
        MissingError: `unknown_tenant`.
    """
    tenant = get_own_tenant(session)
    usage_ids = sorted({fact.usage_id for fact in facts})
    balances, known = _lock(session, usage_ids)
    stored = read_facts(session, usage_ids)
    new = _choose_new(tenant, facts, balances, stored)
    insert_facts(session, new.values(), now=now)
    everything = defaultdict(list, {key: list(told) for key, told in stored.items()})
    for one in new.values():
        everything[one.fact.usage_id].append(one)
    touched = {one.fact.usage_id for one in new.values()}
    rows = settle(session, {key: balances[key] for key in touched}, everything, events=known.events)
    batch_id = insert_rows(session, rows, batch_id=None)
    if batch_id is not None:
        add_batch(session, batch_id, event_count=len(rows), booked_at=now)
    return list(_answers(facts, balances, known, new, everything))


def _lock(session: TenantSession, usage_ids: Sequence[str]) -> tuple[dict[str, Balance], Known]:
    """Lock the balances of usages, made where there were none, and read what is booked for them.

    A usage that cannot be corrected any more has no balance, or an expired one. The order is that
    of intake: first the ids of events, then balances, each in their order.
    """
    there = find_balances(session, usage_ids)
    first = [key for key in usage_ids if key not in there]
    if first:
        claim_ids(session, first)
        known = read_known(session, first)
        opened = {key: known.events.get(key) for key in first if key not in known.gone}
        open_balances(session, opened)
    balances = lock_balances(session, usage_ids)
    # After the lock: an event may have come while it was waited for.
    known = read_known(session, usage_ids)
    return {key: b for key, b in balances.items() if key not in known.gone}, known


_Key = tuple[str, str]


def _choose_new(
    tenant: Tenant,
    facts: Iterable[Fact],
    balances: dict[str, Balance],
    stored: dict[str, list[DatedFact]],
) -> dict[_Key, DatedFact]:
    """Return the facts to keep, by usage and id; of two with one id the first stays first."""
    seen = {_key(one.fact) for told in stored.values() for one in told}
    new: dict[_Key, DatedFact] = {}
    for fact in facts:
        balance = balances.get(fact.usage_id)
        if balance is None or balance.is_expired or _key(fact) in seen or _key(fact) in new:
            continue
        day = fact.time.astimezone(tenant.zone_at(fact.time)).date()
        new[_key(fact)] = DatedFact(fact, day)
    return new


def _key(fact: Fact) -> _Key:
    return fact.usage_id, fact.fact_id


def _answers(
    facts: Iterable[Fact],
    balances: dict[str, Balance],
    known: Known,
    new: dict[_Key, DatedFact],
    everything: dict[str, list[DatedFact]],
) -> Iterable[Booked]:
    answered: set[_Key] = set()
    for fact in facts:
        key = _key(fact)
        balance = balances.get(fact.usage_id)
        if balance is None or balance.is_expired:
            yield Booked.EXPIRED
        elif key not in new or key in answered:
            yield Booked.DUPLICATE
        else:
            answered.add(key)
            event, told = known.events.get(fact.usage_id), everything[fact.usage_id]
            yield _what_became(new[key], event, told)


def _what_became(one: DatedFact, event: Usage | None, told: Collection[DatedFact]) -> Booked:
    if not counts_for(one, event, told):
        return Booked.OTHER_CHANNEL
    return Booked.OUTRANKED if _is_outranked(one, event, told) else Booked.STORED


def _is_outranked(one: DatedFact, event: Usage | None, told: Collection[DatedFact]) -> bool:
    """Whether a higher fact is there, and the usage comes to the same without this one."""
    counting = (other for other in told if counts_for(other, event, told))
    if all(other.fact.rank <= one.fact.rank for other in counting):
        return False
    rest = [other for other in told if other is not one]
    with_it, without = find_effective(event, told), find_effective(event, rest)
    return (with_it and with_it.figures) == (without and without.figures)
