"""Finds rated rows that new price entries reach and a repricing does not.

They keep the rates that they have, beside new rows of the same days that take the new ones.
"""

from collections.abc import Collection, Sequence

from costing.pricing.late import find_late
from costing.pricing.laying import Laying
from costing.pricing.refusals import Fault
from costing.repricing.job import Scope
from costing.usages import Usage
from ledger.session import OperatorSession
from ledger.tenant import TenantId
from ledger.tenants import list_tenants


def find_outside(
    session: OperatorSession, laying: Laying, scope: Scope, repriced: Collection[TenantId]
) -> Sequence[Fault]:
    """Return by line of a price file which rated rows stay at other rates than it says.

    Args:
        session: reads the rows.
        laying: what laying the file down came to.
        scope: which rows of a tenant are rated again.
        repriced: the tenants whose rows are rated again.
    """

    def is_outside(usage: Usage) -> bool:
        return usage.tenant_id not in repriced or not scope.has(usage.key)

    tenants = {tenant.tenant_id: tenant for tenant in list_tenants(session)}
    late = find_late(session, laying.before, laying.new, tenants, among=is_outside)
    return [
        Fault(
            number,
            f"{found.rows} rated rollup rows of {len(found.tenants)} tenants, {found.first} to"
            f" {found.last}, would have other rates by it, too, and are not among those that are"
            " rated again: they stay as they are until a reprice has them in it",
        )
        for number, found in sorted(late.items())
    ]
