"""The pages as a browser gets them, without one."""

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from api.app import create_app
from api.services import Services
from costing.job import Costing
from costing.pricing.flat import load_flat_map
from ledger.accounts.roles import Role
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import add_tenant, change_tenant, close_tenant
from tests.access import COOKIE, make_sign_in
from tests.builders import NOW, ai, sms
from tests.conftest import Book

INBOUND_EMAIL = {"channel": "email", "direction": "inbound", "source": "sendgrid"}
HTTPS = "https://localhost"

Open = Callable[[str], str]


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


@pytest.fixture
def usage(client: FlaskClient, engine: sa.Engine) -> Open:
    """Open the page of tenant acme as its admin."""
    return _as(client, make_sign_in(engine, Role.TENANT_ADMIN))


@pytest.fixture
def grid(client: FlaskClient, engine: sa.Engine) -> Open:
    """Open the page of all tenants as a root admin."""
    return _as(client, make_sign_in(engine, Role.ROOT_ADMIN))


def _as(client: FlaskClient, token: str) -> Open:
    client.set_cookie(COOKIE, token, secure=True)

    def open_page(path: str) -> str:
        return client.get(path, base_url=HTTPS).get_data(as_text=True)

    return open_page


def text_of(page: str, tag_id: str) -> str:
    found = re.search(rf'<(\w+)[^>]*id="{tag_id}"[^>]*>(.*?)</\1>', page, re.DOTALL)
    return "" if found is None else " ".join(re.sub(r"<[^>]+>", " ", found[2]).split())


def test_the_page_says_whose_usage_it_shows(usage: Open) -> None:
    page = usage("/usage")
    assert ["Acme", "Pro plan", "Days in UTC"] == re.findall(
        r"Acme(?=</h1>)|Pro plan|Days in UTC", page
    )


def test_the_cards_show_total_and_tops(usage: Open, book: Book) -> None:
    book(sms("a", quantity=200), ai("b", metadata=ai_tokens(4_000)))
    page = usage("/usage")
    expected = ["$1.79", "SMS", "broadcast"]
    assert expected == [text_of(page, name) for name in ("total", "top-channel", "top-feature")]


def test_an_exact_amount_is_a_pointer_away(usage: Open, book: Book) -> None:
    book(sms("a", quantity=200), ai("b", metadata=ai_tokens(4_000)))
    assert 'title="Exactly $1.788"' in usage("/usage")


def test_an_amount_below_a_cent_is_not_shown_as_zero(usage: Open, book: Book) -> None:
    book(sms("a", channel="email", source="sendgrid"))
    assert "$0.0004" == text_of(usage("/usage"), "total")


def test_the_channel_table_has_a_row_a_channel_and_the_total(usage: Open, book: Book) -> None:
    book(sms("a", quantity=200), ai("b", metadata=ai_tokens(100_000)))
    expected = (
        "Channel Count Estimated cost % of total SMS 1 $1.78 89.9% MMS 0 $0.00 0.0%"
        " Voice 0 $0.00 0.0% Email 0 $0.00 0.0% AI 1 $0.20 10.1% Total 2 $1.98 100.0%"
    )
    assert expected == text_of(usage("/usage"), "channels")


def test_unpriced_usage_is_called_so_and_not_zero(usage: Open, book: Book) -> None:
    book(sms("a"), sms("b", **INBOUND_EMAIL))
    assert "Email 1 unpriced unknown" in text_of(usage("/usage"), "channels")


def test_a_notice_counts_the_usages_without_a_price(usage: Open, book: Book) -> None:
    book(sms("a", **INBOUND_EMAIL), sms("b", **INBOUND_EMAIL))
    assert "Unpriced: 2 usages have no price yet." in text_of(usage("/usage"), "unpriced")


def test_without_unpriced_usage_there_is_no_such_notice(usage: Open, book: Book) -> None:
    book(sms("a"))
    assert "unpriced" not in usage("/usage").lower()


def test_a_notice_says_that_ai_was_rated_flat(usage: Open, book: Book) -> None:
    book(ai("a"))
    assert text_of(usage("/usage"), "flat-rate").startswith("Flat rate: 1 AI usages")


def test_rows_that_do_not_add_up_as_shown_are_explained(usage: Open, book: Book) -> None:
    book(sms("a"), sms("b", channel="voice"), ai("c", metadata=ai_tokens(3_000)))
    expected = "the rows above add up to $0.03, and the exact total is $0.0234"
    assert expected in text_of(usage("/usage"), "rounding")


def test_rows_that_add_up_as_shown_need_no_explanation(usage: Open, book: Book) -> None:
    book(sms("a", quantity=2), ai("b", metadata=ai_tokens(4_500)))
    assert "add up" not in text_of(usage("/usage"), "rounding")


def test_the_page_says_what_waits(usage: Open, book: Book, services: Services) -> None:
    book(sms("a"))
    services.intake.book([sms("b")], only_tenant=None, now=NOW)
    expected = "Updated less than a minute ago; 1 usage waits to be costed"
    assert expected == text_of(usage("/usage"), "freshness")


def test_the_feature_table_names_feature_channel_and_source(usage: Open, book: Book) -> None:
    book(sms("a", quantity=2), ai("b", metadata=ai_tokens(6_000), feature=...))
    table = text_of(usage("/usage"), "features")
    expected = "broadcast SMS · twilio SMS 1 $0.02 twilio not named AI · openai AI 1 $0.01 openai"
    assert table.endswith(expected)


def test_the_download_is_of_the_dates_that_are_shown(usage: Open) -> None:
    expected = "/api/billing/usage/export?from=2025-12-11&amp;to=2026-03-10"
    assert expected in usage("/usage?range=90d")


def test_without_usage_the_page_says_so_and_draws_nothing(usage: Open) -> None:
    page = usage("/usage?range=90d")
    assert (True, False) == ("No usage in these 90 days" in page, "chart-wide" in page)


def test_a_name_is_text_and_no_markup(usage: Open, engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        change_tenant(session, TenantId("acme"), name="<b>&\"'</b>", now=NOW)
    assert "<h1>&lt;b&gt;&amp;&#34;&#39;&lt;/b&gt;</h1>" in usage("/usage")


def test_a_bad_range_is_told_in_html(client: FlaskClient, usage: Open) -> None:
    usage("/usage")
    response = client.get("/usage?range=31d", base_url=HTTPS)
    expected = (400, "text/html", True)
    found = (response.status_code, response.mimetype, "no such range" in response.text)
    assert expected == found


def test_nobody_else_finds_another_tenant_by_naming_it(client: FlaskClient, usage: Open) -> None:
    usage("/usage")
    assert 400 == client.get("/usage?tenant=karachi", base_url=HTTPS).status_code


@pytest.mark.parametrize("path", ["/usage", "/admin/usage", "/signin"])
def test_a_page_has_no_script_or_style_in_its_text(client: FlaskClient, path: str) -> None:
    page = client.get(path, base_url=HTTPS, follow_redirects=True).text
    assert [] == re.findall(r"<style|\sstyle=|<script(?![^>]*src=)|\son\w+=|javascript:", page)


def test_the_usage_page_with_a_chart_has_no_script_or_style_in_its_text(
    usage: Open, book: Book
) -> None:
    book(sms("a"))
    found = re.findall(
        r"<style|\sstyle=|<script(?![^>]*src=)|\son\w+=|javascript:", usage("/usage")
    )
    assert [] == found


def test_the_grid_shows_every_tenant(grid: Open, book: Book) -> None:
    book(sms("a", quantity=200))
    table = text_of(grid("/admin/usage"), "grid")
    assert table.endswith(
        "Acme acme Pro Pro $1.78 0.0% 100.0% 0 K karachi unassigned unassigned $0.00 0.0% 0.0% 0"
    )


def test_a_share_that_cannot_be_known_is_called_unknown(
    grid: Open, engine: sa.Engine, book: Book
) -> None:
    unpriced = Costing(engine, load_flat_map(ai_flat_fallback=False))
    book(sms("a", quantity=200), ai("b"), job=unpriced)
    assert "$1.78 + 1 unpriced unknown 1 unpriced 100.0%" in text_of(grid("/admin/usage"), "grid")


def test_a_high_share_of_ai_is_marked_and_so_is_the_flat_rate(grid: Open, book: Book) -> None:
    book(ai("a"), sms("b", quantity=0))
    assert "high 100.0% flat rate" in text_of(grid("/admin/usage"), "grid")


def test_a_closed_tenant_is_marked(grid: Open, engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        close_tenant(session, TenantId("karachi"), now=NOW)
    assert "K closed karachi" in text_of(grid("/admin/usage"), "grid")


def test_the_filter_of_plans_offers_those_there_are(grid: Open) -> None:
    offered = re.findall(r'<option value="([^".0]*)"', grid("/admin/usage"))
    assert ["", "Pro", "unassigned"] == offered


def test_a_grid_without_a_match_says_so(grid: Open) -> None:
    assert "No tenant matches these filters." in grid("/admin/usage?plan=Gold")


def test_pages_of_the_grid_keep_the_filters(grid: Open, engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        for number in range(3):
            add_tenant(session, TenantId(f"t{number}"), name="T", plan="Pro", now=NOW)
    expected = "/admin/usage?plan=Pro&amp;sort=name&amp;page=2&amp;page_size=2"
    assert f'rel="next" href="{expected}"' in grid("/admin/usage?plan=Pro&sort=name&page_size=2")


@pytest.mark.parametrize(
    ("code", "query"),
    [
        ("unknown_parameter", "tenant=acme"),
        ("unknown_choice", "sort=size"),
        ("unknown_choice", "order=up"),
        ("unknown_choice", "high_ai=1"),
        ("invalid_label", "plan=a%00b"),
        ("invalid_threshold", "ai_threshold=30%25"),
        ("invalid_page", "page=0"),
        ("invalid_page", "page=one"),
        ("invalid_page", "page_size=501"),
        ("unknown_range", "range=31d"),
    ],
)
def test_a_grid_that_cannot_be_meant_is_refused_with_the_reason(
    client: FlaskClient, engine: sa.Engine, code: str, query: str
) -> None:
    client.set_cookie(COOKIE, make_sign_in(engine, Role.OPS), secure=True)
    json = client.get(f"/api/admin/usage/tenants?{query}", base_url=HTTPS)
    page = client.get(f"/admin/usage?{query}", base_url=HTTPS)
    assert (400, code, 400) == (json.status_code, json.get_json()["code"], page.status_code)


def test_the_grid_over_json(client: FlaskClient, engine: sa.Engine, book: Book) -> None:
    book(sms("a", quantity=200), ai("b", metadata=ai_tokens(1_000_000)))
    client.set_cookie(COOKIE, make_sign_in(engine, Role.OPS), secure=True)
    answer = client.get("/api/admin/usage/tenants?plan=Pro", base_url=HTTPS).get_json()
    row = {
        "tenant": "acme",
        "name": "Acme",
        "is_unattributed": False,
        "plan": "Pro",
        "closed_at": None,
        "estimated_cost": "3.78",
        "has_unpriced": False,
        "unpriced_count": 0,
        "ai_percent": "52.9",
        "high_ai": True,
        "twilio_percent": "47.1",
        "emails_sent": 0,
        "unpriced_ai_count": 0,
        "flat_rated_ai_count": 1,
    }
    expected = {"currency": "USD", "page": 1, "page_size": 50, "total_count": 1, "tenants": [row]}
    assert expected == answer


@pytest.mark.parametrize("path", ["/admin/usage", "/api/admin/usage/tenants"])
def test_a_tenant_never_sees_the_grid(client: FlaskClient, engine: sa.Engine, path: str) -> None:
    client.set_cookie(COOKIE, make_sign_in(engine, Role.TENANT_ADMIN), secure=True)
    assert 403 == client.get(path, base_url=HTTPS).status_code


@pytest.mark.parametrize("role", [Role.TENANT_MEMBER, Role.ROOT_ADMIN, Role.OPS])
def test_billing_is_for_the_admin_of_the_tenant(
    client: FlaskClient, engine: sa.Engine, role: Role
) -> None:
    client.set_cookie(COOKIE, make_sign_in(engine, role), secure=True)
    paths = ("/usage", "/api/billing/usage/summary", "/api/billing/usage/export")
    assert {403} == {client.get(path, base_url=HTTPS).status_code for path in paths}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/usage/", 404),
        ("GET", "/usagee", 404),
        ("GET", "/admin", 404),
        ("GET", "/api", 404),
        ("GET", "/signout", 405),
        ("POST", "/usage", 405),
    ],
)
def test_who_misses_a_page_is_told_in_html(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    response = client.open(path, method=method, base_url=HTTPS)
    assert (status, "text/html") == (response.status_code, response.mimetype)


def test_assets_are_kept_for_as_long_as_they_stay_the_same(
    client: FlaskClient, usage: Open
) -> None:
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', usage("/usage"))
    kept = {client.get(address).headers["Cache-Control"] for address in addresses}
    assert {"max-age=31536000, public, immutable"} == kept


@pytest.mark.parametrize("name", ["nothing.css", "../app.py", "..%2fapp.py", "%2e%2e/app.py"])
def test_nothing_but_assets_is_sent(client: FlaskClient, name: str) -> None:
    assert 404 == client.get(f"/static/{name}").status_code


def ai_tokens(count: int) -> dict[str, object]:
    return {"model": "house-llm", "input_tokens": count, "output_tokens": 0}
