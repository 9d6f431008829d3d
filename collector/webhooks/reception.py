"""The way of notices to the ledger: who is named by the host, then whose it is."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from collector.attribution.routing import Outcome, Report, Router
from collector.intake import build_rules, register_tenant
from collector.webhooks.claims import Ignored, Notice
from ledger.budget_notices import NoticeName, find_recipients
from ledger.session import operator_session
from ledger.settings import Settings
from ledger.tenant import UNATTRIBUTED, TenantId
from ledger.tenants import find_tenants, look_up_tenant

UNATTRIBUTED_FACT = "unattributed"
"""Outcome of a fact that is nobody's yet, besides what became of it."""


class Reception:
    """Takes notices of providers in. Booking waits for no costing.

    Args:
        engine: of the ledger.
        router: books facts for those whose they are.
        auto_register: a tenant that the host names and nobody knows is registered.
    """

    def __init__(self, engine: sa.Engine, router: Router, *, auto_register: bool = False) -> None:
        self._engine = engine
        self._router = router
        self._auto_register = auto_register

    def receive(self, said: Sequence[Notice | Ignored], *, now: datetime) -> Counter[str]:
        """Book what is said; return how often each outcome came.

        A fact that cannot be booked has the code of its error as its outcome, and fails none of the
        others.

        Raises:
            UnavailableError: the ledger did not answer. What was booked before stays booked, and
                sending all again is safe.
        """
        said = self._without_own(said)
        outcomes = Counter(str(one) for one in said if isinstance(one, Ignored))
        reports = [
            Report(fact, notice.claims, notice.tenant, notice.owner)
            for notice in said
            if isinstance(notice, Notice)
            for fact in notice.facts
        ]
        if self._auto_register:
            self._register({r.named for r in reports if r.named and r.owner is None}, now=now)
        for outcome in self._router.book(reports, now=now):
            outcomes.update(_told(outcome))
        return outcomes

    def _without_own(self, said: Sequence[Notice | Ignored]) -> list[Notice | Ignored]:
        """Ignore mails of our own: the ledger has a notice of that name for that recipient.

        A name alone is not believed. It is no secret, so that whoever may send mails could keep
        all of them from being counted by it.
        """
        named = {one.own_mail.name for one in said if isinstance(one, Notice) and one.own_mail}
        if not named:
            return [*said]
        with operator_session(self._engine) as session:
            recipients = find_recipients(session, named)
        return [Ignored.OWN_NOTICE if _is_own(one, recipients) else one for one in said]

    def _register(self, named: set[TenantId], *, now: datetime) -> None:
        for tenant_id in sorted(named - self._find(named)):
            register_tenant(self._engine, tenant_id, now=now)

    def _find(self, named: set[TenantId]) -> set[TenantId]:
        if len(named) == 1:  # nearly always
            (tenant_id,) = named
            return named if look_up_tenant(self._engine, tenant_id) is not None else set()
        if not named:
            return named
        with operator_session(self._engine) as session:
            return set(find_tenants(session, named))


def build_reception(engine: sa.Engine, settings: Settings) -> Reception:
    """Build the reception that the settings describe."""
    router = Router(engine, build_rules(settings), hash_key=settings.hash_key_bytes)
    return Reception(engine, router, auto_register=settings.auto_register_tenants)


def _is_own(one: Notice | Ignored, recipients: Mapping[NoticeName, Collection[str]]) -> bool:
    if isinstance(one, Ignored) or one.own_mail is None:
        return False
    known = {address.casefold() for address in recipients.get(one.own_mail.name, ())}
    return one.own_mail.recipient.casefold() in known


def _told(outcome: Outcome) -> list[str]:
    if outcome.error is not None:
        return [outcome.error.code]
    nobodys = [UNATTRIBUTED_FACT] if outcome.tenant_id == UNATTRIBUTED else []
    return [str(outcome.booked), *nobodys]
