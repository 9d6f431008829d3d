"""Signing a browser in: the form, one-time links, cookies, and what others might try with them."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.http import parse_cookie
from werkzeug.test import TestResponse

from api.app import create_app
from api.auth.csrf import make_csrf
from api.services import Services
from ledger.accounts.passwords import hash_password
from ledger.accounts.roles import Role
from ledger.accounts.sign_ins import find_sign_in
from ledger.accounts.users import disable_user
from ledger.keys import Scope
from ledger.models import sign_in_failures, sign_ins, users
from ledger.session import operator_session
from tests.access import (
    COOKIE,
    bearer,
    claims,
    host_settings,
    make_key,
    make_sign_in,
    operator,
    sign,
)
from tests.builders import NOW

PASSWORD = "correct horse battery"
LINKS = "/api/session-links"
TENANT = "/api/admin/tenants/acme"

SignIn = Callable[..., TestResponse]


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> Any:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_app(services: Services, clock: Clock) -> Callable[..., FlaskClient]:
    """Return a new browser's client of an application with these settings."""

    def open_app(**settings: Any) -> FlaskClient:
        changed = replace(services, settings=host_settings(**settings), clock=clock)
        return create_app(changed).test_client()

    return open_app


@pytest.fixture
def client(open_app: Callable[..., FlaskClient]) -> FlaskClient:
    return open_app()


@pytest.fixture(scope="module")
def password_hash() -> str:
    """Made once, since it takes long on purpose."""
    return hash_password(PASSWORD)


@pytest.fixture(autouse=True)
def people(engine: sa.Engine, password_hash: str) -> None:
    """An admin of acme and a root admin, each with the role as login."""
    rows = [(Role.TENANT_ADMIN, "acme"), (Role.ROOT_ADMIN, None)]
    with operator_session(engine, write=True) as session:
        session.connection.execute(
            sa.insert(users),
            [
                {
                    "login": role,
                    "role": role,
                    "tenant_id": tenant,
                    "password_hash": password_hash,
                    "created_at": NOW,
                }
                for role, tenant in rows
            ],
        )


def csrf_in(page: TestResponse) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def submit(client: FlaskClient, login: str = "tenant_admin", **fields: str) -> TestResponse:
    """Load the form, and send it with what it asks for."""
    csrf = csrf_in(client.get("/signin"))
    filled = {"csrf": csrf, "login": login, "password": PASSWORD, **fields}
    return client.post("/signin", data=filled)


def make_link(client: FlaskClient, **changes: Any) -> str:
    response = client.post(LINKS, headers=bearer(sign(claims(**changes))))
    url: str = response.get_json()["url"]
    return url


def session_in(response: TestResponse) -> str | None:
    """Return the session that an answer gives to the browser."""
    for header in response.headers.getlist("Set-Cookie"):
        value = parse_cookie(header.partition(";")[0]).get(COOKIE)
        if value:
            return value
    return None


def flags_of(response: TestResponse, name: str) -> set[str]:
    (header,) = [h for h in response.headers.getlist("Set-Cookie") if h.startswith(f"{name}=")]
    return {part.strip() for part in header.split(";")[1:]}


def count(engine: sa.Engine, table: sa.Table) -> int:
    with operator_session(engine) as session:
        query = sa.select(sa.func.count()).select_from(table)
        return session.connection.execute(query).scalar_one()


# The form


@pytest.mark.parametrize(
    ("login", "home"), [("tenant_admin", "/usage"), ("root_admin", "/admin/usage")]
)
def test_a_sign_in_leads_to_the_page_of_the_role(
    client: FlaskClient, login: str, home: str
) -> None:
    response = submit(client, login)
    assert (303, home) == (response.status_code, response.location)


def test_a_login_may_be_typed_with_capitals_and_spaces(client: FlaskClient) -> None:
    assert 303 == submit(client, " Tenant_Admin ").status_code


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "correct horse batterx"},
        {"password": ""},
        {"login": "nobody"},
        {"login": ""},
        {"login": "tenant_admin\x00"},
        {"login": "x" * 10_000, "password": "y" * 10_000},
    ],
)
def test_a_wrong_login_and_a_wrong_password_are_told_alike(
    client: FlaskClient, fields: dict[str, str]
) -> None:
    response = submit(client, **fields)
    found = (response.status_code, "Login or password is wrong." in response.text)
    assert ((403, True), None) == (found, session_in(response))


def test_a_disabled_user_does_not_get_in(client: FlaskClient, engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        disable_user(session, "tenant_admin", now=NOW)
    assert 403 == submit(client).status_code


def test_a_disabled_user_is_out_at_once(client: FlaskClient, engine: sa.Engine) -> None:
    submit(client, "root_admin")
    before = client.get(TENANT).status_code
    with operator_session(engine, write=True) as session:
        disable_user(session, "root_admin", now=NOW)
    assert (200, 401) == (before, client.get(TENANT).status_code)


def test_what_was_typed_is_escaped_and_the_password_is_not_repeated(client: FlaskClient) -> None:
    page = submit(client, '"><script>', password="a secret typed wrong").text
    assert (False, False) == ("<script>" in page, "typed wrong" in page)


@pytest.mark.parametrize("sent", [{}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "é"}])
def test_a_form_without_its_token_signs_nobody_in(
    client: FlaskClient, sent: dict[str, str]
) -> None:
    client.get("/signin")
    data = {"login": "tenant_admin", "password": PASSWORD, **sent}
    response = client.post("/signin", data=data)
    assert (403, None) == (response.status_code, session_in(response))


def test_the_token_of_another_browsers_form_signs_nobody_in(
    client: FlaskClient, open_app: Callable[..., FlaskClient]
) -> None:
    foreign = csrf_in(open_app().get("/signin"))
    assert 403 == submit(client, csrf=foreign).status_code


def test_a_form_that_was_refused_can_be_sent_again(client: FlaskClient) -> None:
    data = {"login": "tenant_admin", "password": PASSWORD}
    csrf = csrf_in(client.post("/signin", data=data))
    assert 303 == client.post("/signin", data={**data, "csrf": csrf}).status_code


# Where it leads


@pytest.mark.parametrize("wanted", ["/usage?range=90d", "/admin/usage?plan=Pro%20Plus"])
def test_a_sign_in_leads_where_the_browser_wanted_to_go(client: FlaskClient, wanted: str) -> None:
    page = client.get("/signin?next=" + quote(wanted))
    hidden = re.search(r'name="next" value="([^"]+)"', page.text)
    assert hidden is not None
    assert wanted == submit(client, next=hidden[1]).location


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "/\\evil.example", "https:", "https://evil.example", "/\t/evil.example"],
)
def test_a_sign_in_never_leads_to_another_server(client: FlaskClient, wanted: str) -> None:
    by_form = submit(client, next=wanted)
    by_link = client.get(f"{make_link(client)}&next={quote(wanted)}")
    assert ["/usage", "/usage"] == [by_form.location, by_link.location]


def test_the_form_does_not_repeat_an_address_on_another_server(client: FlaskClient) -> None:
    assert "evil" not in client.get("/signin?next=//evil.example").text


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/", "/signin?next=/"), ("/?a=b%20c&d=//e", "/signin?next=/%3Fa%3Db%2520c%26d%3D//e")],
)
def test_a_page_without_a_sign_in_leads_to_the_form_and_back(
    client: FlaskClient, path: str, expected: str
) -> None:
    response = client.get(path)
    assert (303, expected) == (response.status_code, response.location)


def test_a_page_with_a_sign_in_that_ended_leads_to_the_form(
    client: FlaskClient, clock: Clock
) -> None:
    submit(client)
    clock.now += timedelta(hours=12)
    assert "/signin?next=/" == client.get("/").location


def test_a_tenant_member_gets_an_explanation(client: FlaskClient) -> None:
    response = client.get(make_link(client, role="tenant_member"), follow_redirects=True)
    found = (response.status_code, response.request.path, "administrators" in response.text)
    assert (200, "/", True) == found


# Cookies


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


# Changes with a cookie


def csrf_of(client: FlaskClient) -> str:
    """Return the token that a page of ours would hold, from the rules of the session alone."""
    cookie = client.get_cookie(COOKIE)
    assert cookie is not None
    return make_csrf(cookie.value)


@pytest.mark.parametrize("method", ["DELETE", "PUT"])
def test_a_change_with_a_cookie_alone_is_refused(client: FlaskClient, method: str) -> None:
    submit(client, "root_admin")
    response = client.open(TENANT, method=method)
    assert (403, "invalid_csrf_token") == (response.status_code, response.get_json()["code"])


def test_a_change_with_a_cookie_and_its_token_is_made(client: FlaskClient) -> None:
    submit(client, "root_admin")
    response = client.delete(TENANT, headers={"X-CSRF-Token": csrf_of(client)})
    assert 200 == response.status_code


def test_a_change_with_the_token_of_another_sign_in_is_refused(
    client: FlaskClient, open_app: Callable[..., FlaskClient]
) -> None:
    other = open_app()
    submit(other, "root_admin")
    submit(client, "root_admin")
    assert 403 == client.delete(TENANT, headers={"X-CSRF-Token": csrf_of(other)}).status_code


def test_a_change_with_a_token_of_the_host_needs_no_csrf_token(client: FlaskClient) -> None:
    assert 200 == client.delete(TENANT, headers=bearer(sign(operator()))).status_code


def test_signing_out_ends_the_sign_in_and_takes_the_cookie(
    client: FlaskClient, engine: sa.Engine
) -> None:
    submit(client)
    response = client.post("/signout", data={"csrf": csrf_of(client)})
    found = (response.location, client.get_cookie(COOKIE), count(engine, sign_ins))
    assert ("/signin", None, 0) == found


def test_another_site_cannot_sign_somebody_out(client: FlaskClient, engine: sa.Engine) -> None:
    submit(client)
    response = client.post("/signout", data={"csrf": "guessed"})
    found = (response.status_code, response.mimetype, count(engine, sign_ins))
    assert (403, "text/html", 1) == found


# One credential, never two


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", "Basic YTpi", "Bearer mtl_wrong", "Bearer a.b.c"]
)
def test_a_bad_authorization_header_never_falls_back_to_the_cookie(
    client: FlaskClient, header: str
) -> None:
    submit(client, "root_admin")
    assert 401 == client.get(TENANT, headers={"Authorization": header}).status_code


def test_a_weaker_credential_in_the_header_is_not_mended_by_the_cookie(
    client: FlaskClient,
) -> None:
    submit(client, "root_admin")
    assert 403 == client.get(TENANT, headers=bearer(sign(claims()))).status_code


def test_a_page_with_a_bad_authorization_header_is_401_in_html(client: FlaskClient) -> None:
    submit(client)
    response = client.get("/", headers=bearer("wrong"))
    found = (response.status_code, response.mimetype, response.headers["WWW-Authenticate"])
    assert (401, "text/html", "Bearer") == found


# The limit on failed sign-ins


def test_the_sixth_try_of_a_login_is_429_with_when_to_come_again(
    client: FlaskClient, clock: Clock
) -> None:
    statuses = [submit(client, password="wrong").status_code for _ in range(5)]
    clock.now += timedelta(seconds=60)
    response = submit(client)
    found = (statuses, response.status_code, response.headers["Retry-After"], session_in(response))
    assert ([403] * 5, 429, "840", None) == found


def test_the_limit_of_unknown_logins_is_the_same(client: FlaskClient) -> None:
    statuses = [submit(client, "nobody").status_code for _ in range(6)]
    assert [403] * 5 + [429] == statuses


def test_after_a_quarter_of_an_hour_the_login_may_try_again(
    client: FlaskClient, clock: Clock
) -> None:
    for _ in range(5):
        submit(client, password="wrong")
    clock.now += timedelta(minutes=15)
    assert 303 == submit(client).status_code


def test_a_right_password_starts_the_count_anew(client: FlaskClient, engine: sa.Engine) -> None:
    for _ in range(4):
        submit(client, password="wrong")
    submit(client)
    assert 0 == count(engine, sign_in_failures)


def test_an_address_that_tries_many_logins_is_stopped(client: FlaskClient) -> None:
    statuses = [submit(client, f"login{number}").status_code for number in range(21)]
    assert [403] * 20 + [429] == statuses


def from_address(client: FlaskClient, address: str) -> int:
    csrf = csrf_in(client.get("/signin"))
    data = {"csrf": csrf, "login": "tenant_admin", "password": "wrong"}
    return client.post("/signin", data=data, headers={"X-Forwarded-For": address}).status_code


def test_an_invented_forwarded_address_does_not_evade_the_limit(client: FlaskClient) -> None:
    statuses = [from_address(client, f"192.0.2.{number}") for number in range(6)]
    assert [403] * 5 + [429] == statuses


def test_behind_proxies_the_limit_counts_by_the_address_that_ours_saw(
    open_app: Callable[..., FlaskClient],
) -> None:
    client = open_app(trusted_proxies=1)
    one = [from_address(client, f"203.0.113.{number}, 192.0.2.1") for number in range(6)]
    assert ([403] * 5 + [429], 403) == (one, from_address(client, "192.0.2.2"))


# One-time links


def test_a_link_is_made_for_the_host_and_names_when_it_expires(client: FlaskClient) -> None:
    response = client.post(LINKS, headers=bearer(sign(claims())))
    body = response.get_json()
    found = (response.status_code, body["url"].startswith("/signin?code="), body["expires_at"])
    assert (201, True, "2026-03-10T12:01:00Z") == found


@pytest.mark.parametrize(
    ("changes", "home"),
    [
        ({}, "/usage"),
        ({"role": "tenant_member"}, "/"),
        ({"role": "root_admin", "tenant_id": ...}, "/admin/usage"),
        ({"role": "ops", "tenant_id": ...}, "/admin/usage"),
    ],
)
def test_a_link_signs_in_the_person_of_the_token(
    client: FlaskClient, changes: dict[str, Any], home: str
) -> None:
    response = client.get(make_link(client, **changes))
    assert (303, home) == (response.status_code, response.location)


def test_a_link_names_role_and_tenant_of_the_token(client: FlaskClient, engine: sa.Engine) -> None:
    token = session_in(client.get(make_link(client)))
    with operator_session(engine) as session:
        found = find_sign_in(session, str(token), now=NOW)
    assert found is not None
    assert (Role.TENANT_ADMIN, "acme", "usr_17") == (found.role, found.tenant_id, found.subject)


def test_a_link_used_twice_is_refused_the_second_time(
    client: FlaskClient, open_app: Callable[..., FlaskClient]
) -> None:
    link = make_link(client)
    first, second = client.get(link), open_app().get(link)
    found = (session_in(first) is None, second.status_code, session_in(second))
    assert (False, 403, None) == found


def test_a_link_older_than_a_minute_is_refused(client: FlaskClient, clock: Clock) -> None:
    link = make_link(client)
    clock.now += timedelta(seconds=60)
    assert 403 == client.get(link).status_code


@pytest.mark.parametrize("code", ["", "invented", "%FF", "%00", "x" * 5000])
def test_an_invented_code_is_refused(client: FlaskClient, code: str) -> None:
    assert 403 == client.get(f"/signin?code={code}").status_code


def test_a_link_that_is_none_is_refused_while_somebody_writes(
    client: FlaskClient, engine: sa.Engine
) -> None:
    with operator_session(engine, write=True):
        response = client.get("/signin?code=x")
    assert 403 == response.status_code


def test_looking_whether_a_link_works_does_not_use_it_up(client: FlaskClient) -> None:
    link = make_link(client)
    assert (None, 303) == (session_in(client.head(link)), client.get(link).status_code)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"tenant_id": ...}, 403, "no_tenant_context"),
        ({"tenant_id": "umbrella"}, 403, "unknown_tenant"),
        ({"role": "ops"}, 403, "role_with_tenant"),
        ({"sub": "jo@example.org"}, 400, "invalid_subject"),
        ({"exp": NOW.timestamp() - 60}, 401, "invalid_credential"),
    ],
)
def test_a_link_is_refused_for_a_token_that_names_nobody_of_ours(
    client: FlaskClient, changes: dict[str, Any], status: int, code: str
) -> None:
    response = client.post(LINKS, headers=bearer(sign(claims(**changes))))
    assert (status, code) == (response.status_code, response.get_json()["code"])


def test_a_browser_cannot_make_links_of_its_sign_in(client: FlaskClient) -> None:
    submit(client, "root_admin")
    response = client.post(LINKS, headers={"X-CSRF-Token": csrf_of(client)})
    assert (401, "missing_credential") == (response.status_code, response.get_json()["code"])


def test_an_api_key_cannot_make_links(client: FlaskClient, engine: sa.Engine) -> None:
    secret = make_key(engine, *Scope)
    assert 403 == client.post(LINKS, headers=bearer(secret)).status_code
