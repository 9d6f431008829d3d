"""What things are called in Grafana, so that what is a tenant's is found again by its name."""

from ledger.digest import digest_secret
from ledger.tenant import Tenant, TenantId

MAIN_ORG = 1
"""Grafana's first organisation, which every installation has; operators look at boards in it."""

OPERATOR_LOGIN = "meterline.operator"
OPERATOR_NAME = "Meterline operators"

FOLDER_UID = "meterline"
FOLDER_TITLE = "Meterline"

_PREFIX = "meterline.tenant."
_MARK_BYTES = 8
_MAX_ORG_NAME = 190


def login_of(tenant_id: TenantId) -> str:
    """Return the login of a tenant's viewer; no two tenants have the same.

    Grafana takes logins that differ in capitals alone for one, and tenants may: an id with capitals
    gets a mark that another spelling has not. A tilde is in no tenant id.
    """
    return _PREFIX + _folded(tenant_id)


def email_of(login: str) -> str:
    """Return an address that leads nowhere: Grafana wants one that nobody else has."""
    return f"{login}@meterline.invalid"


def org_name_of(tenant: Tenant) -> str:
    """Return the name of a tenant's organisation: what people call it, and its id at the end."""
    ending = _ending_of(tenant.tenant_id)
    return tenant.name[: _MAX_ORG_NAME - len(ending)] + ending


def is_org_of(tenant_id: TenantId, name: str) -> bool:
    """Whether an organisation of this name is the tenant's. No tenant can choose how it ends."""
    return name.endswith(_ending_of(tenant_id))


def _ending_of(tenant_id: TenantId) -> str:
    return f" ({_folded(tenant_id)})"


def _folded(tenant_id: TenantId) -> str:
    lower = tenant_id.lower()
    if lower == tenant_id:
        return lower
    return f"{lower}~{digest_secret(tenant_id)[:_MARK_BYTES].hex()}"
