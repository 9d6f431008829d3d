"""What usage cost in the rows that it has left, while it is on its way to another tenant."""

from collections.abc import Mapping

from costing.pricing.books import read_kept
from costing.pricing.rating import rate_usage
from ledger.measures import Measures
from ledger.models import usage_rollups_daily
from ledger.money import Nanos
from ledger.rollups import RollupKey, read_rollups_of
from ledger.session import OperatorSession
from ledger.tenant import TenantId

_ROW = usage_rollups_daily.c


def cost_of_travelling(
    session: OperatorSession, left: TenantId, measures: Mapping[RollupKey, Measures]
) -> Nanos | None:
    """Return what left a tenant's figures; None where a part of it has no price, or none yet.

    Args:
        session: over all tenants.
        left: the tenant.
        measures: of the usage, by the row that it was in. A row that costing has not made yet has
            rated nothing.
    """
    rows = read_rollups_of(
        session,
        left,
        _ROW.date.in_({key.date for key in measures}),
        _ROW.rollup_id.in_({key.rollup_id for key in measures}),
    )
    kept = read_kept(session, {row.price_version for row in rows.values()})
    total = 0
    for key, measured in measures.items():
        row = rows.get(key)
        if row is None:
            return None
        cost = rate_usage(kept.of_version(row.price_version), key, measured).cost
        if cost is None:
            return None
        total += cost
    return Nanos(total)
