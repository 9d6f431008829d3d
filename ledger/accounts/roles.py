"""What a person may be: each role either belongs to one tenant or to the operator."""

from enum import StrEnum
from typing import assert_never

from ledger.errors import InvalidError
from ledger.tenant import TenantId


class Role(StrEnum):
    """What a signed-in person may see: all tenants, one tenant, or one without its bills."""

    ROOT_ADMIN = "root_admin"
    TENANT_ADMIN = "tenant_admin"
    TENANT_MEMBER = "tenant_member"
    OPS = "ops"

    @property
    def is_tenant_role(self) -> bool:
        """Whether the role only makes sense within one tenant."""
        match self:
            case Role.TENANT_ADMIN | Role.TENANT_MEMBER:
                return True
            case Role.ROOT_ADMIN | Role.OPS:
                return False
            case _:
                assert_never(self)


def parse_role(text: str) -> Role:
    """Check the name of a role.

    Raises:
        InvalidError: `unknown_role`.
    """
    try:
        return Role(text)
    except ValueError:
        raise InvalidError(
            "unknown_role", f"roles are {', '.join(Role)}", key="role", value=text
        ) from None


def check_role_tenant(role: Role, tenant_id: TenantId | None) -> None:
    """Check that a tenant's role has its tenant, and an operator's role has none.

    Raises:
        InvalidError: `role_without_tenant` or `role_with_tenant`.
    """
    if role.is_tenant_role and tenant_id is None:
        raise InvalidError("role_without_tenant", f"{role} needs a tenant", key="tenant")
    if not role.is_tenant_role and tenant_id is not None:
        raise InvalidError(
            "role_with_tenant", f"{role} sees all tenants and has none", key="tenant"
        )
