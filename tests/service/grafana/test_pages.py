"""When pages show panels of Grafana, which ones, and when they draw their own charts."""

import html
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from api.app import create_app
from api.embedding.keys import PRIVATE_FILE
from api.headers import CONTENT_SECURITY_POLICY
from api.services import Services
from grafana.dashboards.catalogue import PIPELINE, SYSTEM_USAGE, TENANT_USAGE
from ledger.accounts.roles import Role
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import change_tenant, close_tenant
from tests.access import COOKIE, make_sign_in
from tests.boards import Shown, embedding_of
from tests.builders import NOW, sms
from tests.conftest import Book

pytestmark = pytest.mark.ledger("sqlite")

HTTPS = "https://localhost"
OF_MONTH = "4"
"""The id of the panel of the month to date, which addresses have."""
WITH_FRAMES = f"{CONTENT_SECURITY_POLICY}; frame-src 'self'"

Client = Callable[[Role], FlaskClient]


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def client(
    services: Services, engine: sa.Engine, shown: Shown, tmp_path: Path, book: Book
) -> Client:
    book(sms())
    app = create_app(replace(services, embedding=embedding_of(shown, tmp_path / "keys")))

    def client_of(role: Role) -> FlaskClient:
        client = app.test_client()
        client.set_cookie(COOKIE, make_sign_in(engine, role), secure=True)
        return client

    return client_of


def look(client: FlaskClient, path: str) -> tuple[str, str]:
    """Return a page and its Content-Security-Policy."""
    response = client.get(path, base_url=HTTPS)
    assert 200 == response.status_code
    return response.get_data(as_text=True), response.headers["Content-Security-Policy"]


def panels(page: str, theme: str = "light") -> list[dict[str, str]]:
    """Return what the addresses of the panels of a page say."""
    found = []
    for address in re.findall(rf'<iframe[^>]* data-{theme}="([^"]+)"', page):
        url = urlsplit(html.unescape(address))
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        found.append({"path": url.path, **query})
    return found


def milliseconds(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type,misc] # date and time


def test_the_usage_page_shows_the_panels_of_the_tenants_board(client: Client) -> None:
    page, policy = look(client(Role.TENANT_ADMIN), "/usage")
    assert [
        ("/grafana/d-solo/meterline-tenant-usage", str(panel.id)) for panel in TENANT_USAGE.panels
    ] == [(panel["path"], panel["panelId"]) for panel in panels(page)]
    assert (WITH_FRAMES, False) == (policy, 'class="chart"' in page)


def test_its_cards_tables_and_download_are_there_all_the_same(client: Client) -> None:
    page, _ = look(client(Role.TENANT_ADMIN), "/usage")
    parts = ("total", "top-channel", "channels", "features", "days", "download")
    assert [True] * 6 == [f'id="{part}"' in page for part in parts]


@pytest.mark.parametrize(("range_name", "first"), [("30d", (2026, 2, 9)), ("90d", (2025, 12, 11))])
def test_panels_show_the_whole_days_of_the_range_in_the_zone_of_the_tenant(
    client: Client, engine: sa.Engine, range_name: str, first: tuple[int, int, int]
) -> None:
    with operator_session(engine, write=True) as session:
        change_tenant(
            session, TenantId("acme"), timezone="Asia/Tokyo", now=datetime(2020, 1, 1, tzinfo=UTC)
        )
    page, _ = look(client(Role.TENANT_ADMIN), f"/usage?range={range_name}")
    hours = 9 * 3_600_000
    expected = {
        ("from", str(milliseconds(*first) - hours)),
        ("to", str(milliseconds(2026, 3, 11) - hours - 1)),
        ("timezone", "Asia/Tokyo"),
        ("theme", "light"),
    }
    assert [expected] * (len(TENANT_USAGE.panels) - 1) == [
        set(panel.items()) - {("path", panel["path"]), ("panelId", panel["panelId"])}
        for panel in panels(page)
        if panel["panelId"] != OF_MONTH
    ]


@pytest.mark.parametrize("query", ["range=30d", "range=90d", "from=2026-03-08&to=2026-03-09"])
def test_the_month_to_date_is_that_of_today_whatever_range_is_looked_at(
    client: Client, engine: sa.Engine, query: str
) -> None:
    with operator_session(engine, write=True) as session:
        change_tenant(
            session, TenantId("acme"), timezone="Asia/Tokyo", now=datetime(2020, 1, 1, tzinfo=UTC)
        )
    page, _ = look(client(Role.TENANT_ADMIN), f"/usage?{query}")
    (panel,) = [panel for panel in panels(page) if panel["panelId"] == OF_MONTH]
    hours = 9 * 3_600_000
    assert (
        str(milliseconds(2026, 3, 1) - hours),
        str(milliseconds(2026, 3, 11) - hours - 1),
        "Asia/Tokyo",
    ) == (panel["from"], panel["to"], panel["timezone"])


def test_panels_show_the_dates_that_were_asked_for(client: Client) -> None:
    page, _ = look(client(Role.TENANT_ADMIN), "/usage?from=2026-03-01&to=2026-03-09")
    spans = {(p["from"], p["to"]) for p in panels(page) if p["panelId"] != OF_MONTH}
    assert {(str(milliseconds(2026, 3, 1)), str(milliseconds(2026, 3, 10) - 1))} == spans


def test_each_panel_is_there_in_light_and_in_dark(client: Client) -> None:
    page, _ = look(client(Role.TENANT_ADMIN), "/usage")
    light, dark = panels(page, "light"), panels(page, "dark")
    assert [{**panel, "theme": "dark"} for panel in light] == dark


@pytest.mark.parametrize("change", [{"up": False}, {"ready": False}, {"up": False, "ready": False}])
def test_where_grafana_is_not_there_the_page_draws_its_own_chart(
    client: Client, shown: Shown, change: dict[str, bool]
) -> None:
    for name, value in change.items():
        setattr(shown, name, value)
    page, policy = look(client(Role.TENANT_ADMIN), "/usage")
    assert ([], True, CONTENT_SECURITY_POLICY) == (panels(page), 'class="chart"' in page, policy)


def test_without_a_key_that_signs_the_page_draws_its_own_chart(
    client: Client, tmp_path: Path
) -> None:
    as_admin = client(Role.TENANT_ADMIN)
    (tmp_path / "keys" / PRIVATE_FILE).unlink()
    page, policy = look(as_admin, "/usage")
    assert ([], True, CONTENT_SECURITY_POLICY) == (panels(page), 'class="chart"' in page, policy)


def test_a_tenant_that_closed_keeps_its_page(client: Client, engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        close_tenant(session, TenantId("acme"), now=NOW)
    page, _ = look(client(Role.TENANT_ADMIN), "/usage")
    assert ([], True) == (panels(page), 'class="chart"' in page)


def test_a_range_without_usage_is_told_as_ever(client: Client) -> None:
    page, policy = look(client(Role.TENANT_ADMIN), "/usage?from=2025-01-01&to=2025-01-02")
    assert ([], True, CONTENT_SECURITY_POLICY) == (panels(page), "No usage in" in page, policy)


@pytest.mark.parametrize(("role", "board"), [(Role.ROOT_ADMIN, SYSTEM_USAGE), (Role.OPS, PIPELINE)])
def test_operators_see_the_board_of_their_work_below_the_grid(
    client: Client, role: Role, board: object
) -> None:
    page, policy = look(client(role), "/admin/usage?range=90d")
    uid = board.uid  # type: ignore[attr-defined] # a column of the table
    assert {f"/grafana/d-solo/{uid}"} == {panel["path"] for panel in panels(page)}
    assert (True, WITH_FRAMES) == ('id="grid"' in page, policy)


def test_the_range_of_the_grid_is_that_of_the_board(client: Client) -> None:
    page, _ = look(client(Role.ROOT_ADMIN), "/admin/usage?range=90d")
    expected = SYSTEM_USAGE.last_days(90)
    assert {(expected.start, expected.end, SYSTEM_USAGE.timezone)} == {
        (panel["from"], panel["to"], panel["timezone"]) for panel in panels(page)
    }


@pytest.mark.parametrize("role", [Role.ROOT_ADMIN, Role.OPS])
def test_operators_reach_both_boards_in_grafana_itself(client: Client, role: Role) -> None:
    page, _ = look(client(role), "/admin/usage")
    links = re.findall(r'href="(/grafana/d/[^"?]+)', page)
    assert ["/grafana/d/meterline-system-usage", "/grafana/d/meterline-pipeline"] == links


def test_without_grafana_the_grid_is_as_it_was(client: Client, shown: Shown) -> None:
    shown.up = False
    page, policy = look(client(Role.ROOT_ADMIN), "/admin/usage")
    assert ([], False, CONTENT_SECURITY_POLICY) == (panels(page), "/grafana/" in page, policy)


def test_other_pages_may_show_no_frames(client: Client) -> None:
    _, policy = look(client(Role.ROOT_ADMIN), "/admin/mappings")
    assert CONTENT_SECURITY_POLICY == policy
