import pytest

from ledger.accounts.roles import Role, check_role_tenant, parse_role
from ledger.errors import InvalidError
from ledger.tenant import TenantId

ACME = TenantId("acme")


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (Role.ROOT_ADMIN, False),
        (Role.OPS, False),
        (Role.TENANT_ADMIN, True),
        (Role.TENANT_MEMBER, True),
    ],
)
def test_a_role_belongs_to_a_tenant_or_to_the_operator(role: Role, *, expected: bool) -> None:
    assert expected == role.is_tenant_role


@pytest.mark.parametrize("role", list(Role))
def test_a_role_is_read_by_its_name(role: Role) -> None:
    assert role is parse_role(str(role))


@pytest.mark.parametrize("text", ["", "admin", "ROOT_ADMIN", "root_admin "])
def test_what_is_no_role_is_refused(text: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_role(text)
    assert "unknown_role" == refused.value.code


@pytest.mark.parametrize(
    ("role", "tenant_id"),
    [
        (Role.ROOT_ADMIN, None),
        (Role.OPS, None),
        (Role.TENANT_ADMIN, ACME),
        (Role.TENANT_MEMBER, ACME),
    ],
)
def test_a_role_with_the_tenant_that_it_needs_is_taken(
    role: Role, tenant_id: TenantId | None
) -> None:
    check_role_tenant(role, tenant_id)


@pytest.mark.parametrize("role", [Role.TENANT_ADMIN, Role.TENANT_MEMBER])
def test_a_role_of_a_tenant_needs_one(role: Role) -> None:
    with pytest.raises(InvalidError) as refused:
        check_role_tenant(role, None)
    assert "role_without_tenant" == refused.value.code


@pytest.mark.parametrize("role", [Role.ROOT_ADMIN, Role.OPS])
def test_a_role_of_the_operator_has_no_tenant(role: Role) -> None:
    with pytest.raises(InvalidError) as refused:
        check_role_tenant(role, ACME)
    assert "role_with_tenant" == refused.value.code
