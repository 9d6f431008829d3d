"""One-time links: made for the host, used once by a browser."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from ledger.accounts.roles import Role
from ledger.accounts.sign_ins import find_sign_in
from ledger.keys import Scope
from ledger.session import operator_session
from tests.access import (
    bearer,
    claims,
    make_key,
    sign,
)
from tests.builders import NOW
from tests.service.signin.browsers import LINKS, Clock, csrf_of, make_link, session_in, submit


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
