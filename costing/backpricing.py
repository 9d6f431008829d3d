"""Prices rows that had no price, once there is one. Rows that have a price are left as they are."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from costing.changes import read_needed, write_changes
from costing.pricing.rating import rate_usage
from costing.recompute import Change
from costing.rollup import Pricing, rate_again
from costing.store import Cause, lock_costing
from ledger.missing import IS_UNPRICED
from ledger.models import usage_rollups_daily
from ledger.rollups import SP3_PRICE_VERSION, State, read_rollups
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId

ROWS_AT_ONCE = 5_000
"""Most rows priced in one transaction."""

_ROW = usage_rollups_daily.c
_WAITING = (
    IS_UNPRICED,
    # An opening balance has no usage that could be rated.
    _ROW.price_version != SP3_PRICE_VERSION,
)


def list_unpriced_tenants(session: OperatorSession) -> Sequence[TenantId]:
    """Return the tenants that have rows without a price, in order."""
    query = sa.select(_ROW.tenant_id).where(*_WAITING).distinct().order_by(_ROW.tenant_id)
    return [TenantId(tenant_id) for tenant_id in session.connection.execute(query).scalars()]


def backprice(session: TenantSession, pricing: Pricing, *, now: datetime) -> int:
    """Price what can be priced of a tenant's unpriced rows; return how many there were.

    Raises:
        UnkeptError: where the rates have to be kept first.
    """
    lock_costing(session, now=None)
    rows = read_rollups(session, *_WAITING).values()
    found = [(row, pricing.rates_of(row.key)) for row in rows]
    priced = [
        (row, rates)
        for row, rates in found
        if rate_usage(rates, row.key, row.tally.measures).state is not State.UNPRICED
    ][:ROWS_AT_ONCE]
    read_needed(session, (), (rates for _, rates in priced))
    changes = [Change(row, rate_again(row, row.tally, rates)) for row, rates in priced]
    write_changes(session, pricing.tenant, changes, cause=Cause.BACKPRICE, now=now)
    return len(changes)
