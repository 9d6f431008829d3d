"""Attribution: moves usage from `_unattributed` to the tenant that a mapping leads to.

A move is two transactions, each of one tenant, each done any number of times with the effect of
once. The first takes the usage out and writes down where it goes, with all of its facts; the second
books these facts in the target. Whoever comes after a kill between them does the second one.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import NamedTuple

import sqlalchemy as sa

from collector.attribution.holders import find_events
from collector.attribution.luggage import dump_facts, load_facts
from collector.attribution.resolution import Histories, decide, make_histories
from collector.attribution.store import (
    Departure,
    Entry,
    Journey,
    Waiting,
    find_covered,
    list_waiting,
    lock_entries,
    note_arrivals,
    note_departures,
    read_journeys,
    read_waiting,
)
from collector.facts.booking import book_facts
from collector.facts.claim import ClaimKind
from collector.facts.effective import DatedFact
from collector.facts.fact import Booked, Fact, Rank, Verdict
from collector.facts.store import Balance, lock_balances, read_facts
from ledger.errors import MeterlineError, UnavailableError
from ledger.event import OWN_ID_PREFIX
from ledger.mappings import find_mappings
from ledger.session import BusyError, TenantSession, insist, operator_session, tenant_session
from ledger.tenant import BEGINNING, UNATTRIBUTED, Tenant, TenantId
from ledger.tenants import list_tenants

MOVED_FACT = f"{OWN_ID_PREFIX}moved"
"""The id of the fact that takes a usage out of `_unattributed`; nobody else can tell one of it."""

_AT_ONCE = 200
"""Most usages in one transaction, so that nobody waits long for a lock."""

_LOOKED_AT_ONCE = 2000
"""Usages that are looked up together, which locks nothing."""

_Whose = Callable[[Entry], TenantId | None]


class Failure(NamedTuple):
    """A tenant that could not be given what is its own; it stays in transit.

    Attributes:
        code: of the error; None: nobody raised it on purpose, and what it says is for the log.
        reason: what went wrong.
    """

    tenant_id: TenantId
    code: str | None
    reason: str


class Attributed(NamedTuple):
    """What a run did: usages that arrived, and what went wrong."""

    usages: int
    failures: tuple[Failure, ...] = ()

    def plus(self, other: "Attributed") -> "Attributed":
        """Return what both did; a failure that came again with the next part is one."""
        failures = dict.fromkeys((*self.failures, *other.failures))
        return Attributed(self.usages + other.usages, tuple(failures))


class Attribution:
    """Moves usage to its tenants. Any number of these may run at once."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def run(self, *, now: datetime, limit: int | None = None) -> Attributed:
        """Bring what is in transit where it goes, then move all that mappings cover.

        Args:
            now: the current instant.
            limit: about how many usages to take out at most, of what mappings cover alone; the next
                run goes on.

        Raises:
            UnavailableError: the ledger did not answer.
        """
        done = self.arrive(now=now)
        if limit is None:
            done = done.plus(self.move_to_events(now=now))
        with operator_session(self._engine) as session:
            waiting = read_waiting(session)
            values = {claim.value for group in waiting for claim in group.claims}
            histories = make_histories(find_mappings(session, values))
            tenants = {tenant.tenant_id: tenant for tenant in list_tenants(session)}

        def whose(events: Mapping[str, TenantId], entry: Entry) -> TenantId | None:
            booked_for = events.get(entry.usage_id)
            return booked_for or decide(entry.claims, histories, tenants, entry.time)

        for group in waiting:
            since = _covered_since(group, histories, tenants)
            for part, events in self._find_covered(group, since):
                done = done.plus(self._move(part, partial(whose, events), now=now))
                if limit is not None and done.usages >= limit:
                    return done
        return done

    def move(self, targets: Mapping[str, TenantId], *, now: datetime) -> Attributed:
        """Move usages that wait to the tenants that their own messages name.

        Raises:
            UnavailableError: the ledger did not answer.
        """
        return self._move(targets.keys(), lambda entry: targets[entry.usage_id], now=now)

    def move_to_events(self, *, now: datetime) -> Attributed:
        """Move usages that wait to the tenants for which the SDK has booked them meanwhile.

        Raises:
            UnavailableError: the ledger did not answer.
        """
        done, after = Attributed(0), ""
        while True:
            with operator_session(self._engine) as session:
                part = list_waiting(session, after=after, limit=_LOOKED_AT_ONCE)
                targets = find_events(session, part)
            for some in _parts(targets):
                done = done.plus(self.move({key: targets[key] for key in some}, now=now))
            if len(part) < _LOOKED_AT_ONCE:
                return done
            after = part[-1].usage_id

    def arrive(self, usage_ids: Collection[str] | None = None, *, now: datetime) -> Attributed:
        """Book what is in transit, of these usages or of all, where it goes.

        Raises:
            UnavailableError: the ledger did not answer.
        """
        with operator_session(self._engine) as session:
            journeys = read_journeys(session, usage_ids)
        by_target: defaultdict[TenantId, list[Journey]] = defaultdict(list)
        for journey in journeys:
            by_target[journey.target].append(journey)
        usages = 0
        failures: list[Failure] = []
        for target in sorted(by_target):
            try:
                for start in range(0, len(by_target[target]), _AT_ONCE):
                    part = by_target[target][start : start + _AT_ONCE]
                    self._arrive_at(target, part, now=now)
                    usages += len(part)
            except Exception as error:
                if isinstance(error, UnavailableError) and not isinstance(error, BusyError):
                    raise
                # Whatever it is, the next tenant is not to wait.
                failures.append(_failure(target, error))
        return Attributed(usages, tuple(failures))

    def _find_covered(
        self, group: Waiting, since: datetime | None
    ) -> Iterator[tuple[list[str], Mapping[str, TenantId]]]:
        """Yield usages that mappings cover, with those of them that the SDK has booked."""
        if since is None or group.last < since:
            return
        after = ""
        while True:
            with operator_session(self._engine) as session:
                part = find_covered(session, group.claims, since=since, after=after, limit=_AT_ONCE)
                events = find_events(session, part)
            if not part:
                return
            ids = [entry.usage_id for entry in part]
            yield ids, events
            after = ids[-1]

    def _move(self, usage_ids: Collection[str], whose: _Whose, *, now: datetime) -> Attributed:
        def leave() -> list[str]:
            with tenant_session(self._engine, UNATTRIBUTED, write=True) as session:
                return _leave(session, usage_ids, whose, now=now)

        gone = insist(leave)
        return self.arrive(gone, now=now) if gone else Attributed(0)

    def _arrive_at(self, target: TenantId, journeys: list[Journey], *, now: datetime) -> None:
        facts = [fact for journey in journeys for fact in load_facts(journey.luggage)]

        def book() -> None:
            with tenant_session(self._engine, target, write=True) as session:
                book_facts(session, facts, now=now)

        def note() -> None:
            with tenant_session(self._engine, UNATTRIBUTED, write=True) as session:
                note_arrivals(session, [journey.usage_id for journey in journeys], now=now)

        insist(book)
        insist(note)


def _failure(tenant_id: TenantId, error: Exception) -> Failure:
    if isinstance(error, MeterlineError):
        return Failure(tenant_id, error.code, error.message)
    return Failure(tenant_id, None, f"{type(error).__name__}: {error}")


def _parts(usage_ids: Iterable[str]) -> list[list[str]]:
    ordered = sorted(usage_ids)
    return [ordered[n : n + _AT_ONCE] for n in range(0, len(ordered), _AT_ONCE)]


def _covered_since(
    group: Waiting, histories: Histories, tenants: Mapping[TenantId, Tenant]
) -> datetime | None:
    """Return from when on any usage of a group may belong to somebody; None: none does."""
    if any(claim.kind is ClaimKind.TENANT and claim.value in tenants for claim in group.claims):
        return BEGINNING
    begins = [
        row.valid_from
        for claim in group.claims
        for row in histories.get((claim.kind, claim.value), ())
        if row.tenant_id is not None
    ]
    return min(begins, default=None)


def _leave(
    session: TenantSession, usage_ids: Collection[str], whose: _Whose, *, now: datetime
) -> list[str]:
    """Take out those usages that wait and belong to somebody; return which have left."""
    entries = lock_entries(session, usage_ids)
    going = {
        usage_id: target
        for usage_id, entry in entries.items()
        if entry.target is None and (target := whose(entry)) is not None
    }
    if not going:
        return []
    balances = lock_balances(session, going)
    facts = read_facts(session, going)
    leaving = [usage_id for usage_id in going if usage_id in facts]
    reversals = [_reversal(facts[usage_id], now) for usage_id in leaving]
    answers = book_facts(session, reversals, now=now)
    departures = [
        _depart(entries[usage_id], going[usage_id], balances[usage_id], facts[usage_id])
        for usage_id, answer in zip(leaving, answers, strict=True)
        if answer is not Booked.EXPIRED
    ]
    # What retention has taken can be corrected no more: it stays what it is, where it is.
    gone = [departure.usage_id for departure in departures]
    stays = [
        Departure(usage_id, UNATTRIBUTED, None, 0, None) for usage_id in going.keys() - set(gone)
    ]
    note_departures(session, [*departures, *stays], now=now)
    return gone


def _reversal(told: Collection[DatedFact], now: datetime) -> Fact:
    """Return the fact that a usage is nothing here, whatever else is told of it."""
    like = next(iter(told)).fact
    return Fact(
        usage_id=like.usage_id,
        fact_id=MOVED_FACT,
        rank=Rank.MOVED,
        verdict=Verdict.VOID,
        time=now,
        channel=like.channel,
        direction=like.direction,
        source=like.source,
    )


def _depart(
    entry: Entry, target: TenantId, balance: Balance, told: Collection[DatedFact]
) -> Departure:
    """Return what is written down of a usage: what was booked for it, and all its facts."""
    facts = [
        replace(one.fact, usage_id=entry.provider_id)
        for one in sorted(told, key=lambda one: one.fact.fact_id)
    ]
    booked = balance.booked
    return Departure(
        entry.usage_id,
        target,
        None if booked is None else booked.channel,
        0 if booked is None else booked.measures.quantity,
        dump_facts(facts),
    )
