"""Looks at what a tenant pays, as a transaction has to that rates its rows."""

from collections.abc import Callable

import sqlalchemy as sa

from costing.pricing.resolution import Book
from costing.rollup import Pricing
from ledger.session import OperatorSession, operator_session
from ledger.tenant import TenantId
from ledger.tenants import get_tenant

FindBook = Callable[[OperatorSession], Book]
"""Returns the price book to rate by, as it is in the session."""


def look(engine: sa.Engine, tenant_id: TenantId, find_book: FindBook) -> Pricing:
    """Return what a tenant pays: its plans, its time zones and the prices, of one moment.

    Each transaction that rates looks, and not before it has the tenant's costing lock: while a run
    goes on, and while it waits, a price may be laid down and the plan or the zone may change. On
    SQLite nothing of that happens from then on until the transaction ends.

    Raises:
        MissingError: `unknown_tenant`.
    """
    with operator_session(engine) as session:
        return Pricing(book=find_book(session), tenant=get_tenant(session, tenant_id))
