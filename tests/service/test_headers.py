"""What every answer tells a browser, whatever the answer is."""

from dataclasses import replace

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from api.app import create_app
from api.auth.policy import public
from api.headers import CONTENT_SECURITY_POLICY
from api.services import Services
from ledger.keys import Scope
from tests.access import bearer, host_settings, make_key

TENANT = "/api/admin/tenants/acme"
PATHS = ["/healthz", "/signin", "/", "/api/v1/events", "/nowhere", TENANT, "/api/openapi.json"]


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_says_how_little_a_browser_may_do(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    expected = [CONTENT_SECURITY_POLICY, "nosniff", "same-origin", True]
    names = ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy")
    assert expected == [*(headers[name] for name in names), "Permissions-Policy" in headers]


def test_the_content_security_policy_is_pinned() -> None:
    expected = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    assert expected == CONTENT_SECURITY_POLICY


def test_an_answer_about_our_own_fault_has_the_headers_too(services: Services) -> None:
    app = create_app(services)

    @app.route("/broken")
    @public
    def broken() -> str:
        raise RuntimeError("broken on purpose")

    response = app.test_client().get("/broken")
    assert (500, True) == (response.status_code, "Content-Security-Policy" in response.headers)


@pytest.mark.parametrize("path", ["/signin", "/", TENANT, "/nowhere", "/api/v1/events"])
def test_what_is_not_for_everybody_is_not_cached(client: FlaskClient, path: str) -> None:
    assert "no-store" == client.get(path).headers["Cache-Control"]


def test_an_answer_to_a_credential_is_not_cached(client: FlaskClient, engine: sa.Engine) -> None:
    response = client.get(TENANT, headers=bearer(make_key(engine, Scope.TENANTS)))
    assert (200, "no-store") == (response.status_code, response.headers["Cache-Control"])


@pytest.mark.parametrize("path", ["/healthz", "/api/openapi.json"])
def test_what_is_for_everybody_may_be_cached(client: FlaskClient, path: str) -> None:
    assert "Cache-Control" not in client.get(path).headers


@pytest.mark.parametrize(("scheme", "expected"), [("http", None), ("https", "max-age=31536000")])
def test_https_is_asked_for_where_it_is_there(
    client: FlaskClient, scheme: str, expected: str | None
) -> None:
    response = client.get("/healthz", base_url=f"{scheme}://localhost")
    assert expected == response.headers.get("Strict-Transport-Security")


@pytest.mark.parametrize(("proxies", "expected"), [(0, False), (1, True)])
def test_the_scheme_is_taken_from_proxies_that_are_ours_alone(
    services: Services, proxies: int, *, expected: bool
) -> None:
    app = create_app(replace(services, settings=host_settings(trusted_proxies=proxies)))
    response = app.test_client().get("/healthz", headers={"X-Forwarded-Proto": "https"})
    assert expected == ("Strict-Transport-Security" in response.headers)
