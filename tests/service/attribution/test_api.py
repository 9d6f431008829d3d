"""`/api/admin/mappings` over HTTP."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from pydantic import SecretStr
from werkzeug.test import TestResponse

from api.app import create_app
from api.services import Services
from collector.attribution.job import Attribution
from collector.attribution.routing import Router
from ledger.keys import Scope
from ledger.settings import Settings
from ledger.tenant import TenantId
from tests.access import bearer, make_key
from tests.builders import NOW
from tests.service.attribution.claims import ACCOUNT, NUMBER, map_to
from tests.service.attribution.reports import report

BODY = {"kind": "number", "value": NUMBER, "tenant": "acme", "valid_from": "2026-03-01"}
ANSWER = {
    "mapping_id": 1,
    "kind": "number",
    "value": None,
    "shown": "…0100",
    "tenant": "acme",
    "valid_from": "2026-03-01T00:00:00Z",
    "until": None,
    "label": None,
    "matches": True,
}

NOTHING = {"usages": 0, "failed_count": 0, "failed": []}
ADDED = {**ANSWER, "attributed": NOTHING}

Ask = Callable[..., TestResponse]


@pytest.fixture
def ask(app: Flask, engine: sa.Engine) -> Ask:
    headers = bearer(make_key(engine, Scope.TENANTS))

    def ask(method: str, path: str = "", **request: Any) -> TestResponse:
        return app.test_client().open(
            f"/api/admin/mappings{path}", method=method, headers=headers, **request
        )

    return ask


def told(response: TestResponse) -> tuple[int, Any]:
    return response.status_code, response.get_json()


def problem(response: TestResponse) -> tuple[int, str, str | None]:
    body = response.get_json()
    assert "application/problem+json" == response.mimetype
    return response.status_code, body["code"], body.get("key")


def test_a_mapping_is_added_once(ask: Ask) -> None:
    assert [(201, ADDED), (200, ADDED)] == [told(ask("POST", json=BODY)) for _ in range(2)]


def test_who_adds_a_mapping_is_told_what_was_attributed_and_what_failed(
    ask: Ask, router: Router, attribution: Attribution
) -> None:
    router.book([report("SM1"), report("SM2")], now=NOW)
    attribution.move({"SM1": TenantId("gone")}, now=NOW)
    failed = {"tenant": "gone", "code": "unknown_tenant", "reason": "there is no tenant gone"}
    expected = {"usages": 1, "failed_count": 1, "failed": [failed]}
    assert expected == ask("POST", json=BODY).get_json()["attributed"]


def test_what_an_unexpected_error_says_is_not_told(
    ask: Ask, router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **_named: object) -> None:
        raise RuntimeError("a statement with its values")

    router.book([report()], now=NOW)
    monkeypatch.setattr(Attribution, "_arrive_at", fail)
    (failed,) = ask("POST", json=BODY).get_json()["attributed"]["failed"]
    assert ("internal_error", False) == (failed["code"], "statement" in failed["reason"])


def test_mappings_are_listed_with_what_waits(ask: Ask) -> None:
    ask("POST", json=BODY)
    assert (200, {"mappings": [ANSWER], "waiting": [], "in_transit": []}) == told(ask("GET"))


def test_what_is_not_personal_is_told_as_it_is(ask: Ask) -> None:
    body = {**BODY, "kind": "account", "value": ACCOUNT, "label": "Subaccount"}
    answer = ask("POST", json=body).get_json()
    assert (ACCOUNT, ACCOUNT, "Subaccount") == (answer["value"], answer["shown"], answer["label"])


def test_a_mapping_is_ended_once(ask: Ask) -> None:
    ask("POST", json=BODY)
    answers = [told(ask("DELETE", f"/1?until={until}")) for until in ("2026-03-05", "2026-03-07")]
    assert [(200, {**ANSWER, "until": "2026-03-05T00:00:00Z"})] * 2 == answers


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kind": "phone"}, (400, "unknown_mapping_kind", "kind")),
        ({"value": "1"}, (400, "invalid_mapping_value", "value")),
        ({"value": 7}, (400, "not_text", "value")),
        ({"kind": None}, (400, "not_text", "kind")),
        ({"tenant": "_unattributed"}, (400, "invalid_tenant", "tenant")),
        ({"tenant": "nobody"}, (404, "unknown_tenant", "tenant")),
        ({"valid_from": "soon"}, (400, "invalid_valid_from", "valid_from")),
        ({"valid_from": 20260301}, (400, "not_text", "valid_from")),
        ({"label": "+13125550100"}, (400, "personal_data", "label")),
        ({"colour": "red"}, (400, "unknown_field", "colour")),
    ],
)
def test_what_cannot_be_is_a_problem(
    ask: Ask, changes: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    assert expected == problem(ask("POST", json={**BODY, **changes}))


def test_a_field_that_is_not_there_is_named(ask: Ask) -> None:
    assert (400, "missing_field", "tenant") == problem(
        ask("POST", json={"kind": "number", "value": NUMBER})
    )


def test_a_body_that_is_no_json_is_refused(ask: Ask) -> None:
    assert (415, "unsupported_type", "Content-Type") == problem(ask("POST", data="kind=number"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/7", (404, "unknown_mapping", "mapping")),
        (f"/{10**30}", (404, "unknown_mapping", "mapping")),
        ("/1?until=soon", (400, "invalid_valid_from", "until")),
        ("/1?tenant=acme", (400, "unknown_parameter", "tenant")),
    ],
)
def test_an_end_that_cannot_be_is_a_problem(
    ask: Ask, engine: sa.Engine, path: str, expected: tuple[int, str, str]
) -> None:
    map_to(engine, "acme")
    assert expected == problem(ask("DELETE", path))


def test_without_a_hash_key_a_number_is_refused(services: Services, engine: sa.Engine) -> None:
    answer = (
        create_app(replace(services, settings=Settings()))
        .test_client()
        .post("/api/admin/mappings", json=BODY, headers=bearer(make_key(engine, Scope.TENANTS)))
    )
    assert (400, "missing_hash_key", "kind") == problem(answer)


def test_with_another_hash_key_a_mapping_says_that_it_matches_nothing(
    services: Services, engine: sa.Engine
) -> None:
    map_to(engine, "acme")
    app = create_app(
        replace(services, settings=Settings(hash_key=SecretStr("another key of the tests")))
    )
    headers = bearer(make_key(engine, Scope.TENANTS))
    answer = app.test_client().get("/api/admin/mappings", headers=headers).get_json()
    assert [False] == [mapping["matches"] for mapping in answer["mappings"]]
