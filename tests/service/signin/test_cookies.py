"""The cookies of a sign-in: their flags, and tokens that are always new."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from ledger.accounts.roles import Role
from ledger.accounts.sign_ins import find_sign_in
from ledger.session import operator_session
from tests.access import (
    COOKIE,
    make_sign_in,
)
from tests.builders import NOW
from tests.service.signin.browsers import TENANT, flags_of, make_link, session_in, submit


def test_the_cookie_of_a_sign_in_is_out_of_reach_of_scripts_other_sites_and_plain_http(
    client: FlaskClient,
) -> None:
    expected = {"Secure", "HttpOnly", "Path=/", "SameSite=Lax", "Max-Age=43200"}
    assert expected == {f for f in flags_of(submit(client), COOKIE) if not f.startswith("Expires")}


def test_the_cookie_of_the_form_has_the_same_flags(client: FlaskClient) -> None:
    flags = flags_of(client.get("/signin"), "__Host-meterline_form")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= flags


def test_cookies_can_go_over_plain_http_where_that_is_set(
    open_app: Callable[..., FlaskClient],
) -> None:
    flags = flags_of(submit(open_app(secure_cookies=False)), "meterline_session")
    assert (False, True) == ("Secure" in flags, {"HttpOnly", "SameSite=Lax", "Path=/"} <= flags)


def test_a_cookie_without_the_prefix_counts_for_nothing_where_cookies_are_secure(
    client: FlaskClient, engine: sa.Engine
) -> None:
    client.set_cookie("meterline_session", make_sign_in(engine, Role.ROOT_ADMIN))
    assert 401 == client.get(TENANT).status_code


def test_every_sign_in_has_a_token_of_its_own(client: FlaskClient) -> None:
    tokens = [session_in(submit(client)) for _ in range(2)]
    assert (2, False) == (len(set(tokens)), None in tokens)


@pytest.mark.parametrize("by_link", [False, True])
def test_a_session_that_somebody_planted_does_not_become_the_users(
    client: FlaskClient, *, by_link: bool
) -> None:
    planted = "a-session-that-an-attacker-knows"
    client.set_cookie(COOKIE, planted)
    response = client.get(make_link(client)) if by_link else submit(client)
    given = session_in(response)
    client.set_cookie(COOKIE, planted)
    assert (True, False, 401) == (bool(given), given == planted, client.get(TENANT).status_code)


def test_a_sign_in_ends_the_one_that_the_browser_had(
    client: FlaskClient, engine: sa.Engine
) -> None:
    old = session_in(submit(client))
    assert old is not None
    submit(client, "root_admin")
    with operator_session(engine) as session:
        assert find_sign_in(session, old, now=NOW) is None


def test_a_token_of_a_sign_in_is_nowhere_in_the_ledger(
    client: FlaskClient, ledger_path: Any
) -> None:
    token = session_in(submit(client))
    assert token is not None
    files = [ledger_path, ledger_path.with_name("ledger.db-wal")]
    assert token.encode() not in b"".join(f.read_bytes() for f in files if f.exists())
