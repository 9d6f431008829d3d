"""Options that several commands take, checked against the ledger."""

from cli.wiring import Wiring
from ledger.session import operator_session
from ledger.tenant import Tenant, TenantId, parse_tenant_id
from ledger.tenants import get_tenant, list_tenants


def known_tenant(wiring: Wiring, tenant_id: str | None) -> TenantId | None:
    """Return the tenant that an option names; None where it names none.

    Raises:
        InvalidError: `invalid_tenant`.
        MissingError: `unknown_tenant`.
    """
    if tenant_id is None:
        return None
    with operator_session(wiring.engine) as session:
        return get_tenant(session, parse_tenant_id(tenant_id, reserved=True)).tenant_id


def known_tenants(wiring: Wiring, tenant_id: str | None) -> list[Tenant]:
    """Return the tenant that an option names, or all.

    Raises:
        InvalidError: `invalid_tenant`.
        MissingError: `unknown_tenant`.
    """
    with operator_session(wiring.engine) as session:
        if tenant_id is None:
            return list_tenants(session)
        return [get_tenant(session, parse_tenant_id(tenant_id, reserved=True))]
