"""Every route, asked by everybody: who may use it stands in one table, and the server agrees.

A new route needs its row in `ROUTES`, and then is asked as everybody without another line.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from api import health
from api.app import create_app
from api.auth.csrf import make_csrf
from api.auth.policy import Policy, policy_of, public, require_role, require_scope
from api.pages.blueprint import PageBlueprint
from api.services import Services
from ledger.accounts.roles import Role
from ledger.keys import Scope
from tests.access import COOKIE, bearer, claims, host_settings, make_key, make_sign_in, sign


class Access(NamedTuple):
    """Who may use a route, said once more and independently of the code."""

    roles: tuple[Role, ...] = ()
    scope: Scope | None = None
    tenant: bool | None = None
    cookie: bool = True
    public: bool = False
    page: bool = False


PUBLIC = Access(public=True)
BILLING = Access(roles=(Role.TENANT_ADMIN,), scope=Scope.READ, tenant=True)
GRID = Access(roles=(Role.ROOT_ADMIN, Role.OPS), scope=Scope.READ, tenant=False)
KEEPING = Access(roles=(Role.ROOT_ADMIN,), scope=Scope.TENANTS, tenant=False)
EVERY_ROLE = Access(roles=tuple(Role), page=True)

ROUTES: dict[tuple[str, str], Access] = {
    ("GET", "/"): EVERY_ROLE,
    ("GET", "/admin/usage"): GRID._replace(scope=None, page=True),
    ("DELETE", "/api/admin/tenants/<tenant_id>"): KEEPING,
    ("GET", "/api/admin/tenants/<tenant_id>"): KEEPING,
    ("PUT", "/api/admin/tenants/<tenant_id>"): KEEPING,
    ("GET", "/api/admin/usage/tenants"): GRID,
    ("GET", "/api/billing/usage/export"): BILLING,
    ("GET", "/api/billing/usage/features"): BILLING,
    ("GET", "/api/billing/usage/series"): BILLING,
    ("GET", "/api/billing/usage/summary"): BILLING,
    ("GET", "/api/openapi.json"): PUBLIC,
    ("POST", "/api/session-links"): Access(roles=tuple(Role), cookie=False),
    ("POST", "/api/v1/events"): Access(scope=Scope.INGEST, cookie=False),
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/signin"): PUBLIC,
    ("POST", "/signin"): PUBLIC,
    ("POST", "/signout"): EVERY_ROLE,
    ("GET", "/static/<name>"): PUBLIC,
    ("GET", "/usage"): BILLING._replace(scope=None, page=True),
}

ARGUMENTS = {"tenant_id": "acme", "name": "theme.css"}

Headers = dict[str, str]


class Asker(NamedTuple):
    """Somebody who asks: what they are, and how they say so."""

    role: Role | None = None
    scope: Scope | None = None
    tenant: str | None = None
    cookie: bool = False

    def __str__(self) -> str:
        kind = "sign-in" if self.cookie else "token" if self.role else "key" if self.scope else ""
        parts = (kind, self.role, self.scope, self.tenant and f"of {self.tenant}")
        return " ".join(str(part) for part in parts if part) or "nobody"


def tenant_of(role: Role) -> str | None:
    return "acme" if role.is_tenant_role else None


ASKERS = [
    Asker(),
    *(Asker(scope=scope, tenant=tenant) for scope in Scope for tenant in (None, "acme")),
    *(Asker(role=role, tenant=tenant_of(role)) for role in Role),
    *(Asker(role=role) for role in Role if role.is_tenant_role),
    *(Asker(role=role, tenant=tenant_of(role), cookie=True) for role in Role),
]


def routes_of(app: Flask) -> Iterator[tuple[str, str]]:
    for rule in app.url_map.iter_rules():
        for method in set(rule.methods or ()) - {"HEAD", "OPTIONS"}:
            yield method, rule.rule


def expected(access: Access, asker: Asker) -> str:
    """Return what an asker must be told: `passes`, or how it is refused."""
    unknown = asker == Asker() or (asker.cookie and not access.cookie)
    if unknown:
        return "to sign in" if access.page else "401"
    if asker.role not in access.roles and (asker.scope is None or asker.scope != access.scope):
        return "403"
    has_tenant = asker.tenant is not None
    if access.tenant not in {None, has_tenant}:
        return "403"
    if asker.role is not None and asker.role.is_tenant_role != has_tenant:
        return "403"
    return "passes"


def found(response: TestResponse) -> str:
    """Return what an asker was told."""
    # Who signs out is sent there too, and loses the cookie.
    if 303 == response.status_code and "Set-Cookie" not in response.headers:
        return "to sign in" if response.location.startswith("/signin") else "passes"
    return str(response.status_code) if response.status_code in {401, 403} else "passes"


Ask = Callable[[str, str, Asker], TestResponse]


@pytest.fixture
def ask(services: Services, engine: sa.Engine) -> Ask:
    app = create_app(replace(services, settings=host_settings()))

    def ask(method: str, rule: str, asker: Asker) -> TestResponse:
        client = app.test_client()
        headers: Headers = {}
        if asker.cookie and asker.role is not None:
            token = make_sign_in(engine, asker.role)
            client.set_cookie(COOKIE, token)
            headers = {"X-CSRF-Token": make_csrf(token)}
        elif asker.role is not None:
            headers = bearer(sign(claims(role=asker.role, tenant_id=asker.tenant)))
        elif asker.scope is not None:
            headers = bearer(make_key(engine, asker.scope, tenant=asker.tenant))
        return client.open(path_of(rule), method=method, headers=headers)

    return ask


def path_of(rule: str) -> str:
    for name, value in ARGUMENTS.items():
        rule = rule.replace(f"<{name}>", value)
    return rule


def test_every_route_is_in_the_table(services: Services) -> None:
    assert sorted(ROUTES) == sorted(routes_of(create_app(services)))


@pytest.mark.parametrize(
    ("method", "rule"), [r for r, access in ROUTES.items() if not access.public]
)
def test_a_route_lets_in_who_may_use_it_and_nobody_else(ask: Ask, method: str, rule: str) -> None:
    access = ROUTES[method, rule]
    told = {str(asker): found(ask(method, rule, asker)) for asker in ASKERS}
    assert {str(asker): expected(access, asker) for asker in ASKERS} == told


@pytest.mark.parametrize(("method", "rule"), [r for r, a in ROUTES.items() if a.public])
def test_a_public_route_answers_everybody_alike(ask: Ask, method: str, rule: str) -> None:
    statuses = {ask(method, rule, asker).status_code for asker in ASKERS}
    assert 1 == len(statuses)


@pytest.mark.parametrize(("method", "rule"), ROUTES)
def test_the_declared_policy_of_a_route_is_that_of_the_table(
    services: Services, method: str, rule: str
) -> None:
    app = create_app(services)
    access = ROUTES[method, rule]
    (endpoint,) = {
        one.endpoint
        for one in app.url_map.iter_rules()
        if one.rule == rule and method in (one.methods or set())
    }
    declared = Policy(
        public=access.public,
        roles=frozenset(access.roles),
        scopes=frozenset({access.scope} if access.scope else ()),
        tenant=access.tenant,
        cookie=access.cookie and not access.public,
    )
    blueprint = app.blueprints.get(endpoint.rpartition(".")[0])
    assert (declared, access.page or rule == "/signin") == (
        policy_of(app, endpoint),
        isinstance(blueprint, PageBlueprint),
    )


def test_an_application_with_a_route_without_a_policy_does_not_start(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = health.healthz
    monkeypatch.delattr(view, "policy")
    monkeypatch.delattr(view.view, "policy", raising=False)
    with pytest.raises(LookupError, match="healthz"):
        create_app(services)


def test_a_route_without_a_policy_that_is_added_later_serves_nobody(services: Services) -> None:
    app = create_app(services)
    app.add_url_rule("/late", view_func=lambda: "a secret")
    assert 500 == app.test_client().get("/late").status_code


def test_a_view_says_once_who_may_use_it() -> None:
    def view() -> Any: ...

    with pytest.raises(ValueError, match="already"):
        public(require_scope(Scope.READ)(view))


@pytest.mark.parametrize(
    ("roles", "tenant"),
    [
        ((Role.TENANT_ADMIN, Role.TENANT_MEMBER), True),
        ((Role.ROOT_ADMIN, Role.OPS), False),
        ((Role.ROOT_ADMIN, Role.TENANT_ADMIN), None),
    ],
)
def test_roles_say_whether_a_route_is_of_one_tenant(
    roles: tuple[Role, ...],
    tenant: bool | None,  # noqa: FBT001 - a column of the table
) -> None:
    def view() -> Any: ...

    assert tenant is require_role(*roles)(view).policy.tenant  # type: ignore[attr-defined]
