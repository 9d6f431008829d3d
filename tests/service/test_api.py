import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from api.services import Services
from ledger.keys import Scope, create_key, revoke_key
from ledger.models import usage_metrics
from ledger.session import operator_session
from ledger.settings import Settings
from ledger.tenant import TenantId
from tests.builders import NOW, ai, sms
from tests.statements import change_schema

URL = "/api/v1/events"

Post = Callable[..., TestResponse]


def make_key(engine: sa.Engine, *scopes: Scope, tenant: str | None = None) -> tuple[str, str]:
    with operator_session(engine, write=True) as session:
        key, secret = create_key(
            session,
            scopes=frozenset(scopes),
            label="test",
            tenant_id=None if tenant is None else TenantId(tenant),
            now=NOW,
        )
    return key.key_id, secret


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


@pytest.fixture
def host_key(engine: sa.Engine) -> str:
    return make_key(engine, Scope.INGEST)[1]


@pytest.fixture
def post(client: FlaskClient, host_key: str) -> Post:
    def post(body: Any, content_type: str = "application/json", **headers: str) -> TestResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return client.post(
            URL,
            data=data,
            headers={"Authorization": f"Bearer {host_key}", **headers},
            content_type=content_type,
        )

    return post


def stored(engine: sa.Engine) -> list[tuple[str, str]]:
    with operator_session(engine) as session:
        query = sa.select(usage_metrics.c.tenant_id, usage_metrics.c.event_id).order_by(
            usage_metrics.c.id
        )
        return [(row[0], row[1]) for row in session.connection.execute(query)]


def statuses(response: TestResponse) -> list[str]:
    return [result["status"] for result in response.get_json()["results"]]


def codes(response: TestResponse) -> list[str | None]:
    return [result.get("code") for result in response.get_json()["results"]]


def test_one_event_is_answered_with_one_result(post: Post) -> None:
    expected = {
        "stored": 1,
        "duplicate": 0,
        "conflict": 0,
        "rejected": 0,
        "results": [{"index": 0, "id": "SM1", "status": "stored"}],
    }
    assert expected == post(sms()).get_json()


def test_results_of_a_batch_come_in_the_order_sent(post: Post) -> None:
    response = post([sms("a"), sms("a"), sms("a", quantity=5), sms("b", channel="fax")])
    assert ["stored", "duplicate", "conflict", "rejected"] == statuses(response)


def test_a_rejection_says_what_to_do_and_where(post: Post) -> None:
    (result,) = post([sms(direction="sideways")]).get_json()["results"]
    expected = {
        "index": 0,
        "id": "SM1",
        "status": "rejected",
        "code": "unknown_direction",
        "key": "direction",
        "value": "sideways",
        "message": "direction is one of inbound, outbound",
    }
    assert expected == result


def test_ndjson_is_read_line_by_line(post: Post) -> None:
    lines = b"\n".join([json.dumps(sms("a")).encode(), b"{oops", json.dumps(sms("b")).encode()])
    response = post(lines, "application/x-ndjson")
    assert [None, "malformed_json", None] == codes(response)


def test_broken_utf8_in_ndjson_fails_its_own_line_alone(post: Post, engine: sa.Engine) -> None:
    response = post(json.dumps(sms("a")).encode() + b'\n{"id":"\xff"}', "application/x-ndjson")
    assert ([None, "malformed_utf8"], [("acme", "a")]) == (codes(response), stored(engine))


def test_a_cloudevent_is_booked_under_source_and_id(post: Post, engine: sa.Engine) -> None:
    data = sms(tenant=..., time=...)
    data.pop("id")
    envelope = {
        "specversion": "1.0",
        "id": "7",
        "source": "/host",
        "type": "usage",
        "subject": "acme",
        "time": "2026-03-09T12:00:00Z",
        "data": data,
    }
    one = post(envelope, "application/cloudevents+json; charset=utf-8")
    batch = post([envelope, envelope], "application/cloudevents-batch+json")
    answers = [*statuses(one), *statuses(batch)]
    expected = (["stored", "duplicate", "duplicate"], [("acme", "/host/7")])
    assert expected == (answers, stored(engine))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"channel": "fax"}, "unknown_channel"),
        ({"direction": "up"}, "unknown_direction"),
        ({"tenant": "umbrella"}, "unknown_tenant"),
        ({"tenant": "../acme"}, "invalid_tenant"),
        ({"time": "2027-01-01T00:00:00Z"}, "future_time"),
        ({"time": "2026-03-09T12:00:00"}, "missing_offset"),
        ({"quantity": -1}, "invalid_quantity"),
        ({"quantity": True}, "invalid_quantity"),
        ({"quantity": 10**40}, "invalid_quantity"),
        ({"feature": "x" * 65}, "invalid_slug"),
        ({"source": "Twilio"}, "invalid_slug"),
        ({"metadata": {"messages": "hi"}}, "metadata_has_content"),
        ({"metadata": {"campaignId": "x" * 200}}, "metadata_value_too_long"),
        ({"metadata": {f"k{n}": "x" * 99 for n in range(99)}}, "metadata_too_large"),
        ({"id": "jo@example.org"}, "personal_data"),
    ],
)
def test_bad_input_is_named_and_its_neighbours_are_stored(
    post: Post, engine: sa.Engine, changes: dict[str, Any], code: str
) -> None:
    response = post([sms("before"), {**sms("bad"), **changes}, sms("after")])
    found = (response.status_code, codes(response), [event_id for _, event_id in stored(engine)])
    assert (200, [None, code, None], ["before", "after"]) == found


def test_contradictory_tokens_are_named(post: Post) -> None:
    response = post(ai(metadata={"input_tokens": 1, "cached_tokens": 2}))
    assert ["contradictory_counts"] == codes(response)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b'[{"id":"a"},{"id"', "application/json", 400, "malformed_json"),
        (b'{"id":"\xff"}', "application/json", 400, "malformed_utf8"),
        (b'{"quantity": NaN}', "application/json", 400, "malformed_json"),
        (b"", "application/json", 400, "malformed_json"),
        (b"[" * 5000, "application/json", 400, "malformed_json"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "unsupported_type"),
        (b"{}", "", 415, "unsupported_type"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_problem(
    post: Post, body: bytes, content_type: str, status: int, code: str
) -> None:
    response = post(body, content_type)
    found = (response.status_code, response.mimetype, response.get_json()["code"])
    assert (status, "application/problem+json", code) == found


def test_an_unknown_encoding_is_refused_instead_of_misread(post: Post) -> None:
    response = post(zlib.compress(json.dumps(sms()).encode()), **{"Content-Encoding": "deflate"})
    assert (415, "unsupported_encoding") == (response.status_code, response.get_json()["code"])


def test_a_problem_body_is_pinned(post: Post) -> None:
    expected = {
        "type": "urn:meterline:problem:unsupported_type",
        "title": "Unsupported Media Type",
        "status": 415,
        "code": "unsupported_type",
        "detail": "Content-Type is one of application/json, application/x-ndjson,"
        " application/cloudevents+json, application/cloudevents-batch+json,"
        " application/ndjson, application/jsonl",
        "key": "Content-Type",
        "value": "text/plain",
    }
    assert expected == post(b"{}", "text/plain").get_json()


def test_a_body_over_the_limit_is_413_with_the_limit(post: Post) -> None:
    response = post(b" " * (16 * 1024 * 1024 + 1))
    detail = response.get_json()["detail"]
    assert (413, "a body has at most 16777216 bytes") == (response.status_code, detail)


def test_a_batch_over_the_limit_is_413_and_stores_nothing(
    engine: sa.Engine, services: Services, host_key: str
) -> None:
    few = replace(services, settings=Settings(max_batch_events=2))
    response = (
        create_app(few)
        .test_client()
        .post(
            URL,
            json=[sms("a"), sms("b"), sms("c")],
            headers={"Authorization": f"Bearer {host_key}"},
        )
    )
    detail = "a request has at most 2 events; this one has 3"
    found = (response.status_code, response.get_json()["detail"], stored(engine))
    assert (413, detail, []) == found


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer mtl_wrong", "mtl_wrong"]
)
def test_without_a_valid_key_the_answer_is_401(
    client: FlaskClient, engine: sa.Engine, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = client.post(URL, json=sms(), headers=headers)
    found = (response.status_code, response.headers["WWW-Authenticate"], stored(engine))
    assert (401, "Bearer", []) == found


def test_a_revoked_key_is_401(client: FlaskClient, engine: sa.Engine) -> None:
    key_id, secret = make_key(engine, Scope.INGEST)
    with operator_session(engine, write=True) as session:
        revoke_key(session, key_id, now=NOW)
    response = client.post(URL, json=sms(), headers={"Authorization": f"Bearer {secret}"})
    assert (401, "invalid_credential") == (response.status_code, response.get_json()["code"])


def test_a_key_without_the_scope_is_403(client: FlaskClient, engine: sa.Engine) -> None:
    _, secret = make_key(engine, Scope.READ, Scope.TENANTS, Scope.SERIES)
    response = client.post(URL, json=sms(), headers={"Authorization": f"Bearer {secret}"})
    assert (403, "missing_scope") == (response.status_code, response.get_json()["code"])


def test_a_tenant_key_writes_for_its_own_tenant_alone(
    client: FlaskClient, engine: sa.Engine
) -> None:
    _, secret = make_key(engine, Scope.INGEST, tenant="karachi")
    events = [sms("a", tenant=...), sms("b", tenant="acme"), sms("c", tenant="karachi")]
    response = client.post(URL, json=events, headers={"Authorization": f"Bearer {secret}"})
    found = (codes(response), stored(engine))
    assert ([None, "foreign_tenant", None], [("karachi", "a"), ("karachi", "c")]) == found


def test_a_key_is_nowhere_in_the_ledger(host_key: str, ledger_path: Any) -> None:
    files = [ledger_path, ledger_path.with_name("ledger.db-wal")]
    content = b"".join(path.read_bytes() for path in files if path.exists())
    assert host_key.encode() not in content


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nowhere", 404, "not_found"),
        ("GET", "/webhooks/nowhere", 404, "not_found"),
        ("GET", "/grafana/nowhere", 404, "not_found"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("GET", URL, 405, "method_not_allowed"),
        ("DELETE", URL, 405, "method_not_allowed"),
    ],
)
def test_what_is_not_there_is_a_problem_too(
    client: FlaskClient, method: str, path: str, status: int, code: str
) -> None:
    response = client.open(path, method=method)
    found = (response.status_code, response.mimetype, response.get_json()["code"])
    assert (status, "application/problem+json", code) == found


@pytest.mark.ledger("sqlite")
def test_a_ledger_that_does_not_answer_is_503_with_a_time_to_retry(
    post: Post, engine: sa.Engine
) -> None:
    change_schema(engine, "DROP TABLE sequences")
    response = post(sms())
    found = (response.status_code, response.headers["Retry-After"], response.get_json()["code"])
    assert (503, "5", "ledger_unavailable") == found


@pytest.mark.ledger("sqlite")
def test_health_does_not_need_the_ledger_and_readiness_does(
    client: FlaskClient, engine: sa.Engine
) -> None:
    before = [client.get(path).status_code for path in ("/healthz", "/readyz")]
    change_schema(engine, "DROP TABLE tenants")
    after = [client.get(path).status_code for path in ("/healthz", "/readyz")]
    assert ([200, 200], [200, 503]) == (before, after)
