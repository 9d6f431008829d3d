"""Usage that lacks a price of its own, the most of it first: what an operator should price."""

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from ledger.columns import whole_sum
from ledger.missing import IS_FLAT_RATED_AI, IS_UNPRICED
from ledger.models import usage_rollups_daily
from ledger.period import DateRange
from ledger.session import OperatorSession
from ledger.tenant import TenantId

_ROW = usage_rollups_daily.c
_KEY = (_ROW.channel, _ROW.direction, _ROW.model, _ROW.price_class)


class Lack(StrEnum):
    """What usage has in place of a price of its own: none at all, or the rate of the flat map."""

    UNPRICED = "unpriced"
    FLAT = "flat"


_CONDITIONS = {Lack.UNPRICED: IS_UNPRICED, Lack.FLAT: IS_FLAT_RATED_AI}


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingPrice:
    """Usage of one kind, of all tenants that are asked for.

    Attributes:
        tenants: how many have such usage.
        rows: rollup rows.
        count: usages; corrections carry a sign.
        quantity: segments, messages, minutes, recipients, or tokens of all kinds.
    """

    state: Lack
    channel: str
    direction: str
    model: str | None
    price_class: str
    tenants: int
    rows: int
    count: int
    quantity: int


def read_missing(
    session: OperatorSession,
    *,
    tenant_id: TenantId | None = None,
    dates: DateRange | None = None,
) -> list[MissingPrice]:
    """Return usage that is unpriced, and AI usage that the flat map rates, the worst first.

    What is unpriced comes before what is flat-rated, then more usages before fewer.

    Args:
        session: over all tenants.
        tenant_id: of this tenant alone.
        dates: on these local dates alone.
    """
    within = [] if tenant_id is None else [_ROW.tenant_id == tenant_id]
    if dates is not None:
        within += [_ROW.date >= dates.start, _ROW.date < dates.end]
    found = [
        each
        for state, lacks in _CONDITIONS.items()
        for each in _read(session, state, lacks, *within)
    ]
    return sorted(found, key=_place)


def _read(
    session: OperatorSession, state: Lack, *conditions: sa.ColumnElement[bool]
) -> list[MissingPrice]:
    query = (
        sa.select(
            *_KEY,
            sa.func.count(sa.distinct(_ROW.tenant_id)).label("tenants"),
            sa.func.count().label("rows"),
            whole_sum(_ROW["count"]).label("count"),
            whole_sum(_ROW.quantity).label("quantity"),
        )
        .where(*conditions)
        .group_by(*_KEY)
    )
    rows = session.connection.execute(query).mappings()
    return [MissingPrice(state=state, **row) for row in rows]


def _place(found: MissingPrice) -> tuple[object, ...]:
    key = (found.channel, found.direction, found.model or "", found.price_class)
    return (found.state is not Lack.UNPRICED, -found.count, -found.quantity, key)
