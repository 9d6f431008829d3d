"""Usage that has no price of its own: conditions on rollup rows, and how much of it there is."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from ledger.columns import whole_sum
from ledger.models import usage_rollups_daily
from ledger.session import OperatorSession

FLAT_PRICE_SOURCE = "flat"
"""Price source of rows that the flat map rated."""

FLAT_RATED_DAYS = timedelta(days=30)
"""How far back flat-rated usage is counted: a price that comes changes no row that is rated."""

_ROW = usage_rollups_daily.c

# Written out: the indexes are of such rows alone, which a parameter would hide.
IS_UNPRICED: sa.ColumnElement[bool] = _ROW.state == sa.literal_column("'unpriced'")
IS_FLAT_RATED_AI: sa.ColumnElement[bool] = sa.and_(
    _ROW.price_source == sa.literal_column(f"'{FLAT_PRICE_SOURCE}'"),
    _ROW.channel == sa.literal_column("'ai'"),
)


class Missing(NamedTuple):
    """How much usage has no price of its own. Corrections carry a sign in usages, not in rows."""

    rows: int
    usages: int


def measure_unpriced(session: OperatorSession) -> Mapping[str, Missing]:
    """Return by channel what is unpriced, whenever it was used."""
    query = sa.select(_ROW.channel, sa.func.count(), whole_sum(_ROW["count"])).where(IS_UNPRICED)
    rows = session.connection.execute(query.group_by(_ROW.channel))
    return {channel: Missing(count, usages) for channel, count, usages in rows}


def measure_flat_rated(session: OperatorSession, *, now: datetime) -> Missing:
    """Return what AI usage of the last `FLAT_RATED_DAYS` the flat map rated."""
    since = (now - FLAT_RATED_DAYS).date()
    query = sa.select(sa.func.count(), whole_sum(_ROW["count"])).where(
        IS_FLAT_RATED_AI, _ROW.date >= since
    )
    count, usages = session.connection.execute(query).one()
    return Missing(count, usages or 0)
