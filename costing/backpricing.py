"""Prices rows that had no price, once there is one. Rows that have a price are left as they are."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa

from costing.pricing.rating import rate_usage
from costing.recompute import Change
from costing.rollup import Pricing, rate_again
from costing.store import Cause
from costing.writing import read_needed, write_changes
from ledger.missing import IS_UNPRICED
from ledger.models import usage_rollups_daily
from ledger.rollups import SP3_PRICE_VERSION, State, read_rollups
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId

ROWS_AT_ONCE = 5_000
"""Most rows looked at in one transaction."""


class Place(NamedTuple):
    """Where a page of rows ended, in the order of their primary key."""

    date: date
    rollup_id: UUID


class Page(NamedTuple):
    """How many rows of a page were priced, and where it ended; None: it was the last."""

    priced: int
    end: Place | None


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


def backprice(
    session: TenantSession, pricing: Pricing, *, after: Place | None, now: datetime
) -> Page:
    """Price what can be priced of the next page of a tenant's unpriced rows.

    The caller holds the tenant's costing lock.

    Args:
        session: of the tenant, writing.
        pricing: of the tenant.
        after: where the page before ended, None for the first.
        now: the current instant.

    Raises:
        UnkeptError: where the rates have to be kept first.
    """
    further = () if after is None else (sa.tuple_(_ROW.date, _ROW.rollup_id) > after,)
    rows = list(read_rollups(session, *_WAITING, *further, limit=ROWS_AT_ONCE).values())
    found = [(row, pricing.rates_of(row.key)) for row in rows]
    priced = [
        (row, rates)
        for row, rates in found
        if rate_usage(rates, row.key, row.tally.measures).state is not State.UNPRICED
    ]
    read_needed(session, (), (rates for _, rates in priced))
    changes = [Change(row, rate_again(row, row.tally, rates)) for row, rates in priced]
    write_changes(session, pricing.tenant, changes, cause=Cause.BACKPRICE, now=now)
    is_last = len(rows) < ROWS_AT_ONCE
    last = None if is_last else rows[-1].key
    return Page(len(changes), None if last is None else Place(last.date, last.rollup_id))
