"""Confines a statement to a tenant: its condition goes into every SELECT that reads points.

A condition further out would come too late: what a subquery adds up is one sum of all tenants.
"""

from dataclasses import replace

from api.gateway.influxql.catalogue import TENANT
from api.gateway.influxql.tree import (
    And,
    Comparison,
    Condition,
    Kind,
    Name,
    Select,
    ShowTagValues,
    Text,
)
from ledger.tenant import TenantId


def confine_select(select: Select, tenant_id: TenantId) -> Select:
    """Return the statement that sees what it did, of this tenant alone."""
    if any(isinstance(source, Select) for source in select.sources):
        inner = (s for s in select.sources if isinstance(s, Select))
        return replace(select, sources=tuple(confine_select(each, tenant_id) for each in inner))
    return replace(select, condition=_with_tenant(select.condition, tenant_id))


def confine_show(show: ShowTagValues, tenant_id: TenantId) -> ShowTagValues:
    """Return the statement that lists values of this tenant's points alone."""
    return replace(show, condition=_with_tenant(show.condition, tenant_id))


def _with_tenant(condition: Condition | None, tenant_id: TenantId) -> Condition:
    # The cast matters: without it a field of this name would be looked at first.
    own = Comparison(Name(TENANT, Kind.TAG), "=", Text(tenant_id))
    match condition:
        case None:
            return own
        case And(terms):
            return And((own, *terms))
        case _:
            return And((own, condition))
