"""The SQL of usage that waits to be attributed: what claims it, and where it went."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from collector.attribution.claims import ClaimKey
from collector.facts.claim import ClaimKind
from ledger.columns import whole_sum
from ledger.models import unattributed_usage
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import UNATTRIBUTED, TenantId

_COLUMNS = unattributed_usage.c
_OWN = _COLUMNS.tenant_id == UNATTRIBUTED
_WAITS = (_OWN, _COLUMNS.arrived_at.is_(None), _COLUMNS.target.is_(None))
_TRAVELS = (_OWN, _COLUMNS.arrived_at.is_(None), _COLUMNS.target.is_not(None))


class Waiting(NamedTuple):
    """Usage that waits with the same claims, in their order of precedence."""

    claims: tuple[ClaimKey, ...]
    usages: int
    first: datetime
    last: datetime


class InTransit(NamedTuple):
    """What has left `_unattributed` and has not arrived: it is in no tenant's figures."""

    target: TenantId
    channel: str | None
    usages: int
    quantity: int


def read_waiting(session: OperatorSession | TenantSession) -> list[Waiting]:
    """Return what waits, by its claims, most usages first."""
    count = sa.func.count()
    query = (
        sa.select(_COLUMNS.claims, count, sa.func.min(_COLUMNS.time), sa.func.max(_COLUMNS.time))
        .where(*_WAITS)
        .group_by(_COLUMNS.claims)
        .order_by(count.desc(), _COLUMNS.claims)
    )
    rows = session.connection.execute(query)
    return [Waiting(load_claims(row[0]), *row[1:]) for row in rows]


def read_in_transit(session: OperatorSession | TenantSession) -> list[InTransit]:
    """Return what is on its way, by tenant and channel."""
    key = (_COLUMNS.target, _COLUMNS.channel)
    query = (
        sa.select(*key, sa.func.count(), sa.func.coalesce(whole_sum(_COLUMNS.quantity), 0))
        .where(*_TRAVELS)
        .group_by(*key)
        .order_by(*key)
    )
    return [InTransit(*row) for row in session.connection.execute(query)]


def dump_claims(claims: Sequence[ClaimKey]) -> str:
    """Return claims as they are stored: the same claims are the same text."""
    return orjson.dumps([list(claim) for claim in claims]).decode()


def load_claims(text: str) -> tuple[ClaimKey, ...]:
    """Read stored claims."""
    stored: Iterable[list[Any]] = orjson.loads(text)
    return tuple(ClaimKey(ClaimKind(kind), value, digits) for kind, value, digits in stored)
