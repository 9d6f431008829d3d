"""`GET /api/billing/usage/…` over usage that came through the real intake and costing."""

import csv
import io
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from api.services import Services
from costing.export import EXPORT_COLUMNS
from ledger.keys import Scope
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import change_tenant
from tests.access import bearer, make_key
from tests.builders import NOW, ai, sms
from tests.conftest import Book

INBOUND_EMAIL = {"channel": "email", "direction": "inbound", "source": "sendgrid"}
ROUTES = ["summary", "series", "features", "export"]

Get = Callable[..., TestResponse]


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


@pytest.fixture
def get(client: FlaskClient, engine: sa.Engine) -> Get:
    """Ask with a key of tenant acme."""
    key = make_key(engine, Scope.READ, tenant="acme")

    def get(route: str, headers: dict[str, str] | None = None, **query: str) -> TestResponse:
        path = f"/api/billing/usage/{route}"
        return client.get(path, query_string=query, headers=bearer(key) | (headers or {}))

    return get


def rows(response: TestResponse) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(response.get_data(as_text=True))))


def add_up(lines: list[dict[str, str]]) -> tuple[int, Decimal]:
    costs = (Decimal(line["estimated_cost"] or 0) for line in lines)
    return sum(int(line["count"]) for line in lines), sum(costs, Decimal(0))


def test_the_summary_says_whose_usage_it_is_and_of_which_dates(get: Get) -> None:
    answer = get("summary").get_json()
    tenant = {"id": "acme", "name": "Acme", "plan": "Pro", "timezone": "UTC"}
    expected = (tenant, "2026-02-09", "2026-03-10", "USD")
    assert expected == (answer["tenant"], answer["from"], answer["to"], answer["currency"])


def test_the_total_is_money_as_text_and_counts_as_numbers(get: Get, book: Book) -> None:
    book(sms("a"), ai("b"), sms("c", **INBOUND_EMAIL))
    expected = {
        "count": 3,
        "estimated_cost": "0.0139",
        "has_unpriced": True,
        "unpriced_count": 1,
        "flat_rated_count": 1,
    }
    assert expected == get("summary").get_json()["total"]


def test_the_summary_names_what_most_was_spent_on(get: Get, book: Book) -> None:
    book(sms("a"), ai("b"))
    answer = get("summary").get_json()
    expected = [
        {"name": "sms", "estimated_cost": "0.0089"},
        {"name": "broadcast", "estimated_cost": "0.0089"},
    ]
    assert expected == [answer["top_channel"], answer["top_feature"]]


def test_a_channel_that_is_not_priced_at_all_has_neither_cost_nor_share(
    get: Get, book: Book
) -> None:
    book(sms("a"), sms("b", **INBOUND_EMAIL))
    (email,) = [c for c in get("summary").get_json()["channels"] if c["channel"] == "email"]
    assert (None, None, 1) == (email["estimated_cost"], email["percent"], email["unpriced_count"])


def test_the_summary_says_what_waits_and_when_it_was_updated(
    get: Get, book: Book, services: Services
) -> None:
    book(sms("a"))
    services.intake.book([sms("b"), sms("c")], only_tenant=None, now=NOW)
    answer = get("summary").get_json()
    assert ("2026-03-10T12:00:00Z", 2) == (answer["costed_at"], answer["pending_events"])


def test_the_series_has_every_date_and_channel(get: Get) -> None:
    assert 90 * 5 == len(get("series", range="90d").get_json()["points"])


def test_a_point_of_the_series(get: Get, book: Book) -> None:
    book(sms("a"))
    (point,) = [p for p in get("series").get_json()["points"] if p["count"]]
    expected = {
        "date": "2026-03-09",
        "channel": "sms",
        "count": 1,
        "estimated_cost": "0.0089",
        "has_unpriced": False,
        "unpriced_count": 0,
        "flat_rated_count": 0,
    }
    assert expected == point


def test_features_are_there_with_channel_and_source_the_dearest_first(get: Get, book: Book) -> None:
    book(sms("a"), ai("b"), sms("c", feature=..., source=...), sms("d"))
    found = get("features").get_json()["features"]
    expected = [
        ("broadcast", "sms", "twilio", "0.0178"),
        (None, "sms", None, "0.0089"),
        ("ai_sms", "ai", "openai", "0.005"),
    ]
    names = ("feature", "channel", "source", "estimated_cost")
    assert expected == [tuple(row[name] for name in names) for row in found]


@pytest.mark.parametrize("route", ROUTES)
def test_a_range_by_its_dates_has_both_ends(get: Get, book: Book, route: str) -> None:
    book(sms("a"), sms("b", time="2026-03-08T12:00:00Z"), sms("c", time="2026-03-07T12:00:00Z"))
    query = {"from": "2026-03-07", "to": "2026-03-08"}
    assert 2 == _count(get(route, **query))


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("code", "key", "query"),
    [
        ("unknown_range", "range", {"range": "31d"}),
        ("empty_range", "from", {"from": "2026-03-02", "to": "2026-03-01"}),
        ("incomplete_range", "to", {"from": "2026-03-02"}),
        ("invalid_date", "to", {"from": "2026-03-01", "to": "tomorrow"}),
        ("ambiguous_range", "range", {"range": "30d", "from": "2026-03-01", "to": "2026-03-01"}),
        ("unknown_parameter", "rnage", {"rnage": "90d"}),
        ("unknown_parameter", "tenant", {"tenant": "karachi"}),
        ("unknown_parameter", "tenant_id", {"tenant_id": "acme"}),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused_with_the_reason(
    get: Get, route: str, code: str, key: str, query: dict[str, str]
) -> None:
    response = get(route, **query)
    answer = response.get_json()
    expected = (400, "application/problem+json", code, key)
    assert expected == (response.status_code, response.mimetype, answer["code"], answer["key"])


def test_a_parameter_that_is_given_twice_is_refused(client: FlaskClient, engine: sa.Engine) -> None:
    headers = bearer(make_key(engine, Scope.READ, tenant="acme"))
    response = client.get("/api/billing/usage/summary?range=30d&range=90d", headers=headers)
    assert "repeated_parameter" == response.get_json()["code"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", ["X-Tenant", "X-Tenant-Id", "Tenant", "X-Forwarded-User"])
def test_a_tenant_in_a_header_changes_nothing(get: Get, book: Book, route: str, name: str) -> None:
    book(sms("a"), sms("b", tenant="karachi"), sms("c", tenant="karachi"))
    assert get(route).data == get(route, headers={name: "karachi"}).data


@pytest.mark.parametrize("route", ROUTES)
def test_a_host_key_has_no_tenant_to_show(
    client: FlaskClient, engine: sa.Engine, route: str
) -> None:
    headers = bearer(make_key(engine, Scope.READ))
    response = client.get(f"/api/billing/usage/{route}", headers=headers)
    expected = (403, "no_tenant_context")
    assert expected == (response.status_code, response.get_json()["code"])


@pytest.mark.parametrize("route", ROUTES)
def test_nobody_in_particular_is_shown_nothing(client: FlaskClient, route: str) -> None:
    assert 401 == client.get(f"/api/billing/usage/{route}").status_code


def test_days_are_those_of_the_tenant(get: Get, engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        change_tenant(session, TenantId("acme"), timezone="Pacific/Kiritimati", now=NOW)
    assert "2026-03-11" == get("summary").get_json()["to"]


def test_the_export_is_a_csv_to_be_saved(get: Get) -> None:
    response = get("export")
    expected = (
        200,
        "text/csv; charset=utf-8",
        'attachment; filename="usage-acme-2026-02-09-2026-03-10.csv"',
    )
    headers = response.headers
    found = (response.status_code, headers["Content-Type"], headers["Content-Disposition"])
    assert expected == found


def test_the_export_has_the_seven_columns(get: Get) -> None:
    assert (",".join(EXPORT_COLUMNS) + "\n").encode() == get("export").data


def test_the_export_leaves_the_cost_of_unpriced_usage_empty(get: Get, book: Book) -> None:
    book(sms("a", **INBOUND_EMAIL))
    assert [""] == [line["estimated_cost"] for line in rows(get("export"))]


@pytest.mark.parametrize(
    "query", [{}, {"range": "90d"}, {"from": "2026-01-20", "to": "2026-03-05"}]
)
def test_the_export_adds_up_to_the_summary(get: Get, book: Book, query: dict[str, str]) -> None:
    events = [
        make(f"{number}", time=f"{date(2026, 1, 1) + timedelta(days=number)}T12:00:00Z")
        for number, make in enumerate([sms, ai] * 34)
    ]
    book(*events, sms("free", **INBOUND_EMAIL))
    total = get("summary", **query).get_json()["total"]
    expected = (total["count"], Decimal(total["estimated_cost"]))
    assert expected == add_up(rows(get("export", **query)))


def test_the_series_and_the_features_add_up_to_the_summary(get: Get, book: Book) -> None:
    book(sms("a"), ai("b"), sms("c", feature="ivr", channel="voice"), sms("d", **INBOUND_EMAIL))
    total = _sums([get("summary").get_json()["total"]])
    expected = [total, total]
    found = [get("series").get_json()["points"], get("features").get_json()["features"]]
    assert expected == [_sums(part) for part in found]


def _count(response: TestResponse) -> int:
    if response.mimetype == "text/csv":
        return add_up(rows(response))[0]
    answer = response.get_json()
    parts = answer.get("points") or answer.get("features") or [answer["total"]]
    return sum(part["count"] for part in parts)


def _sums(parts: list[dict[str, Any]]) -> tuple[int, Decimal, int]:
    return (
        sum(part["count"] for part in parts),
        sum((Decimal(part["estimated_cost"] or 0) for part in parts), Decimal(0)),
        sum(part["unpriced_count"] for part in parts),
    )
