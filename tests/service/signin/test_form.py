"""The sign-in form: who gets in, and what others might try with it."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from ledger.accounts.users import disable_user
from ledger.session import operator_session
from tests.builders import NOW
from tests.service.signin.browsers import PASSWORD, TENANT, csrf_in, session_in, submit


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
