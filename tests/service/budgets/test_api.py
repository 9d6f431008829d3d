"""`/api/billing/budgets`, asked over the application."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from api.services import Services
from costing.budgets.job import Budgeting
from ledger.keys import Scope
from ledger.models import budget_revisions
from ledger.session import operator_session
from tests.access import bearer, claims, host_settings, make_key, sign
from tests.builders import NOW
from tests.service.budgets.conftest import PAT, Spend

PATH = "/api/billing/budgets"
PLAIN = {"period": "monthly", "amount": "100"}


@pytest.fixture
def client(services: Services) -> FlaskClient:
    app: Flask = create_app(replace(services, settings=host_settings()))
    return app.test_client()


def put(client: FlaskClient, budgets: Any, *, person: Any = None, **headers: str) -> TestResponse:
    token = bearer(sign(claims() if person is None else person))
    return client.put(PATH, json={"budgets": budgets}, headers={**token, **headers})


def get(client: FlaskClient) -> TestResponse:
    return client.get(PATH, headers=bearer(sign(claims())))


def test_a_tenant_without_budgets_has_none_and_a_revision_to_start_from(
    client: FlaskClient,
) -> None:
    answer = get(client)
    assert ([], 0, '"0"') == (
        answer.get_json()["budgets"],
        answer.get_json()["revision"],
        answer.headers["ETag"],
    )


def test_a_budget_that_is_put_is_got_with_where_it_stands(
    client: FlaskClient, spend: Spend, budgeting: Budgeting
) -> None:
    put(client, [{**PLAIN, "feature": "broadcast", "recipients": [PAT]}])
    spend(62)
    spend(5, channel="email", source="sendgrid")
    budgeting.run(now=NOW)
    (found,) = get(client).get_json()["budgets"]
    expected = {
        "from": "2026-03-01",
        "to": "2026-03-31",
        "period": "monthly",
        "feature": "broadcast",
        "amount": "100",
        "thresholds": [50, 80, 100],
        "recipients": [PAT],
        "set_at": "2026-03-10T12:00:00Z",
        "spent": "62",
        "percent_used": 62,
        "has_unpriced": True,
        "unpriced_count": 1,
        "reached": [50],
        "told": [],
        "waiting": [50],
        "untold": [],
        "forecast": None,
    }
    assert expected == found


def test_what_is_put_is_all_there_is(client: FlaskClient) -> None:
    put(client, [PLAIN, {**PLAIN, "period": "daily"}])
    put(client, [{**PLAIN, "amount": "7.5"}])
    found = get(client).get_json()["budgets"]
    assert [("monthly", "7.5")] == [(one["period"], one["amount"]) for one in found]


def test_putting_the_same_again_changes_nothing(client: FlaskClient) -> None:
    tags = [put(client, [PLAIN]).headers["ETag"] for _ in range(2)]
    assert ['"1"', '"1"'] == tags


def test_a_change_that_starts_from_an_older_one_is_refused(client: FlaskClient) -> None:
    put(client, [PLAIN], **{"If-Match": '"0"'})
    answer = put(client, [{**PLAIN, "amount": "9"}], **{"If-Match": '"0"'})
    assert (412, "budgets_changed") == (answer.status_code, answer.get_json()["code"])
    assert 200 == put(client, [], **{"If-Match": '"1"'}).status_code
    # A proxy that compresses answers weakens their tags.
    assert 200 == put(client, [PLAIN], **{"If-Match": 'W/"2"'}).status_code
    assert 200 == put(client, [PLAIN], **{"If-Match": "*"}).status_code


@pytest.mark.parametrize(
    ("budgets", "code", "key"),
    [
        ({}, "not_a_list", "budgets"),
        ([{**PLAIN, "amount": 100}], "amount_not_decimal", "amount"),
        ([{**PLAIN, "recipients": ["nobody"]}], "invalid_address", "recipients"),
        ([PLAIN, PLAIN], "repeated_budget", "budgets"),
    ],
)
def test_what_cannot_be_is_a_problem_by_name(
    client: FlaskClient, budgets: Any, code: str, key: str
) -> None:
    answer = put(client, budgets)
    assert (400, "application/problem+json", code, key) == (
        answer.status_code,
        answer.mimetype,
        answer.get_json()["code"],
        answer.get_json()["key"],
    )


def test_a_key_that_reads_cannot_write(client: FlaskClient, engine: sa.Engine) -> None:
    key = bearer(make_key(engine, Scope.READ, tenant="acme"))
    answers = [client.get(PATH, headers=key), client.put(PATH, json={"budgets": []}, headers=key)]
    assert [200, 403] == [answer.status_code for answer in answers]


def test_a_tenant_sees_its_own_alone(client: FlaskClient) -> None:
    put(client, [PLAIN])
    other = bearer(sign(claims(tenant_id="karachi")))
    assert [] == client.get(PATH, headers=other).get_json()["budgets"]


@pytest.mark.parametrize(
    ("subject", "kept"), [("usr_17", "usr_17"), ("pat@acme.example", "tenant_admin")]
)
def test_who_changed_a_budget_is_kept_and_no_address(
    client: FlaskClient, engine: sa.Engine, subject: str, kept: str
) -> None:
    put(client, [PLAIN], person=claims(sub=subject))
    with operator_session(engine) as session:
        query = sa.select(budget_revisions.c.set_by)
        assert [kept] == list(session.connection.execute(query).scalars())
