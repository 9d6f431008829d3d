"""Notices of budgets in SQL: what waits to be sent, and what became of it.

A notice is made in the transaction that notes its crossing, and sent after that: it waits until
somebody has sent it or it is given up. Whoever sends it claims it first, which moves it ahead; a
sender that dies leaves it to be due again. So each is sent at least once, under one id.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import orjson
import sqlalchemy as sa

from ledger.models import budget_notices, tenants
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId

FAILED_WITHIN = timedelta(days=1)
"""How long a notice that was given up is told of: what is older is in the table alone."""

_IN_ONE_QUERY = 500
_NOTICE = budget_notices.c
# Written out: the index is of such rows alone.
_WAITS = sa.and_(_NOTICE.sent_at.is_(None), _NOTICE.failed_at.is_(None))


class Medium(StrEnum):
    """By what a notice goes out."""

    MAIL = "mail"
    WEBHOOK = "webhook"


class Fate(StrEnum):
    """What became of a notice."""

    SENT = "sent"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetNotice:
    """One message of one crossing.

    Attributes:
        notice_id: the same at each attempt, unique within the tenant.
        recipients: addresses of a mail; a webhook has none.
        document: what there is to say, as JSON, byte for byte as it is sent by webhook.
        attempts: how often it was claimed, this time included.
    """

    notice_id: str
    medium: Medium
    recipients: tuple[str, ...]
    document: str
    created_at: datetime
    attempts: int = 0


class NoticeName(NamedTuple):
    """Whose notice it is, and which of theirs."""

    tenant_id: TenantId
    notice_id: str


class Undelivered(NamedTuple):
    """Notices that wait, when the oldest of them was made, and those given up of late."""

    waiting: int
    oldest: datetime | None
    failed: int


def add_notices(session: TenantSession, notices: Iterable[BudgetNotice]) -> None:
    """Let notices wait from the end of this transaction on."""
    rows = [
        {
            "tenant_id": session.tenant_id,
            "notice_id": notice.notice_id,
            "medium": str(notice.medium),
            "recipients": orjson.dumps(notice.recipients).decode(),
            "document": notice.document,
            "created_at": notice.created_at,
            "due_at": notice.created_at,
        }
        for notice in notices
    ]
    if rows:
        session.connection.execute(sa.insert(budget_notices), rows)


def list_due(
    session: OperatorSession, media: Iterable[Medium], *, now: datetime, limit: int
) -> list[tuple[TenantId, str]]:
    """Return tenant and id of notices that are due, the longest due first."""
    query = (
        sa.select(_NOTICE.tenant_id, _NOTICE.notice_id)
        .where(_is_due(media, now))
        .order_by(_NOTICE.due_at, _NOTICE.tenant_id, _NOTICE.notice_id)
        .limit(limit)
    )
    rows = session.connection.execute(query)
    return [(TenantId(tenant_id), notice_id) for tenant_id, notice_id in rows]


def claim_notice(
    session: TenantSession,
    notice_id: str,
    media: Iterable[Medium],
    *,
    now: datetime,
    until: datetime,
) -> BudgetNotice | None:
    """Claim a notice until an instant, if it is due and for one of these media.

    None also says that somebody else has it or had it.
    """
    statement = (
        sa.update(budget_notices)
        .where(
            _NOTICE.tenant_id == session.tenant_id,
            _NOTICE.notice_id == notice_id,
            _is_due(media, now),
        )
        .values(due_at=until, attempts=_NOTICE.attempts + 1)
        .returning(
            _NOTICE.medium,
            _NOTICE.recipients,
            _NOTICE.document,
            _NOTICE.created_at,
            _NOTICE.attempts,
        )
    )
    row = session.connection.execute(statement).first()
    if row is None:
        return None
    return BudgetNotice(
        notice_id=notice_id,
        medium=Medium(row.medium),
        recipients=tuple(orjson.loads(row.recipients)),
        document=row.document,
        created_at=row.created_at,
        attempts=row.attempts,
    )


def renew_claim(session: TenantSession, notice: BudgetNotice, *, until: datetime) -> None:
    """Claim a notice for longer, unless somebody else has it since or had it."""
    _note(session, notice, due_at=until)


def note_sent(session: TenantSession, notice: BudgetNotice, *, now: datetime) -> bool:
    """Note that a notice went out; tell whether nobody had noted that before."""
    values = {"sent_at": now, "failed_at": None, "last_error": None}
    statement = sa.update(budget_notices).where(*_own(session, notice), _NOTICE.sent_at.is_(None))
    return session.connection.execute(statement.values(values)).rowcount == 1


def put_off(session: TenantSession, notice: BudgetNotice, *, error: str, due_at: datetime) -> None:
    """Note that an attempt failed, and when the next one is due."""
    _note(session, notice, last_error=error, due_at=due_at)


def give_up(session: TenantSession, notice: BudgetNotice, *, error: str, now: datetime) -> None:
    """Note that an attempt failed, and that there is no next one."""
    _note(session, notice, last_error=error, failed_at=now)


def _note(session: TenantSession, notice: BudgetNotice, **values: object) -> None:
    # Where another sender claimed it since, or sent it, that one knows better.
    is_last = (_NOTICE.attempts == notice.attempts, _WAITS)
    statement = sa.update(budget_notices).where(*_own(session, notice), *is_last)
    session.connection.execute(statement.values(values))


def read_fates(session: TenantSession, notice_ids: Collection[str]) -> dict[str, Fate]:
    """Return what became of these notices, without those that were never made."""
    query = sa.select(_NOTICE.notice_id, _NOTICE.sent_at, _NOTICE.failed_at).where(
        _NOTICE.tenant_id == session.tenant_id, _NOTICE.notice_id.in_(notice_ids)
    )
    return {
        notice_id: Fate.SENT if sent_at else Fate.FAILED if failed_at else Fate.WAITING
        for notice_id, sent_at, failed_at in session.connection.execute(query)
    }


def find_recipients(
    session: OperatorSession, named: Iterable[NoticeName]
) -> dict[NoticeName, tuple[str, ...]]:
    """Return whom these notices are for, without those that were never made."""
    wanted = sorted(set(named))
    found: dict[NoticeName, tuple[str, ...]] = {}
    for first in range(0, len(wanted), _IN_ONE_QUERY):
        part = wanted[first : first + _IN_ONE_QUERY]
        query = sa.select(_NOTICE.tenant_id, _NOTICE.notice_id, _NOTICE.recipients).where(
            sa.tuple_(_NOTICE.tenant_id, _NOTICE.notice_id).in_(part)
        )
        for tenant_id, notice_id, recipients in session.connection.execute(query):
            name = NoticeName(TenantId(tenant_id), notice_id)
            found[name] = tuple(orjson.loads(recipients))
    return found


def measure_undelivered(session: OperatorSession, *, now: datetime) -> Undelivered:
    """Return how many notices of all tenants wait, and how many were given up `FAILED_WITHIN`.

    What was given up because its tenant had closed is no failure.
    """
    waiting = sa.select(sa.func.count(), sa.func.min(_NOTICE.created_at)).where(_WAITS)
    count, oldest = session.connection.execute(waiting).one()
    closed_at = tenants.c.closed_at
    failed = (
        sa.select(sa.func.count())
        .select_from(budget_notices.join(tenants, tenants.c.tenant_id == _NOTICE.tenant_id))
        .where(
            _NOTICE.failed_at > now - FAILED_WITHIN,
            sa.or_(closed_at.is_(None), closed_at > _NOTICE.failed_at),
        )
    )
    return Undelivered(count, oldest, session.connection.execute(failed).scalar_one())


def _is_due(media: Iterable[Medium], now: datetime) -> sa.ColumnElement[bool]:
    named = _NOTICE.medium.in_([str(one) for one in media])
    return sa.and_(_WAITS, _NOTICE.due_at <= now, named)


def _own(session: TenantSession, notice: BudgetNotice) -> tuple[sa.ColumnElement[bool], ...]:
    return (_NOTICE.tenant_id == session.tenant_id, _NOTICE.notice_id == notice.notice_id)
