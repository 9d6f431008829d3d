"""Changes with the cookie of a sign-in need its token; signing out is one."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from ledger.models import sign_ins
from tests.access import (
    COOKIE,
    bearer,
    operator,
    sign,
)
from tests.service.signin.browsers import TENANT, count, csrf_of, submit


@pytest.mark.parametrize("method", ["DELETE", "PUT"])
def test_a_change_with_a_cookie_alone_is_refused(client: FlaskClient, method: str) -> None:
    submit(client, "root_admin")
    response = client.open(TENANT, method=method)
    problem = response.get_json()
    assert (403, "invalid_csrf_token", "this form has expired; reload the page and try again") == (
        response.status_code,
        problem["code"],
        problem["detail"],
    )


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
