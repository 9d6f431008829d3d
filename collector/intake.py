"""Intake: every submitted event gets one answer, and a bad one never fails its neighbours."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from collector.events import FindTenant, Read, Rules, read_event
from collector.ids import MAX_ID
from collector.metadata import DEFAULT_KEYS, MetadataPolicy
from collector.personal import PERSONAL, is_personal, is_personal_identifier
from collector.store import book_alone, book_events
from ledger.errors import ConflictError, InvalidError, shorten
from ledger.event import Status, UsageEvent
from ledger.session import insist, operator_session, tenant_session
from ledger.settings import Settings
from ledger.tenant import Tenant, TenantId, is_tenant_id
from ledger.tenants import add_tenant, find_tenants, look_up_tenant

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


_Queue = list[tuple[int, Read]]
"""What one tenant's part of a request comes to, each with the place of its answer."""


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
        queues: defaultdict[TenantId, _Queue] = defaultdict(list)
        find_tenant = self._tenant_finder(submitted, only_tenant, now=now)
        for place, item in enumerate(submitted):
            try:
                if isinstance(item, InvalidError):
                    raise item
                read = read_event(
                    item,
                    rules=self._rules,
                    find_tenant=find_tenant,
                    only_tenant=only_tenant,
                    now=now,
                )
            except InvalidError as error:
                results[place] = _rejected(item, error)
            else:
                queues[read.tenant_id].append((place, read))
        for tenant_id in sorted(queues):
            self._book_queue(tenant_id, queues[tenant_id], results, now=now)
        return [result for result in results if result is not None]

    def _book_queue(
        self, tenant_id: TenantId, queue: _Queue, results: list[Result | None], *, now: datetime
    ) -> None:
        for start in range(0, len(queue), TRANSACTION_EVENTS):
            part = queue[start : start + TRANSACTION_EVENTS]
            statuses = self._book_part(tenant_id, [read.event for _, read in part], now=now)
            for (place, read), status in zip(part, statuses, strict=True):
                results[place] = _answer(read, status)

    def _book_part(
        self, tenant_id: TenantId, events: list[UsageEvent], *, now: datetime
    ) -> list[Status]:
        def book() -> list[Status]:
            if len(events) == 1 and book_alone(self._engine, tenant_id, events[0], now=now):
                return [Status.STORED]
            with tenant_session(self._engine, tenant_id, write=True) as session:
                return book_events(session, events, now=now)

        return insist(book)

    def _tenant_finder(
        self, submitted: Sequence[object], only_tenant: TenantId | None, *, now: datetime
    ) -> FindTenant:
        """Return a look-up that knows all tenants of a request after one query."""
        found = self._find_tenants(_named_tenants(submitted, only_tenant))
        if not self._auto_register:
            return found.get

        def find_or_register(tenant_id: TenantId) -> Tenant:
            if tenant_id not in found:
                found[tenant_id] = register_tenant(self._engine, tenant_id, now=now)
            return found[tenant_id]

        return find_or_register

    def _find_tenants(self, named: set[TenantId]) -> dict[TenantId, Tenant]:
        if not named:
            return {}
        if len(named) == 1:  # nearly always
            (tenant_id,) = named
            tenant = look_up_tenant(self._engine, tenant_id)
            return {} if tenant is None else {tenant_id: tenant}
        with operator_session(self._engine) as session:
            return find_tenants(session, named)


def register_tenant(engine: sa.Engine, tenant_id: TenantId, *, now: datetime) -> Tenant:
    """Register a tenant that usage has named, under its id; return it, whoever was first."""
    with operator_session(engine, write=True) as session:
        try:
            return add_tenant(session, tenant_id, name=tenant_id, now=now)
        except ConflictError:  # another process was faster
            return find_tenants(session, {tenant_id})[tenant_id]


def build_rules(settings: Settings) -> Rules:
    """Return what the settings say that usage is checked against."""
    policy = MetadataPolicy(
        allowed=frozenset(DEFAULT_KEYS | settings.metadata_keys),
        hash_key=settings.hash_key_bytes,
    )
    return Rules(policy=policy, max_future=timedelta(seconds=settings.max_future_seconds))


def build_intake(engine: sa.Engine, settings: Settings) -> Intake:
    """Build the intake that the settings describe."""
    return Intake(engine, rules=build_rules(settings), auto_register=settings.auto_register_tenants)


def _named_tenants(submitted: Sequence[object], only_tenant: TenantId | None) -> set[TenantId]:
    if only_tenant is not None:
        return {only_tenant}
    named = (item.get("tenant") for item in submitted if isinstance(item, dict))
    # What can be no tenant is not asked for: there are texts that a database does not take, and the
    # whole request would fail for one of them.
    return {name for name in named if is_tenant_id(name)}


def _answer(read: Read, status: Status) -> Result:
    event_id, dropped = read.event.event_id, read.dropped
    if status is Status.STORED and not dropped:  # nearly always
        return Result(status, event_id)
    if status is Status.CONFLICT:
        return Result(
            status,
            event_id,
            code="id_conflict",
            key="id",
            message="this id was booked before with another content; the first one stands",
        )
    return Result(status, event_id, dropped=tuple(_redact(shorten(k)) or "" for k in dropped))


def _rejected(item: object, error: InvalidError) -> Result:
    event_id = item.get("id") if isinstance(item, dict) else None
    if not isinstance(event_id, str) or is_personal_identifier(event_id):
        event_id = None
    return Result(
        Status.REJECTED,
        shorten(event_id, MAX_ID),
        code=error.code,
        key=_redact(error.key),
        value=_redact(error.value),
        message=error.message,
    )


def _redact(text: str | None) -> str | None:
    """Return what may be echoed: answers end up in logs, where nothing personal belongs."""
    return PERSONAL if text is not None and is_personal(text) else text
