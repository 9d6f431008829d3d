"""Delivers notices: each is claimed, sent while no transaction is open, and noted as sent.

A claim is renewed as long as the sending goes on. A process that dies in between leaves the notice
claimed, until its claim is over and another one sends it again, under the same id. That a mail was
sent is noted with the usage that it is, in one transaction: that usage is booked once, however
often the mail had to be sent.
"""

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from collector.notices.sending import Attempt, Send
from collector.store import book_events
from ledger.budget_notices import (
    BudgetNotice,
    Medium,
    claim_notice,
    give_up,
    list_due,
    note_sent,
    put_off,
    renew_claim,
)
from ledger.clock import Clock
from ledger.errors import UnavailableError
from ledger.event import OWN_ID_PREFIX, STANDARD_PRICE_CLASS, UNKNOWN_FINGERPRINT, UsageEvent
from ledger.measures import NOTHING
from ledger.session import TenantSession, insist, operator_session, tenant_session
from ledger.tenant import Tenant, TenantId
from ledger.tenants import get_own_tenant

CLAIM = timedelta(minutes=1)
"""How long a notice that nobody renews the claim of is left alone: its sender died."""

RENEWED_AFTER = CLAIM / 4
"""How often a claim is renewed. Timeouts bound no attempt: each of the other side's addresses has
its own, and so has each part of an answer."""

GIVEN_UP_AFTER = timedelta(days=3)
"""How long a notice is tried: what is older is no news."""

FEATURE = "budget_notice"
"""Feature of the usage that our mails are."""

_AT_ONCE = 100
_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(hours=1)


class Delivered(NamedTuple):
    """What a run did.

    Attributes:
        sent: notices that went out.
        failures: attempts that failed, by id of notice with its tenant, and why.
    """

    sent: int
    failures: tuple[tuple[str, str], ...] = ()


class Delivery:
    """Sends what is due. Any number of these may run.

    Args:
        engine: of the ledger.
        senders: by medium. Notices of another one wait.
        clock: read anew for each notice.
    """

    def __init__(self, engine: sa.Engine, senders: Mapping[Medium, Send], *, clock: Clock) -> None:
        self._engine = engine
        self._senders = senders
        self._clock = clock

    def run(self) -> Delivered:
        """Try each notice that is due once.

        After an attempt that failed the medium has a rest: others would wait as long in vain.

        Raises:
            UnavailableError: the ledger did not answer.
        """
        with operator_session(self._engine) as session:
            due = list_due(session, self._senders, now=self._clock(), limit=_AT_ONCE)
        sent, failures = 0, []
        resting: set[Medium] = set()
        for tenant_id, notice_id in due:
            notice = self._claim(tenant_id, notice_id, resting)
            if notice is None:
                continue
            attempt = self._send(tenant_id, notice)
            self._note(tenant_id, notice, attempt)
            if attempt.error is None:
                sent += 1
            else:
                failures.append((f"{tenant_id}/{notice_id}", attempt.error))
                resting |= set() if attempt.is_final else {notice.medium}
        return Delivered(sent, tuple(failures))

    def _claim(
        self, tenant_id: TenantId, notice_id: str, resting: Collection[Medium]
    ) -> BudgetNotice | None:
        media = [medium for medium in self._senders if medium not in resting]

        def claim() -> BudgetNotice | None:
            now = self._clock()
            with tenant_session(self._engine, tenant_id, write=True) as session:
                notice = claim_notice(session, notice_id, media, now=now, until=now + CLAIM)
                if notice is not None and get_own_tenant(session).is_closed_at(now):
                    give_up(session, notice, error="the tenant is closed", now=now)
                    return None
                return notice

        return insist(claim)

    def _send(self, tenant_id: TenantId, notice: BudgetNotice) -> Attempt:
        try:
            with self._keep_claim(tenant_id, notice):
                return self._senders[notice.medium](notice)
        except Exception as error:  # noqa: BLE001 - raised, it would stop others, and be tried for ever
            # A notice that its client will not compose is tried as long as any other, and given up.
            return Attempt(f"it could not be composed: {type(error).__name__}")

    @contextmanager
    def _keep_claim(self, tenant_id: TenantId, notice: BudgetNotice) -> Iterator[None]:
        """Renew a claim, beside what goes on within, until that has ended."""
        ended = threading.Event()
        args = (tenant_id, notice, ended)
        keeper = threading.Thread(target=self._renew_until, args=args, daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()

    def _renew_until(
        self, tenant_id: TenantId, notice: BudgetNotice, ended: threading.Event
    ) -> None:
        def renew() -> None:
            with tenant_session(self._engine, tenant_id, write=True) as session:
                renew_claim(session, notice, until=self._clock() + CLAIM)

        while not ended.wait(RENEWED_AFTER.total_seconds()):
            # A ledger that does not answer may do so before the claim is over.
            with suppress(UnavailableError):
                insist(renew)

    def _note(self, tenant_id: TenantId, notice: BudgetNotice, attempt: Attempt) -> None:
        def note() -> None:
            now = self._clock()
            with tenant_session(self._engine, tenant_id, write=True) as session:
                if attempt.error is None:
                    _finish(session, notice, now=now)
                elif attempt.is_final or now >= notice.created_at + GIVEN_UP_AFTER:
                    give_up(session, notice, error=attempt.error, now=now)
                else:
                    due_at = now + pause_after(notice.attempts)
                    put_off(session, notice, error=attempt.error, due_at=due_at)

        insist(note)


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: 30 s, 1 min, 2 min, at most an hour."""
    return min(_FIRST_PAUSE * (1 << min(attempts - 1, 10)), _LONGEST_PAUSE)


def _finish(session: TenantSession, notice: BudgetNotice, *, now: datetime) -> None:
    """Note that a notice went out, and book the usage that it is."""
    if note_sent(session, notice, now=now) and notice.medium is Medium.MAIL:
        book_events(session, [_usage(notice, get_own_tenant(session), now=now)], now=now)


def _usage(notice: BudgetNotice, tenant: Tenant, *, now: datetime) -> UsageEvent:
    return UsageEvent(
        event_id=f"{OWN_ID_PREFIX}notice:{notice.notice_id}",
        fingerprint=UNKNOWN_FINGERPRINT,
        time=now,
        date=now.astimezone(tenant.zone_at(now)).date(),
        channel="email",
        direction="outbound",
        source="internal",
        feature=FEATURE,
        model=None,
        price_class=STANDARD_PRICE_CLASS,
        derived=False,
        provisional=False,
        metadata=None,
        measures=NOTHING._replace(quantity=len(notice.recipients)),
    )
