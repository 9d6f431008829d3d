import pytest

from api.pages.addresses import home_of, local_address
from ledger.accounts.roles import Role


@pytest.mark.parametrize(
    "text",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "https://evil.example",
        "https:evil.example",
        "https:",
        "javascript:alert(1)",
        "evil.example",
        "/usage\r\nSet-Cookie: a=b",
        "/usage\x00",
        "/usage\\..\\x",
        "/" + "a" * 2000,
        "",
        None,
    ],
)
def test_what_may_lead_elsewhere_is_no_local_address(text: str | None) -> None:
    assert local_address(text) is None


@pytest.mark.parametrize("text", ["/", "/usage", "/admin/usage?plan=Pro%20Plus&page=2", "/a//b"])
def test_a_path_on_this_server_is_a_local_address(text: str) -> None:
    assert text == local_address(text)


def test_every_role_has_a_page_to_start_with() -> None:
    expected = {
        Role.ROOT_ADMIN: "/admin/usage",
        Role.OPS: "/admin/usage",
        Role.TENANT_ADMIN: "/usage",
        Role.TENANT_MEMBER: "/",
    }
    assert expected == {role: home_of(role) for role in Role}
