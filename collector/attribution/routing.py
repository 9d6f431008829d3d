"""Books what providers tell for the tenants whose usage it is, or for nobody yet.

All facts of a usage are with one tenant, so that none counts twice: where a usage is already, its
later facts go, whatever is mapped by then. A recipient of a mailing is one by itself: a mailing may
go to recipients of several tenants, and what nobody knows of one is no reason to move another.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from collector.attribution.claims import make_keys, name_tenant
from collector.attribution.holders import find_booked, find_told, only_one
from collector.attribution.job import Attribution
from collector.attribution.resolution import Histories, decide, make_histories, names_a_tenant
from collector.attribution.share import Share, share_id
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
from collector.facts.claim import Claim
from collector.facts.fact import Booked, Fact
from ledger.errors import InvalidError
from ledger.mappings import ProviderMapping, find_mappings
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
        owner: whose key signed it, where the key is one owner's alone. Then neither names nor
            claims nor what is booked elsewhere counts: it is the owner's usage and nobody else's.
    """

    fact: Fact
    claims: tuple[Claim, ...] = ()
    named: TenantId | None = None
    owner: Claim | None = None


class Outcome(NamedTuple):
    """Where a fact was booked, and what became of it; or the error for which it was not."""

    tenant_id: TenantId | None
    booked: Booked | None
    error: InvalidError | None = None


class _Item(NamedTuple):
    """A checked fact, and what of its usage is one tenant's."""

    share_id: str
    fact: Fact


class _Known(NamedTuple):
    """What tells whose usage is, of some shares.

    Attributes:
        booked: for which tenants the SDK has booked it, by the provider's id.
        mappings: all rows of what claims it, also of what never was since it was a mistake.
        histories: what counts of these.
        tenants: those that are registered, of all that may come out.
    """

    booked: Mapping[str, set[TenantId]]
    mappings: Sequence[ProviderMapping]
    histories: Histories
    tenants: Mapping[TenantId, Tenant]

    def ever_mapped(self, share: Share) -> set[TenantId]:
        """Return the tenants that any claim of a share ever led to."""
        claims = {(claim.kind, claim.value) for claim in share.claims}
        rows = (row for row in self.mappings if (row.kind, row.value) in claims)
        return {row.tenant_id for row in rows if row.tenant_id is not None}


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
        items: dict[int, _Item] = {}
        shares: dict[str, Share] = {}
        for number, report in enumerate(reports):
            try:
                fact = check_fact(report.fact, rules=self._rules, now=now)
            except InvalidError as error:
                outcomes[number] = Outcome(None, None, error)
                continue
            share = self._share(fact, report)
            known = shares.get(share.share_id)
            shares[share.share_id] = share if known is None else known.joined(share)
            items[number] = _Item(share.share_id, fact)
        while len(outcomes) < len(reports):
            left = {number: item for number, item in items.items() if number not in outcomes}
            outcomes |= self._book_all(left, shares, now=now)
        return [outcomes[number] for number in range(len(reports))]

    def _share(self, fact: Fact, report: Report) -> Share:
        _, claims, named, owner = report
        if owner is not None:
            keys = make_keys((owner,), self._hash_key)
        elif named is not None:
            keys = (name_tenant(named),)
        else:
            keys = make_keys(claims, self._hash_key)
        return Share(
            share_id(fact, keys if owner is not None else None),
            fact.time,
            keys,
            fact.usage_id,
            fact.fact_id if fact.adds else None,
            owner is not None,
        )

    def _book_all(
        self, items: Mapping[int, _Item], shares: Mapping[str, Share], *, now: datetime
    ) -> dict[int, Outcome]:
        """Book numbered facts; those of usage that left while they were on their way are left."""
        places = self._find_places(shares, now=now)
        by_tenant: defaultdict[TenantId, list[int]] = defaultdict(list)
        for number, item in items.items():
            by_tenant[places[item.share_id]].append(number)
        outcomes: dict[int, Outcome] = {}
        for tenant_id in sorted(by_tenant):
            for part in _parts(by_tenant[tenant_id]):
                answers = self._book(tenant_id, [items[n] for n in part], shares, now=now)
                for number, answer in zip(part, answers, strict=True):
                    if answer is not None:
                        outcomes[number] = Outcome(tenant_id, answer)
        return outcomes

    def _find_places(self, shares: Mapping[str, Share], *, now: datetime) -> dict[str, TenantId]:
        """Return whose each share is, after what is on its way has arrived."""
        values = {claim.value for share in shares.values() for claim in share.claims}
        with operator_session(self._engine) as session:
            entries = find_entries(session, shares)
            known = _read_known(session, shares, values)
            found = {
                key: _choose(session, share, known)
                for key, share in shares.items()
                if key not in entries
            }
        leaving = {
            key: tenant_id
            for key, entry in entries.items()
            if entry.target is None
            and (tenant_id := _called(entry, shares[key], known)) is not None
        }
        if leaving:
            self._attribution.move(leaving, now=now)
            with operator_session(self._engine) as session:
                entries |= find_entries(session, leaving)
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
        items: Sequence[_Item],
        shares: Mapping[str, Share],
        *,
        now: datetime,
    ) -> Sequence[Booked | None]:
        def book() -> Sequence[Booked | None]:
            with tenant_session(self._engine, tenant_id, write=True) as session:
                if tenant_id == UNATTRIBUTED:
                    return _book_for_nobody(session, items, shares, now=now)
                return book_facts(session, [item.fact for item in items], now=now)

        return insist(book)


def _read_known(session: OperatorSession, shares: Mapping[str, Share], values: set[str]) -> _Known:
    mappings = find_mappings(session, values)
    mapped = {row.tenant_id for row in mappings}
    named = {tenant_id for share in shares.values() for tenant_id in share.named}
    candidates = {tenant_id for tenant_id in mapped | named if tenant_id is not None}
    free = {s.provider_id for s in shares.values() if not (s.of_owner or s.named)}
    return _Known(
        find_booked(session, free),
        mappings,
        make_histories(mappings),
        find_tenants(session, candidates),
    )


def _book_for_nobody(
    session: TenantSession, items: Sequence[_Item], shares: Mapping[str, Share], *, now: datetime
) -> list[Booked | None]:
    """Book facts with what claims them; None for those whose usage has left meanwhile."""
    told = {item.share_id: shares[item.share_id] for item in items}
    note_entries(session, [share.as_entry() for share in told.values()], now=now)
    entries = lock_entries(session, told)
    for key, entry in entries.items():
        amended = told[key].amend(entry)
        if entry.target is None and amended != entry:
            amend_entry(session, amended)
    stays = [entries[item.share_id].target in {None, UNATTRIBUTED} for item in items]
    facts = [
        replace(item.fact, usage_id=item.share_id)
        for item, is_here in zip(items, stays, strict=True)
        if is_here
    ]
    answers = iter(book_facts(session, facts, now=now))
    return [next(answers) if is_here else None for is_here in stays]


def _called(entry: Entry, share: Share, known: _Known) -> TenantId | None:
    """Return the tenant that what waits is called to by a new message: by its name or its event."""
    if share.of_owner:
        return None
    if share.named:
        return next((tenant_id for tenant_id in share.named if tenant_id in known.tenants), None)
    if names_a_tenant(entry.claims):
        return None
    return only_one(known.booked.get(share.provider_id, ()))


def _choose(session: OperatorSession, share: Share, known: _Known) -> TenantId | None:
    """Return whose a share is that was never booked for nobody; None: nobody knows."""
    whose = decide(share.claims, known.histories, known.tenants, share.time)
    if share.named:
        return whose
    booked = known.booked.get(share.provider_id, set())
    possible = known.ever_mapped(share)
    if booked and whose not in booked:
        # Of two that both have it, one that it was ever mapped to.
        return only_one(booked) or min(booked & possible, default=whose)
    if not booked and possible - {whose}:  # rare: what is mapped has changed, or begins later
        told = find_told(session, possible, share.provider_id, share.fact_id)
        if told and whose not in told:
            return min(told)
    return whose


def _parts(numbers: Sequence[int]) -> list[Sequence[int]]:
    return [numbers[n : n + _AT_ONCE] for n in range(0, len(numbers), _AT_ONCE)]
