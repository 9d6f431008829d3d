import pytest

from ledger.accounts.identity import Identity, parse_subject
from ledger.accounts.roles import Role
from ledger.errors import InvalidError
from ledger.tenant import TenantId


@pytest.mark.parametrize("text", ["usr_17", "auth0|507f1f77", "urn:user:17", "8e0b-41", "a" * 128])
def test_an_id_of_the_host_is_a_subject(text: str) -> None:
    assert text == parse_subject(text)


@pytest.mark.parametrize(
    "text", ["", "jo@example.org", "+15551234567", "Jo Doe", "-17", "a" * 129, "usr\n", None, 17]
)
def test_what_is_no_id_or_personal_is_no_subject(text: object) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_subject(text)
    assert "invalid_subject" == refused.value.code


def test_a_refused_subject_is_not_repeated() -> None:
    with pytest.raises(InvalidError) as refused:
        parse_subject("jo@example.org")
    assert "jo@" not in f"{refused.value.message} {refused.value.value}"


@pytest.mark.parametrize(
    ("subject", "role", "tenant_id", "code"),
    [
        ("jo@example.org", Role.OPS, None, "invalid_subject"),
        ("usr_17", Role.TENANT_ADMIN, None, "role_without_tenant"),
        ("usr_17", Role.OPS, TenantId("acme"), "role_with_tenant"),
        ("usr_17", Role.TENANT_ADMIN, TenantId("a b"), "invalid_tenant"),
    ],
)
def test_an_identity_that_means_nothing_cannot_be_held(
    subject: str, role: Role, tenant_id: TenantId | None, code: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        Identity(subject=subject, role=role, tenant_id=tenant_id)
    assert code == refused.value.code
