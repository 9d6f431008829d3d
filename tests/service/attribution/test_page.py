"""The page `/admin/mappings`."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from api.auth.csrf import make_csrf
from api.services import Services
from collector.attribution.job import Attribution
from collector.attribution.routing import Router
from costing.job import Costing
from ledger.accounts.roles import Role
from ledger.tenant import TenantId
from tests.access import make_sign_in
from tests.builders import NOW
from tests.routes import Credential, client_with
from tests.service.attribution.claims import NUMBER, map_to
from tests.service.attribution.reports import report, totals

FORM = {
    "kind": "number",
    "value": NUMBER,
    "tenant": "acme",
    "valid_from": "2026-03-01",
    "label": "",
}

Send = Callable[..., TestResponse]


@pytest.fixture
def token(engine: sa.Engine) -> str:
    return make_sign_in(engine, Role.ROOT_ADMIN, None)


@pytest.fixture
def client(app: Flask, token: str) -> FlaskClient:
    return client_with(app, Credential({}, token))


@pytest.fixture
def send(client: FlaskClient, token: str) -> Send:
    def send(path: str, form: dict[str, str]) -> TestResponse:
        data = {"csrf": make_csrf(token), **form}
        return client.post(path, data=data, base_url="https://localhost")

    return send


def page(client: FlaskClient, path: str = "/admin/mappings") -> str:
    return client.get(path, base_url="https://localhost").text


def test_an_added_mapping_is_shown_and_said(client: FlaskClient, send: Send) -> None:
    answer = send("/admin/mappings", FORM)
    assert (303, "/admin/mappings?changed=1") == (answer.status_code, answer.location)
    assert "Phone number …0100 leads to Acme from 2026-03-01." in page(client, answer.location)


def test_a_fault_is_told_with_what_was_typed(client: FlaskClient, send: Send) -> None:
    answer = send("/admin/mappings", {**FORM, "value": "3125550100", "label": "Front desk"})
    assert (400, True, True, True) == (
        answer.status_code,
        "A number is in E.164 form" in answer.text,
        'value="3125550100"' in answer.text,
        'value="Front desk"' in answer.text,
    )
    assert "Nothing is mapped yet." in page(client)


def test_a_mapping_is_ended(client: FlaskClient, send: Send, engine: sa.Engine) -> None:
    number = map_to(engine, "acme")
    send(f"/admin/mappings/{number}/end", {"until": "2026-03-01"})
    assert '2026-03-01 <span class="tag">over</span>' in page(client)


def test_an_end_that_cannot_be_is_told(send: Send, engine: sa.Engine) -> None:
    map_to(engine, "acme")
    answer = send("/admin/mappings/1/end", {"until": "soon"})
    assert (400, True) == (answer.status_code, "This is a date like" in answer.text)


@pytest.mark.parametrize("path", ["/admin/mappings", "/admin/mappings/1/end"])
def test_a_form_that_is_not_ours_changes_nothing(
    client: FlaskClient, send: Send, engine: sa.Engine, path: str
) -> None:
    map_to(engine, "acme", valid_from="2026-03-01")
    before = page(client)
    answer = send(path, {**FORM, "tenant": "karachi", "csrf": "0" * 64})
    assert (403, before) == (answer.status_code, page(client))


def test_a_page_says_that_numbers_cannot_be_mapped_without_a_key(
    engine: sa.Engine, services: Services
) -> None:
    app = create_app(services)
    client = client_with(app, Credential({}, make_sign_in(engine, Role.ROOT_ADMIN, None)))
    assert "METERLINE_HASH_KEY is not set" in page(client)


def test_a_label_is_text_and_no_markup(client: FlaskClient, engine: sa.Engine) -> None:
    map_to(engine, "acme", label="<b>bold</b>")
    assert "&lt;b&gt;bold&lt;/b&gt;" in page(client)


def test_the_page_shows_what_waits_and_what_travels(
    client: FlaskClient,
    router: Router,
    attribution: Attribution,
    engine: sa.Engine,
    costing: Costing,
) -> None:
    router.book([report("SM1"), report("SM2"), report("SM3")], now=NOW)
    costing.run(clock=lambda: NOW)
    map_to(engine, "acme")
    attribution.move({"SM1": TenantId("gone")}, now=NOW)  # it is not there, so it does not arrive
    text = page(client)
    assert (True, True, True) == (
        "1 usage (3 units of sms, $0.0267) on the way to gone" in text,
        "2 usages wait" in text,
        "\N{HORIZONTAL ELLIPSIS}0100" in text,
    )


def test_a_mapping_that_is_added_by_the_form_attributes_what_waits(
    client: FlaskClient, send: Send, router: Router, engine: sa.Engine
) -> None:
    router.book([report()], now=NOW)
    send("/admin/mappings", FORM)
    assert ({"acme": (1, 3)}, False) == (totals(engine), "usages wait" in page(client))
