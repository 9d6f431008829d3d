"""Another tenant's id, anywhere in a request, changes nothing of what a tenant is shown.

Every route that is a tenant's own is asked, also those that are added later: they are found by
their policy.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from api.app import create_app
from api.auth.policy import policy_of, require_role
from api.auth.tenancy import operator_session, tenant_session
from api.services import Services
from ledger.accounts.roles import Role
from ledger.keys import Scope
from ledger.models import tenants
from tests.access import COOKIE, bearer, claims, host_settings, make_key, make_sign_in, sign
from tests.builders import ai, sms
from tests.conftest import Book

PROBE = "/probe"
NO_SUCH_PARAMETER = "no such parameter here"

OTHER = "karachi"
NAMES = ("tenant", "tenant_id", "tenantId", "tenant-id", "TENANT", "id", "org", "subject", "sub")
HEADERS = (
    "X-Tenant-Id",
    "X-Tenant",
    "X-Tenant-ID",
    "Tenant",
    "X-Scope-OrgID",
    "X-Org-Id",
    "X-Grafana-Org-Id",
    "X-User",
    "X-Forwarded-User",
    "X-Forwarded-Host",
    "X-Forwarded-Prefix",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-JWT-Assertion",
    "Referer",
    "Origin",
    "Forwarded",
)


class Place(NamedTuple):
    """A place in a request that names the other tenant."""

    name: str
    request: dict[str, Any]
    cookies: tuple[str, ...] = ()


PLACES = [
    *(Place(f"query {name}", {"query_string": {name: OTHER}}) for name in NAMES),
    Place("query twice", {"query_string": "tenant=acme&tenant=karachi"}),
    Place("query list", {"query_string": "tenant[]=karachi"}),
    *(Place(f"header {name}", {"headers": {name: OTHER}}) for name in HEADERS),
    Place("host", {"headers": {"Host": f"{OTHER}.localhost"}}),
    *(Place(f"cookie {name}", {}, (name,)) for name in NAMES),
    Place("cookie of another name", {}, ("meterline_tenant", "session")),
    Place("json", {"json": dict.fromkeys(NAMES, OTHER)}),
    Place("form", {"data": dict.fromkeys(NAMES, OTHER)}),
]


@pytest.fixture
def app(services: Services) -> Flask:
    """The application, with one more route that is a tenant's own and reads its name."""
    app = create_app(replace(services, settings=host_settings()))

    @app.route(PROBE)
    @require_role(Role.TENANT_ADMIN, scope=Scope.READ)
    def probe() -> str:
        with tenant_session() as session:
            query = sa.select(tenants.c.name).where(tenants.c.tenant_id == session.tenant_id)
            return str(session.connection.execute(query).scalar_one())

    return app


def own_routes(app: Flask, kind: str) -> list[str]:
    """Return the paths of the routes that show a tenant its own, by this kind of credential."""
    policies = {rule.rule: policy_of(app, rule.endpoint) for rule in app.url_map.iter_rules()}
    readable = {r.rule for r in app.url_map.iter_rules() if "GET" in (r.methods or set())}
    return [
        path
        for path, policy in policies.items()
        if policy.tenant and path in readable and (policy.scopes if kind == "key" else policy.roles)
    ]


@pytest.fixture(params=["key", "token", "sign-in"])
def kind(request: pytest.FixtureRequest) -> str:
    """A kind of credential."""
    return str(request.param)


@pytest.fixture
def paths(app: Flask, kind: str) -> list[str]:
    return own_routes(app, kind)


Browser = Callable[[], FlaskClient]


@pytest.fixture
def browse(kind: str, app: Flask, engine: sa.Engine) -> Browser:
    """Return clients that come with one and the same credential of tenant acme."""
    headers: dict[str, str] = {}
    session: str | None = None
    match kind:
        case "key":
            headers = bearer(make_key(engine, Scope.READ, tenant="acme"))
        case "token":
            headers = bearer(sign(claims()))
        case _:
            session = make_sign_in(engine, Role.TENANT_ADMIN)

    def browse() -> FlaskClient:
        client = app.test_client()
        for name, value in headers.items():
            client.environ_base[f"HTTP_{name.upper()}"] = value
        if session is not None:
            for host in ("localhost", f"{OTHER}.localhost"):
                client.set_cookie(COOKIE, session, domain=host)
        return client

    return browse


@pytest.fixture(autouse=True)
def usage(book: Book) -> None:
    """Usage of both tenants that differs in every figure."""
    book(sms("a1"), ai("a2"))
    other = {"tenant": OTHER, "feature": "a_feature_of_karachi"}
    book(sms("k1", quantity=7, **other), ai("k2", **other), sms("k3", channel="mms", **other))


def ask(client: FlaskClient, path: str, place: Place | None = None) -> tuple[int, str]:
    if place is None:
        response = client.get(path)
    else:
        for name in place.cookies:
            client.set_cookie(name, OTHER)
        response = client.get(path, **place.request)
    return response.status_code, response.text


def is_refused(answer: tuple[int, str]) -> bool:
    """Whether a request was refused as a whole since no such parameter is known."""
    status, text = answer
    return status == 400 and NO_SUCH_PARAMETER in text and OTHER not in text


def test_every_kind_of_credential_has_a_route_to_ask(paths: list[str]) -> None:
    assert PROBE in paths


def test_a_tenant_is_shown_its_own(paths: list[str], browse: Browser) -> None:
    answers = {path: ask(browse(), path) for path in paths}
    assert dict.fromkeys(paths, (200, False)) == {
        path: (status, OTHER in text) for path, (status, text) in answers.items()
    }


def test_another_tenants_id_anywhere_in_the_request_changes_nothing(
    paths: list[str], browse: Browser
) -> None:
    own = {path: ask(browse(), path) for path in paths}
    changed = [
        (path, place.name)
        for path in paths
        for place in PLACES
        if (answer := ask(browse(), path, place)) != own[path] and not is_refused(answer)
    ]
    assert [] == changed


def test_another_tenants_id_in_the_path_leads_nowhere(paths: list[str], browse: Browser) -> None:
    assert {404} == {ask(browse(), f"{path}/{OTHER}")[0] for path in paths}


@pytest.mark.parametrize("tenant", ["acme", OTHER])
def test_a_key_of_each_tenant_is_shown_the_tenant_of_the_key(
    app: Flask, engine: sa.Engine, tenant: str
) -> None:
    headers = bearer(make_key(engine, Scope.READ, tenant=tenant))
    names = {"acme": "Acme", OTHER: "K"}
    assert names[tenant] == app.test_client().get(PROBE, headers=headers).text


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_a_tenants_key_cannot_name_a_tenant_in_a_path_not_even_its_own(
    app: Flask, engine: sa.Engine, method: str
) -> None:
    headers = bearer(make_key(engine, *Scope, tenant="acme"))
    client = app.test_client()
    codes = {
        client.open(f"/api/admin/tenants/{tenant}", method=method, headers=headers).get_json()[
            "code"
        ]
        for tenant in ("acme", OTHER, "umbrella")
    }
    assert {"tenant_bound"} == codes


@pytest.mark.parametrize(
    ("role", "tenant", "code"),
    [
        (Role.TENANT_ADMIN, "acme", "tenant_bound"),
        (Role.ROOT_ADMIN, None, "no_tenant_context"),
    ],
)
def test_a_view_that_opens_the_wrong_session_is_refused_whatever_its_policy(
    app: Flask, role: Role, tenant: str | None, code: str
) -> None:
    opened = operator_session if role.is_tenant_role else tenant_session

    @app.route("/mistaken")
    @require_role(*Role)
    def mistaken() -> str:
        with opened():
            return "all there is"

    headers = bearer(sign(claims(role=role, tenant_id=tenant)))
    assert code == app.test_client().get("/mistaken", headers=headers).get_json()["code"]
