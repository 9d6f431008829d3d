"""What kinds of usage the rollup rows have: for those who ask what prices would do to them."""

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa

from ledger.models import usage_rollups_daily
from ledger.rollups import SP3_PRICE_VERSION, RollupKey, State
from ledger.session import OperatorSession
from ledger.tenant import TenantId

_ROW = usage_rollups_daily.c
_KIND = (
    _ROW.tenant_id,
    _ROW.date,
    _ROW.channel,
    _ROW.direction,
    _ROW.model,
    _ROW.price_class,
)
_AT_ONCE = 5_000

RATED: sa.ColumnElement[bool] = sa.and_(
    _ROW.state != State.UNPRICED, _ROW.price_version != SP3_PRICE_VERSION
)
"""The condition on rows that rates rated."""


class Usage(NamedTuple):
    """Rollup rows that have one price, whatever their source and feature, and how many they are."""

    tenant_id: TenantId
    key: RollupKey
    rows: int


def since(first: date) -> sa.ColumnElement[bool]:
    """Return the condition on rows of a date or later."""
    return _ROW.date >= first


def read_usages(session: OperatorSession, *conditions: sa.ColumnElement[bool]) -> Iterator[Usage]:
    """Yield what the rows that meet conditions are of, while it is read."""
    query = sa.select(*_KIND, sa.func.count()).where(*conditions).group_by(*_KIND)
    options = {"yield_per": _AT_ONCE}
    for row in session.connection.execute(query, execution_options=options):
        tenant_id, day, channel, direction, model, price_class, rows = row
        key = RollupKey(day, channel, direction, None, None, model, price_class)
        yield Usage(TenantId(tenant_id), key, rows)


class Used(NamedTuple):
    """A kind of usage that a tenant has had, whenever."""

    tenant_id: TenantId
    channel: str
    direction: str
    model: str | None
    price_class: str


def read_used(session: OperatorSession, tenant_id: TenantId | None = None) -> set[Used]:
    """Return the kinds of usage there have been, of one tenant or of all."""
    query = sa.select(*_KIND[:1], *_KIND[2:]).where(_ROW.price_version != SP3_PRICE_VERSION)
    if tenant_id is not None:
        query = query.where(_ROW.tenant_id == tenant_id)
    return {Used(*row) for row in session.connection.execute(query.distinct())}
