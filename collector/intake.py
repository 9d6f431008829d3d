"""Intake: every submitted event gets one answer, and a bad one never fails its neighbours."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from collector.events import Rules, Submission, read_event
from collector.metadata import DEFAULT_KEYS, MetadataPolicy
from collector.store import book_events
from ledger.errors import ConflictError, InvalidError
from ledger.event import Status, UsageEvent
from ledger.session import operator_session, tenant_session
from ledger.settings import Settings
from ledger.tenant import Tenant, TenantId
from ledger.tenants import add_tenant, find_tenants

TRANSACTION_EVENTS = 1000
"""Most events in one transaction, so that a writer never holds the ledger for long."""


class Result(NamedTuple):
    """What became of one submitted event.

    `code`, `key`, `value` and `message` say why it was rejected or conflicts; `dropped` names
    metadata that was not kept.
    """

    status: Status
    event_id: str | None = None
    code: str | None = None
    key: str | None = None
    value: str | None = None
    message: str | None = None
    dropped: tuple[str, ...] = ()


class _Booking(NamedTuple):
    place: int
    event: UsageEvent
    dropped: tuple[str, ...]


class Intake:
    """Books submitted events of any tenants, each tenant's in transactions of its own."""

    def __init__(self, engine: sa.Engine, *, rules: Rules, auto_register: bool = False) -> None:
        self._engine = engine
        self._rules = rules
        self._auto_register = auto_register

    def book(
        self, submitted: Sequence[object], *, only_tenant: TenantId | None, now: datetime
    ) -> list[Result]:
        """Validate, normalise and book; return one result per submitted event, in order.

        An element that is an `InvalidError` is answered as rejected with it: that is how the
        formats hand on what they could not read.

        Raises:
            UnavailableError: the ledger did not answer. What was booked before stays booked;
                sending all again is safe.
        """
        results: list[Result | None] = [None] * len(submitted)
        by_tenant: dict[TenantId, list[tuple[int, Submission]]] = {}
        for index, item in enumerate(submitted):
            try:
                if isinstance(item, InvalidError):
                    raise item
                read = read_event(item, rules=self._rules, only_tenant=only_tenant, now=now)
            except InvalidError as error:
                results[index] = _rejected(item, error)
            else:
                by_tenant.setdefault(read.tenant_id, []).append((index, read))
        tenants = self._find_tenants(set(by_tenant), now=now)
        for tenant_id in sorted(by_tenant):
            self._book_tenant(tenants.get(tenant_id), by_tenant[tenant_id], results, now=now)
        return [result for result in results if result is not None]

    def _book_tenant(
        self,
        tenant: Tenant | None,
        submissions: list[tuple[int, Submission]],
        results: list[Result | None],
        *,
        now: datetime,
    ) -> None:
        bookings: list[_Booking] = []
        for index, submission in submissions:
            try:
                event = _event(submission, tenant)
            except InvalidError as error:
                results[index] = _rejected(submission, error)
            else:
                bookings.append(_Booking(index, event, submission.cleaned.dropped))
        if tenant is None:
            return
        for start in range(0, len(bookings), TRANSACTION_EVENTS):
            chunk = bookings[start : start + TRANSACTION_EVENTS]
            with tenant_session(self._engine, tenant.tenant_id, write=True) as session:
                statuses = book_events(session, [booking.event for booking in chunk], now=now)
            for booking, status in zip(chunk, statuses, strict=True):
                results[booking.place] = _answer(booking, status)

    def _find_tenants(self, ids: set[TenantId], *, now: datetime) -> dict[TenantId, Tenant]:
        with operator_session(self._engine) as session:
            found = find_tenants(session, ids)
        if self._auto_register:
            for tenant_id in sorted(ids - found.keys()):
                found[tenant_id] = self._register(tenant_id, now=now)
        return found

    def _register(self, tenant_id: TenantId, *, now: datetime) -> Tenant:
        with operator_session(self._engine, write=True) as session:
            try:
                return add_tenant(session, tenant_id, name=tenant_id, now=now)
            except ConflictError:  # another process was faster
                return find_tenants(session, {tenant_id})[tenant_id]


def build_intake(engine: sa.Engine, settings: Settings) -> Intake:
    """Build the intake that the settings describe."""
    hash_key = settings.hash_key
    policy = MetadataPolicy(
        allowed=frozenset(DEFAULT_KEYS | settings.metadata_keys),
        hash_key=None if hash_key is None else hash_key.get_secret_value().encode(),
    )
    rules = Rules(policy=policy, max_future=timedelta(seconds=settings.max_future_seconds))
    return Intake(engine, rules=rules, auto_register=settings.auto_register_tenants)


def _event(submission: Submission, tenant: Tenant | None) -> UsageEvent:
    if tenant is None:
        raise InvalidError(
            "unknown_tenant",
            "register the tenant first, with `meterline tenant add`",
            key="tenant",
            value=submission.tenant_id,
        )
    return submission.for_tenant(tenant)


def _answer(booking: _Booking, status: Status) -> Result:
    event_id = booking.event.event_id
    if status is Status.CONFLICT:
        return Result(
            status,
            event_id,
            code="id_conflict",
            key="id",
            message="this id was booked before with another content; the first one stands",
        )
    return Result(status, event_id, dropped=booking.dropped)


def _rejected(item: object, error: InvalidError) -> Result:
    event_id = item.event_id if isinstance(item, Submission) else None
    if isinstance(item, dict) and isinstance(item.get("id"), str) and error.code != "personal_data":
        event_id = item["id"][:255]
    return Result(
        Status.REJECTED,
        event_id,
        code=error.code,
        key=error.key,
        value=error.value,
        message=error.message,
    )
