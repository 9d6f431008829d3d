"""The way of notices to their tenants: who it is, then one transaction for each."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

import sqlalchemy as sa

from collector.facts.claim import Claim
from collector.facts.fact import Booked, Fact
from collector.intake import register_tenant
from collector.webhooks.claims import Ignored, Notice
from ledger.errors import InvalidError
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import find_tenants, look_up_tenant

UNATTRIBUTED = TenantId("_unattributed")
"""Whose usage it is where nobody can tell. No credential or signed address can name it."""

UNATTRIBUTED_FACT = "unattributed"
"""Outcome of a fact that went there, besides what became of it."""

REJECTED_FACT = "rejected"
"""Outcome of a fact that its tenant cannot have, such as one that has closed."""


class FindTenant(Protocol):
    """Finds the tenant of claims."""

    def find(self, claims: Sequence[Claim], *, at: datetime) -> TenantId | None:
        """Return whose the first claim is that was mapped at that time; None: nobody's.

        Raises:
            UnavailableError: the ledger did not answer.
        """


class BookFacts(Protocol):
    """Books facts."""

    def book(self, tenant_id: TenantId, facts: Sequence[Fact], *, now: datetime) -> list[Booked]:
        """Book facts of a tenant in one transaction; return what became of each, in order.

        Raises:
            InvalidError: the tenant cannot have them; none is booked.
            UnavailableError: the ledger did not answer.
        """


class Reception:
    """Takes notices of providers in. Booking waits for no costing."""

    def __init__(
        self,
        engine: sa.Engine,
        mappings: FindTenant,
        facts: BookFacts,
        *,
        auto_register: bool = False,
    ) -> None:
        self._engine = engine
        self._mappings = mappings
        self._facts = facts
        self._auto_register = auto_register

    def receive(self, said: Sequence[Notice | Ignored], *, now: datetime) -> Counter[str]:
        """Book what is said; return how often each outcome came.

        Raises:
            UnavailableError: the ledger did not answer. Tenants whose facts were booked before keep
                them, and sending all again is safe.
        """
        outcomes = Counter(str(one) for one in said if isinstance(one, Ignored))
        notices = [one for one in said if isinstance(one, Notice)]
        queues: defaultdict[TenantId, list[Fact]] = defaultdict(list)
        for notice, tenant_id in zip(notices, self._tenants_of(notices, now), strict=True):
            queues[tenant_id].extend(notice.facts)
        for tenant_id in sorted(queues):
            outcomes += self._book(tenant_id, queues[tenant_id], now=now)
        return outcomes

    def _book(self, tenant_id: TenantId, facts: list[Fact], *, now: datetime) -> Counter[str]:
        try:
            outcomes = Counter(str(b) for b in self._facts.book(tenant_id, facts, now=now))
        except InvalidError:
            if tenant_id == UNATTRIBUTED:
                raise  # nobody else would have them
            return Counter({REJECTED_FACT: len(facts)})
        if tenant_id == UNATTRIBUTED:
            outcomes[UNATTRIBUTED_FACT] += len(facts)
        return outcomes

    def _tenants_of(self, notices: Sequence[Notice], now: datetime) -> Iterator[TenantId]:
        """Return the tenant of each notice; the same question is asked once."""
        registered = self._registered({n.tenant for n in notices if n.tenant is not None}, now)
        found: dict[tuple[tuple[Claim, ...], datetime], TenantId | None] = {}
        for notice in notices:
            if notice.tenant is not None:
                # Named and not there: mapped claims are somebody else's, and nobody guesses.
                yield notice.tenant if notice.tenant in registered else UNATTRIBUTED
                continue
            at = max(fact.time for fact in notice.facts)
            question = (notice.claims, at)
            if question not in found:
                claims = notice.claims
                found[question] = self._mappings.find(claims, at=at) if claims else None
            yield found[question] or UNATTRIBUTED

    def _registered(self, named: set[TenantId], now: datetime) -> set[TenantId]:
        found = self._find(named)
        if self._auto_register:
            for tenant_id in named - found:
                register_tenant(self._engine, tenant_id, now=now)
            return named
        return found

    def _find(self, named: set[TenantId]) -> set[TenantId]:
        if len(named) == 1:  # nearly always
            (tenant_id,) = named
            return named if look_up_tenant(self._engine, tenant_id) is not None else set()
        if not named:
            return named
        with operator_session(self._engine) as session:
            return set(find_tenants(session, named))
