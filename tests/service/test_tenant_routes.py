"""The host keeps us in step with its tenants over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from api.services import Services
from collector.intake import Intake
from ledger.keys import Scope
from tests.access import bearer, make_key
from tests.builders import NOW, sms

BODY = {"name": "Umbrella", "plan": "Pro", "timezone": "Europe/Berlin"}
ANSWER = {"tenant_id": "umbrella", **BODY, "closed_at": None}

Ask = Callable[..., TestResponse]


@pytest.fixture
def ask(services: Services, engine: sa.Engine) -> Ask:
    client: FlaskClient = create_app(services).test_client()
    headers = bearer(make_key(engine, Scope.TENANTS))

    def ask(method: str, tenant: str = "umbrella", **request: Any) -> TestResponse:
        path = f"/api/admin/tenants/{tenant}"
        return client.open(path, method=method, headers=headers, **request)

    return ask


def told(response: TestResponse) -> tuple[int, Any]:
    return response.status_code, response.get_json()


def problem(response: TestResponse) -> tuple[int, str, str | None]:
    body = response.get_json()
    return response.status_code, body["code"], body.get("key")


def test_a_new_tenant_is_registered(ask: Ask) -> None:
    assert (201, ANSWER) == told(ask("PUT", json=BODY))


def test_putting_the_same_again_changes_nothing(ask: Ask) -> None:
    ask("PUT", json=BODY)
    assert (200, ANSWER) == told(ask("PUT", json=BODY))


def test_a_tenant_that_is_there_is_changed(ask: Ask) -> None:
    ask("PUT", json=BODY)
    ask("PUT", json={**BODY, "plan": "Elite", "timezone": "Asia/Karachi"})
    expected = {**ANSWER, "plan": "Elite", "timezone": "Asia/Karachi"}
    assert (200, expected) == told(ask("GET"))


def test_a_tenant_is_closed_and_stays_so_when_closed_again(ask: Ask) -> None:
    ask("PUT", json=BODY)
    expected = (200, {**ANSWER, "closed_at": "2026-03-10T12:00:00Z"})
    assert [expected] * 3 == [told(ask(method)) for method in ("DELETE", "DELETE", "GET")]


def test_usage_of_a_closed_tenant_is_rejected_and_that_of_before_is_booked(
    ask: Ask, intake: Intake
) -> None:
    ask("DELETE", "acme")
    events = [sms("before"), sms("after", time=NOW.isoformat())]
    results = intake.book(events, only_tenant=None, now=NOW)
    assert [None, "closed_tenant"] == [result.code for result in results]


def test_putting_a_closed_tenant_opens_it_again(ask: Ask) -> None:
    ask("PUT", json=BODY)
    ask("DELETE")
    assert (200, ANSWER) == told(ask("PUT", json=BODY))


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_tenant_is_404(ask: Ask, method: str) -> None:
    assert (404, "unknown_tenant", "tenant") == problem(ask(method))


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
@pytest.mark.parametrize("tenant", ["-", "a%20b", "%2e%2e", "x" * 65, "%FF", "a%00"])
def test_an_id_that_cannot_be_is_400(ask: Ask, method: str, tenant: str) -> None:
    assert (400, "invalid_tenant", "tenant") == problem(ask(method, tenant, json=BODY))


@pytest.mark.parametrize(
    ("changes", "code", "key"),
    [
        ({"name": ""}, "invalid_label", "name"),
        ({"name": None}, "invalid_label", "name"),
        ({"name": "a\nb"}, "invalid_label", "name"),
        ({"name": " "}, "invalid_label", "name"),
        ({"name": " a"}, "invalid_label", "name"),
        ({"plan": "a "}, "invalid_label", "plan"),
        ({"plan": "x" * 129}, "invalid_label", "plan"),
        ({"plan": 7}, "invalid_label", "plan"),
        ({"timezone": "Berlin"}, "unknown_timezone", "timezone"),
        ({"timezone": "localtime"}, "unknown_timezone", "timezone"),
        ({"timezone": ["UTC"]}, "unknown_timezone", "timezone"),
        ({"colour": "red"}, "unknown_field", "colour"),
        ({"tenant_id": "acme"}, "unknown_field", "tenant_id"),
        ({"name": ...}, "missing_field", "name"),
        ({"plan": ...}, "missing_field", "plan"),
        ({"timezone": ...}, "missing_field", "timezone"),
    ],
)
def test_a_field_that_is_wrong_is_named(
    ask: Ask, changes: dict[str, Any], code: str, key: str
) -> None:
    body = {k: v for k, v in {**BODY, **changes}.items() if v is not ...}
    assert (400, code, key) == problem(ask("PUT", json=body))


def test_a_body_that_is_wrong_registers_nothing(ask: Ask) -> None:
    ask("PUT", json={**BODY, "timezone": "Berlin"})
    assert 404 == ask("GET").status_code


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_json"),
        (b"", "application/json", 400, "malformed_json"),
        (b"\xff", "application/json", 400, "malformed_json"),
        (b"[]", "application/json", 400, "not_an_object"),
        (b"name=x", "application/x-www-form-urlencoded", 415, "unsupported_type"),
        (b"{}", "", 415, "unsupported_type"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_problem(
    ask: Ask, body: bytes, content_type: str, status: int, code: str
) -> None:
    response = ask("PUT", data=body, content_type=content_type)
    assert (status, code) == problem(response)[:2]
