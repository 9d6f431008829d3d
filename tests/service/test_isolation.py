"""Another tenant's id, anywhere in a request, changes nothing of what anybody is shown or may do.

Every route of the table is asked by every kind of caller, as either tenant, in every place that can
carry an id.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from api.app import create_app
from api.auth.policy import require_role
from api.auth.tenancy import operator_session, tenant_session
from api.services import Services
from ledger.accounts.roles import Role
from ledger.keys import Scope
from ledger.models import metadata, tenants
from ledger.session import operator_session as open_ledger
from ledger.tenant import TenantId
from ledger.tenants import put_tenant
from tests.access import COOKIE, bearer, claims, host_settings, make_key, make_sign_in, sign
from tests.builders import NOW, ai, sms
from tests.conftest import Book
from tests.routes import (
    BILLING,
    ROUTES,
    Asker,
    Credential,
    askers_of,
    client_with,
    credential_of,
    path_of,
)

PROBE = "/probe"
NO_SUCH_PARAMETER = "no such parameter here"
ASKED = {**ROUTES, ("GET", PROBE): BILLING}

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

# New in every answer, whoever asks: tokens of forms, codes of links and when those expire.
_CHANGING = re.compile(r'(name="csrf" value=|code=|"expires_at":)("?)[^"&]+')


class Place(NamedTuple):
    """Places in a request that name the other tenant."""

    name: str
    request: dict[str, Any]
    cookies: dict[str, str] = {}  # noqa: RUF012 - nobody changes it


class Told(NamedTuple):
    """An answer, without what is new in every one."""

    status: int
    location: str
    text: str


def places(own: str, other: str) -> list[Place]:
    """Return each place by itself where one of them could be refused before the next is read."""
    return [
        *(Place(f"query {name}", {"query_string": {name: other}}) for name in NAMES),
        Place("query twice", {"query_string": f"tenant={own}&tenant={other}"}),
        Place("query list", {"query_string": f"tenant[]={other}"}),
        Place("headers", {"headers": dict.fromkeys(HEADERS, other)}),
        Place("host", {"headers": {"Host": f"{other}.localhost"}}),
        Place("cookies", {}, dict.fromkeys((*NAMES, "meterline_tenant", "session"), other)),
        Place("json", {"json": dict.fromkeys(NAMES, other)}),
        Place("form", {"data": dict.fromkeys(NAMES, other)}),
    ]


def bodies(other: str) -> list[Place]:
    """Return bodies that a route takes, about the other tenant."""
    tenant = {"name": "taken over", "plan": "taken over", "timezone": "UTC"}
    person = {"sub": "usr_1", "role": "tenant_admin", "tenant_id": other, "tenant": other}
    return [
        Place("event", {"json": sms("stolen", tenant=other)}),
        Place("tenant", {"json": tenant}),
        Place("person", {"json": person}),
        Place("next", {"data": {"next": f"/usage?tenant={other}", "tenant": other}}),
    ]


def secret_of(tenant: str) -> str:
    """Return what stands in the data of one tenant and nowhere else."""
    return f"secret-of-{tenant}"


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


@pytest.fixture(autouse=True)
def usage(engine: sa.Engine, book: Book) -> None:
    """Usage of both tenants that differs in every figure, and names that tell them apart."""
    for quantity, tenant in ((1, "acme"), (7, "karachi")):
        with open_ledger(engine, write=True) as session:
            name, plan = secret_of(tenant), f"plan-{tenant}"
            put_tenant(
                session, TenantId(tenant), name=name, plan=plan, timezone="Asia/Karachi", now=NOW
            )
        own = {"tenant": tenant, "feature": secret_of(tenant)}
        book(sms(f"{tenant}1", quantity=quantity, **own), ai(f"{tenant}2", **own))


@pytest.fixture(params=[("acme", "karachi"), ("karachi", "acme")], ids=["acme", "karachi"])
def sides(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The tenant of who asks, and the other one."""
    own, other = request.param
    return own, other


def ask(
    app: Flask, credential: Credential, method: str, path: str, place: Place | None = None
) -> Told:
    place = place or Place("", {})
    client = client_with(app, credential, *_hosts(place))
    for name, value in place.cookies.items():
        client.set_cookie(name, value)
    response = client.open(path, method=method, **place.request)
    # A redirect says its address twice, with where the browser wanted to go; the path is enough.
    is_redirect = 300 <= response.status_code < 400
    text = "" if is_redirect else _CHANGING.sub(r"\1", response.text)
    return Told(response.status_code, urlsplit(response.headers.get("Location", "")).path, text)


def _hosts(place: Place) -> tuple[str, ...]:
    host = place.request.get("headers", {}).get("Host")
    return ("localhost",) if host is None else ("localhost", host)


def is_refused(told: Told, other: str) -> bool:
    """Whether a request was refused as a whole since no such parameter is known."""
    return told.status == 400 and NO_SUCH_PARAMETER in told.text and other not in told.text


def rows_of(engine: sa.Engine, tenant: str) -> dict[str, list[Any]]:
    """Return all that the ledger holds of a tenant."""
    with open_ledger(engine) as session:
        return {
            table.name: sorted(
                map(
                    repr,
                    session.connection.execute(sa.select(table).where(table.c.tenant_id == tenant)),
                )
            )
            for table in metadata.sorted_tables
            if "tenant_id" in table.c
        }


def insiders(own: str) -> Iterator[Asker]:
    """Yield who is bound to a tenant, and nobody: neither may ever see another one."""
    yield from (a for a in askers_of(own) if a.tenant == own or a == Asker())


@pytest.mark.parametrize("rule", [rule for method, rule in ASKED if method == "GET"])
def test_another_tenants_id_anywhere_in_the_request_changes_no_answer(
    app: Flask, engine: sa.Engine, sides: tuple[str, str], rule: str
) -> None:
    own, other = sides
    path = path_of(rule, tenant_id=own)
    changed = []
    for asker in askers_of(own):
        credential = credential_of(asker, engine)
        usual = ask(app, credential, "GET", path)
        changed += [
            (str(asker), place.name)
            for place in places(own, other)
            if (told := ask(app, credential, "GET", path, place)) != usual
            and not is_refused(told, other)
        ]
    assert [] == changed


@pytest.mark.parametrize("rule", [rule for method, rule in ASKED if method == "GET"])
def test_nobody_of_a_tenant_is_shown_another(
    app: Flask, engine: sa.Engine, sides: tuple[str, str], rule: str
) -> None:
    own, other = sides
    addresses = {path_of(rule, tenant_id=own), path_of(rule, tenant_id=other)}
    addresses |= {f"{path.rstrip('/')}/{other}" for path in addresses}
    shown = [
        (str(asker), path)
        for asker in insiders(own)
        for path in addresses
        if secret_of(other) in ask(app, credential_of(asker, engine), "GET", path).text
    ]
    assert [] == shown


@pytest.mark.parametrize(("method", "rule"), [route for route in ASKED if route[0] != "GET"])
def test_nobody_of_a_tenant_is_told_of_another_or_changes_it(
    app: Flask, engine: sa.Engine, sides: tuple[str, str], method: str, rule: str
) -> None:
    own, other = sides
    before = rows_of(engine, other)
    told = {
        ask(app, credential_of(asker, engine), method, path_of(rule, tenant_id=other), place).text
        for asker in insiders(own)
        for place in (*places(own, other), *bodies(other))
    }
    shown = [text for text in told if secret_of(other) in text]
    assert ([], before) == (shown, rows_of(engine, other))


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_nobody_of_a_tenant_may_keep_tenants_not_even_its_own(
    app: Flask, engine: sa.Engine, sides: tuple[str, str], method: str
) -> None:
    own, other = sides
    askers = [asker for asker in insiders(own) if asker.tenant == own]
    paths = [f"/api/admin/tenants/{tenant}" for tenant in (own, other, "umbrella")]
    statuses = {
        ask(app, credential_of(asker, engine), method, path).status
        for asker in askers
        for path in paths
    }
    assert {403} == statuses


def test_the_sign_in_of_another_tenant_beside_a_credential_counts_for_nothing(
    app: Flask, engine: sa.Engine, sides: tuple[str, str]
) -> None:
    own, other = sides
    beside = Place("", {}, {COOKIE: make_sign_in(engine, Role.TENANT_ADMIN, other)})
    headed = [asker for asker in askers_of(own) if asker != Asker() and not asker.cookie]
    rules = [rule for (method, rule), one in ASKED.items() if method == "GET" and not one.public]
    changed = []
    for asker in headed:
        credential = credential_of(asker, engine)
        for path in (path_of(rule, tenant_id=own) for rule in rules):
            usual = ask(app, credential, "GET", path)
            if ask(app, credential, "GET", path, beside) != usual:
                changed.append((str(asker), path))
    assert [] == changed


def test_a_link_leads_to_the_tenant_of_the_token_wherever_another_is_named(
    app: Flask, sides: tuple[str, str]
) -> None:
    own, other = sides
    headers = bearer(sign(claims(tenant_id=own)))
    shown = set()
    for place in (*places(own, other), *bodies(other)):
        request = {**place.request, "headers": {**place.request.get("headers", {}), **headers}}
        link = app.test_client().post("/api/session-links", **request).get_json()["url"]
        shown.add(_follow(app.test_client(), link))
    assert {secret_of(own)} == shown


def _follow(client: FlaskClient, link: str) -> str:
    client.get(link, base_url="https://localhost")
    return client.get(PROBE, base_url="https://localhost").text


@pytest.mark.parametrize(
    "credential",
    [
        Asker(scope=Scope.READ, tenant="own"),
        Asker(role=Role.TENANT_ADMIN, tenant="own"),
        Asker(role=Role.TENANT_ADMIN, tenant="own", cookie=True),
    ],
    ids=str,
)
def test_a_tenant_is_shown_its_own(
    app: Flask, engine: sa.Engine, sides: tuple[str, str], credential: Asker
) -> None:
    own, _ = sides
    asker = credential._replace(tenant=own)
    assert secret_of(own) == ask(app, credential_of(asker, engine), "GET", PROBE).text


def test_a_tenants_key_for_everything_is_refused_as_bound(app: Flask, engine: sa.Engine) -> None:
    headers = bearer(make_key(engine, *Scope, tenant="acme"))
    told = app.test_client().get("/api/admin/tenants/karachi", headers=headers).get_json()
    assert "tenant_bound" == told["code"]


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
