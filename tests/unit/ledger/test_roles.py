"""From 16 on PostgreSQL tells a member that may become a role from one that may only give it."""

import pytest

from ledger.roles import ask_for_membership, give_membership

CASES = [
    (15, "MEMBER", "GRANT meterline_tenant TO app"),
    (16, "SET", "GRANT meterline_tenant TO app WITH SET TRUE"),
    (18, "SET", "GRANT meterline_tenant TO app WITH SET TRUE"),
]


@pytest.mark.parametrize(("version", "kind", "_grant"), CASES)
def test_the_kind_of_membership_asked_for_lets_a_login_become_the_role(
    version: int, kind: str, _grant: str
) -> None:
    assert kind == ask_for_membership(version)


@pytest.mark.parametrize(("version", "_kind", "grant"), CASES)
def test_the_membership_given_lets_a_login_become_the_role(
    version: int, _kind: str, grant: str
) -> None:
    assert grant == give_membership("meterline_tenant", to="app", version=version)
