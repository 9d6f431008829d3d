"""Every route, asked by everybody: who may use it stands in one table, and the server agrees.

The table is `tests/routes.py`.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, TestResponse

from api import health
from api.app import create_app
from api.auth.policy import Policy, policy_of, public, require_role, require_scope
from api.pages.blueprint import PageBlueprint
from api.services import Services
from ledger.accounts.roles import Role
from ledger.keys import Scope
from tests.access import host_settings
from tests.routes import ASKERS, ROUTES, Asker, client_with, credential_of, expected, path_of


def routes_of(app: Flask) -> Iterator[tuple[str, str]]:
    for rule in app.url_map.iter_rules():
        for method in set(rule.methods or ()) - {"HEAD", "OPTIONS"}:
            yield method, rule.rule


def found(response: TestResponse) -> str:
    """Return what an asker was told."""
    # Who signs out is sent there too, and loses the cookie.
    if 303 == response.status_code and "Set-Cookie" not in response.headers:
        return "to sign in" if response.location.startswith("/signin") else "passes"
    is_told = response.status_code in {401, 403} or response.status_code >= 500
    return str(response.status_code) if is_told else "passes"


Ask = Callable[[str, str, Asker], TestResponse]


@pytest.fixture
def ask(services: Services, engine: sa.Engine) -> Ask:
    app = create_app(replace(services, settings=host_settings()))

    def ask(method: str, rule: str, asker: Asker) -> TestResponse:
        client = client_with(app, credential_of(asker, engine))
        return client.open(path_of(rule), method=method)

    return ask


def test_a_route_that_breaks_lets_nobody_in() -> None:
    assert "500" == found(TestResponse([], "500 Oh", Headers(), EnvironBuilder().get_request()))


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
        influx_forms=access.influx_forms,
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
