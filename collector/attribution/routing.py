"""Books what providers tell for the tenants whose usage it is, or for nobody yet.

All facts of a usage are with one tenant, so that none counts twice: where a usage is already, its
later facts go, whatever is mapped by then. Only a host that names a tenant for each recipient of a
mailing spreads one over several, each recipient once.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from collector.attribution.claims import ClaimKey, make_keys, name_tenant
from collector.attribution.job import Attribution
from collector.attribution.resolution import Histories, decide, make_histories
from collector.attribution.store import (
    Entry,
    amend_entry,
    find_entries,
    lock_entries,
    note_entries,
)
from collector.events import Rules
from collector.facts.booking import book_facts
from collector.facts.check import check_fact
from collector.facts.claim import Claim, ClaimKind
from collector.facts.fact import Booked, Fact
from ledger.errors import InvalidError
from ledger.mappings import find_mappings
from ledger.models import usage_balances, usage_metrics
from ledger.session import OperatorSession, TenantSession, insist, operator_session, tenant_session
from ledger.tenant import UNATTRIBUTED, Tenant, TenantId
from ledger.tenants import ensure_unattributed, find_tenants

_AT_ONCE = 500


class Report(NamedTuple):
    """One fact, with what its message says of whose it is.

    Attributes:
        fact: the fact.
        claims: what the message names, in order of precedence.
        named: the tenant that the host named in it, by a signed address or a custom argument. It
            goes before all claims: usage of one that is not registered waits for it.
    """

    fact: Fact
    claims: tuple[Claim, ...] = ()
    named: TenantId | None = None


class Outcome(NamedTuple):
    """Where a fact was booked, and what became of it; or the error for which it was not."""

    tenant_id: TenantId | None
    booked: Booked | None
    error: InvalidError | None = None


class _Usage(NamedTuple):
    """What the reports of one usage say together."""

    time: datetime
    claims: tuple[ClaimKey, ...]

    @property
    def named(self) -> list[TenantId]:
        """The tenants that the host named."""
        return [TenantId(c.value) for c in self.claims if c.kind is ClaimKind.TENANT]


class Router:
    """Books reports.

    Args:
        engine: of the ledger.
        rules: what facts are checked against, the same as events.
        hash_key: hides phone numbers; None: they claim nothing.
    """

    def __init__(self, engine: sa.Engine, rules: Rules, *, hash_key: bytes | None) -> None:
        self._engine = engine
        self._rules = rules
        self._hash_key = hash_key
        self._attribution = Attribution(engine)

    def book(self, reports: Sequence[Report], *, now: datetime) -> list[Outcome]:
        """Book facts of any tenants; return what became of each, in order.

        A fact that cannot be is told so and fails none of the others.

        Raises:
            UnavailableError: the ledger did not answer. Sending all again is safe.
        """
        outcomes: dict[int, Outcome] = {}
        facts: dict[int, Fact] = {}
        for number, report in enumerate(reports):
            try:
                facts[number] = check_fact(report.fact, rules=self._rules, now=now)
            except InvalidError as error:
                outcomes[number] = Outcome(None, None, error)
        usages = self._gather([reports[number] for number in facts])
        while len(outcomes) < len(reports):
            left = {number: fact for number, fact in facts.items() if number not in outcomes}
            outcomes |= self._book_all(left, usages, now=now)
        return [outcomes[number] for number in range(len(reports))]

    def _book_all(
        self, facts: Mapping[int, Fact], usages: Mapping[str, _Usage], *, now: datetime
    ) -> dict[int, Outcome]:
        """Book numbered facts; those of usage that left while they were on their way are left."""
        places = self._find_places(usages, now=now)
        by_tenant: defaultdict[TenantId, list[int]] = defaultdict(list)
        for number, fact in facts.items():
            by_tenant[places[fact.usage_id]].append(number)
        outcomes: dict[int, Outcome] = {}
        for tenant_id in sorted(by_tenant):
            for part in _parts(by_tenant[tenant_id]):
                answers = self._book(tenant_id, [facts[n] for n in part], usages, now=now)
                for number, answer in zip(part, answers, strict=True):
                    if answer is not None:
                        outcomes[number] = Outcome(tenant_id, answer)
        return outcomes

    def _gather(self, reports: Sequence[Report]) -> dict[str, _Usage]:
        gathered: dict[str, _Usage] = {}
        for fact, claims, named in reports:
            keys = make_keys(claims, self._hash_key) if named is None else (name_tenant(named),)
            told = _Usage(fact.time, keys)
            known = gathered.get(fact.usage_id)
            gathered[fact.usage_id] = told if known is None else _join(known, told)
        return gathered

    def _find_places(self, usages: Mapping[str, _Usage], *, now: datetime) -> dict[str, TenantId]:
        """Return whose each usage is, after what is on its way has arrived."""
        values = {claim.value for usage in usages.values() for claim in usage.claims}
        with operator_session(self._engine) as session:
            entries = find_entries(session, usages)
            histories = make_histories(find_mappings(session, values))
            tenants = find_tenants(session, _candidates(usages, histories))
            found = {
                usage_id: _choose(session, usage_id, usage, histories, tenants)
                for usage_id, usage in usages.items()
                if usage_id not in entries
            }
        named = {
            usage_id: tenant_id
            for usage_id, entry in entries.items()
            if entry.target is None and (tenant_id := _named(usages[usage_id], tenants)) is not None
        }
        if named:
            self._attribution.move(named, now=now)
            with operator_session(self._engine) as session:
                entries |= find_entries(session, named)
        travelling = [e.usage_id for e in entries.values() if e.target and not e.has_arrived]
        if travelling:
            self._attribution.arrive(travelling, now=now)
        there = {key: entry.target for key, entry in entries.items()}
        places = {key: place or UNATTRIBUTED for key, place in (found | there).items()}
        if UNATTRIBUTED in places.values():
            ensure_unattributed(self._engine, now=now)
        return places

    def _book(
        self,
        tenant_id: TenantId,
        facts: Sequence[Fact],
        usages: Mapping[str, _Usage],
        *,
        now: datetime,
    ) -> Sequence[Booked | None]:
        def book() -> Sequence[Booked | None]:
            with tenant_session(self._engine, tenant_id, write=True) as session:
                if tenant_id == UNATTRIBUTED:
                    return _book_for_nobody(session, facts, usages, now=now)
                return book_facts(session, facts, now=now)

        return insist(book)


def _book_for_nobody(
    session: TenantSession, facts: Sequence[Fact], usages: Mapping[str, _Usage], *, now: datetime
) -> list[Booked | None]:
    """Book facts with what claims them; None for those whose usage has left meanwhile."""
    told = {fact.usage_id: usages[fact.usage_id] for fact in facts}
    note_entries(session, [_entry(key, usage) for key, usage in told.items()], now=now)
    entries = lock_entries(session, told)
    for key, entry in entries.items():
        amended = _amend(entry, told[key])
        if entry.target is None and amended != entry:
            amend_entry(session, amended)
    stays = [fact for fact in facts if entries[fact.usage_id].target in {None, UNATTRIBUTED}]
    answers = iter(book_facts(session, stays, now=now))
    staying = {id(fact) for fact in stays}
    return [next(answers) if id(fact) in staying else None for fact in facts]


def _join(one: _Usage, other: _Usage) -> _Usage:
    claims = tuple(dict.fromkeys((*one.claims, *other.claims)))
    return _Usage(min(one.time, other.time), claims)


def _entry(usage_id: str, usage: _Usage) -> Entry:
    return Entry(usage_id, usage.time, usage.claims, target=None, has_arrived=False)


def _amend(entry: Entry, usage: _Usage) -> Entry:
    time, claims = _join(_Usage(entry.time, entry.claims), usage)
    return entry._replace(time=time, claims=claims)


def _candidates(usages: Mapping[str, _Usage], histories: Histories) -> set[TenantId]:
    mapped = {row.tenant_id for rows in histories.values() for row in rows}
    named = {tenant_id for usage in usages.values() for tenant_id in usage.named}
    return {tenant_id for tenant_id in mapped | named if tenant_id is not None}


def _named(usage: _Usage, tenants: Mapping[TenantId, Tenant]) -> TenantId | None:
    return next((tenant_id for tenant_id in usage.named if tenant_id in tenants), None)


def _choose(
    session: OperatorSession,
    usage_id: str,
    usage: _Usage,
    histories: Histories,
    tenants: Mapping[TenantId, Tenant],
) -> TenantId | None:
    """Return whose a usage is that was never booked for nobody; None: nobody knows."""
    whose = decide(usage.claims, histories, tenants, usage.time)
    if usage.named:
        return whose
    possible = {
        row.tenant_id
        for claim in usage.claims
        for row in histories.get((claim.kind, claim.value), ())
        if row.tenant_id is not None
    }
    if possible - {whose}:  # rare: what is mapped has changed, or begins later
        holders = _find_holders(session, usage_id, possible)
        if holders and whose not in holders:
            return min(holders)
    return whose


def _find_holders(
    session: OperatorSession, usage_id: str, tenant_ids: Collection[TenantId]
) -> set[TenantId]:
    """Return those of some tenants that have a usage already, by its facts or its event."""
    balance, raw = usage_balances.c, usage_metrics.c
    query = sa.union(
        sa.select(balance.tenant_id).where(
            balance.tenant_id.in_(tenant_ids), balance.usage_id == usage_id
        ),
        sa.select(raw.tenant_id).where(raw.tenant_id.in_(tenant_ids), raw.event_id == usage_id),
    )
    return set(session.connection.execute(query).scalars())


def _parts(numbers: Sequence[int]) -> list[Sequence[int]]:
    return [numbers[n : n + _AT_ONCE] for n in range(0, len(numbers), _AT_ONCE)]
