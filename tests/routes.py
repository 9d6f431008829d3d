"""Every route and everybody who may ask: the table of who may use what, beside the code's own.

A new route needs its row in `ROUTES`, and then is asked as everybody without another line.
"""

from typing import NamedTuple

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from api.auth.csrf import make_csrf
from ledger.accounts.roles import Role
from ledger.keys import Scope
from tests.access import COOKIE, bearer, claims, make_key, make_sign_in, sign


class Access(NamedTuple):
    """Who may use a route, said once more and independently of the code."""

    roles: tuple[Role, ...] = ()
    scope: Scope | None = None
    tenant: bool | None = None
    cookie: bool = True
    public: bool = False
    page: bool = False
    influx_forms: bool = False


PUBLIC = Access(public=True)
BILLING = Access(roles=(Role.TENANT_ADMIN,), scope=Scope.READ, tenant=True)
USAGE_PAGE = BILLING._replace(scope=None, page=True)
GRID = Access(roles=(Role.ROOT_ADMIN, Role.OPS), scope=Scope.READ, tenant=False)
KEEPING = Access(roles=(Role.ROOT_ADMIN,), scope=Scope.TENANTS, tenant=False)
MAPPINGS_PAGE = KEEPING._replace(scope=None, page=True)
EMBEDDING = Access(roles=(Role.TENANT_ADMIN, Role.ROOT_ADMIN, Role.OPS))
SERIES = Access(scope=Scope.SERIES, cookie=False, influx_forms=True)
EVERY_ROLE = Access(roles=tuple(Role), page=True)

ROUTES: dict[tuple[str, str], Access] = {
    ("GET", "/"): EVERY_ROLE,
    ("GET", "/admin/mappings"): MAPPINGS_PAGE,
    ("POST", "/admin/mappings"): MAPPINGS_PAGE,
    ("POST", "/admin/mappings/<int:mapping_id>/end"): MAPPINGS_PAGE,
    ("GET", "/admin/usage"): GRID._replace(scope=None, page=True),
    ("GET", "/api/admin/mappings"): KEEPING,
    ("POST", "/api/admin/mappings"): KEEPING,
    ("DELETE", "/api/admin/mappings/<int:mapping_id>"): KEEPING,
    ("GET", "/api/admin/prices/missing"): GRID,
    ("DELETE", "/api/admin/tenants/<tenant_id>"): KEEPING,
    ("GET", "/api/admin/tenants/<tenant_id>"): KEEPING,
    ("PUT", "/api/admin/tenants/<tenant_id>"): KEEPING,
    ("GET", "/api/admin/usage/tenants"): GRID,
    ("GET", "/api/billing/budgets"): BILLING,
    ("PUT", "/api/billing/budgets"): BILLING._replace(scope=None),
    ("GET", "/api/billing/usage/export"): BILLING,
    ("GET", "/api/billing/usage/features"): BILLING,
    ("GET", "/api/billing/usage/series"): BILLING,
    ("GET", "/api/billing/usage/summary"): BILLING,
    ("GET", "/api/openapi.json"): PUBLIC,
    ("POST", "/api/session-links"): Access(roles=tuple(Role), cookie=False),
    ("POST", "/api/v1/events"): Access(scope=Scope.INGEST, cookie=False),
    ("GET", "/grafana/auth"): EMBEDDING,
    ("GET", "/grafana/influx/query"): SERIES,
    ("POST", "/grafana/influx/query"): SERIES,
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/signin"): PUBLIC,
    ("POST", "/signin"): PUBLIC,
    ("POST", "/signout"): EVERY_ROLE,
    ("GET", "/static/<name>"): PUBLIC,
    ("POST", "/webhooks/sendgrid"): PUBLIC,  # by signature, as the next two
    ("POST", "/webhooks/twilio/calls"): PUBLIC,
    ("POST", "/webhooks/twilio/messages"): PUBLIC,
    ("GET", "/usage"): USAGE_PAGE,
    ("POST", "/usage/budgets"): USAGE_PAGE,
    ("POST", "/usage/budgets/remove"): USAGE_PAGE,
}

ARGUMENTS = {"tenant_id": "acme", "name": "theme.css", "int:mapping_id": "1"}

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


def askers_of(tenant: str) -> list[Asker]:
    """Return everybody who may ask, the tenant's own people and keys among them."""
    own = {role: tenant if role.is_tenant_role else None for role in Role}
    return [
        Asker(),
        *(Asker(scope=scope, tenant=bound) for scope in Scope for bound in (None, tenant)),
        *(Asker(role=role, tenant=own[role]) for role in Role),
        *(Asker(role=role) for role in Role if role.is_tenant_role),
        *(Asker(role=role, tenant=own[role], cookie=True) for role in Role),
    ]


ASKERS = askers_of("acme")


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


class Credential(NamedTuple):
    """What an asker sends: headers, and the cookie of a sign-in."""

    headers: Headers
    cookie: str | None = None


def credential_of(asker: Asker, engine: sa.Engine) -> Credential:
    """Return a new credential of an asker."""
    if asker.cookie and asker.role is not None:
        token = make_sign_in(engine, asker.role, asker.tenant)
        return Credential({"X-CSRF-Token": make_csrf(token)}, token)
    if asker.role is not None:
        return Credential(bearer(sign(claims(role=asker.role, tenant_id=asker.tenant))))
    if asker.scope is not None:
        return Credential(bearer(make_key(engine, asker.scope, tenant=asker.tenant)))
    return Credential({})


def client_with(app: Flask, credential: Credential, *hosts: str) -> FlaskClient:
    """Return a client that comes with this credential, to each of these hosts."""
    client = app.test_client()
    for name, value in credential.headers.items():
        client.environ_base[f"HTTP_{name.upper().replace('-', '_')}"] = value
    if credential.cookie is not None:
        for host in hosts or ("localhost",):
            client.set_cookie(COOKIE, credential.cookie, domain=host)
    return client


def path_of(rule: str, **arguments: str) -> str:
    """Return an address of a route."""
    for name, value in {**ARGUMENTS, **arguments}.items():
        rule = rule.replace(f"<{name}>", value)
    return rule
