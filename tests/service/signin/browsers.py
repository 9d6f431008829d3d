"""What a browser does to sign in, and what it is given."""

import re
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.http import parse_cookie
from werkzeug.test import TestResponse

from api.auth.csrf import make_csrf
from ledger.session import operator_session
from tests.access import COOKIE, bearer, claims, sign
from tests.builders import NOW

PASSWORD = "correct horse battery"
LINKS = "/api/session-links"
TENANT = "/api/admin/tenants/acme"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> Any:
        return self.now


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


def csrf_of(client: FlaskClient) -> str:
    """Return the token that a page of ours would hold, from the rules of the session alone."""
    cookie = client.get_cookie(COOKIE)
    assert cookie is not None
    return make_csrf(cookie.value)
