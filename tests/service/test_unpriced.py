"""Usage without a price whose counts cancel, as corrections make them: its cost is unknown."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from api.app import create_app
from api.services import Services
from costing.export import read_export
from costing.reports.features import features
from costing.reports.series import series
from costing.reports.summary import summary
from costing.reports.tenant_grid import GridQuery, GridRow, tenant_grid
from ledger.accounts.roles import Role
from ledger.period import DateRange
from ledger.session import TenantSession, operator_session, tenant_session
from tests.access import COOKIE, make_sign_in
from tests.builders import NOW, ai, sms
from tests.conftest import Book
from tests.costed import ACME, tamper

MARCH = DateRange.inclusive(date(2026, 3, 1), date(2026, 3, 10))
DICTATION = {"model": "dictation", "audio_seconds": 7}
INBOUND_EMAIL = {"channel": "email", "direction": "inbound", "source": "twilio"}


@pytest.fixture
def cancelled(engine: sa.Engine, book: Book) -> sa.Engine:
    """Priced text messages, and AI and e-mail usage without a price that counts come to nothing."""
    book(sms("a"), ai("b", metadata=DICTATION), sms("c", **INBOUND_EMAIL))
    tamper(engine, "UPDATE usage_rollups_daily SET count = 0 WHERE estimated_cost IS NULL")
    return engine


def read(engine: sa.Engine, report: Callable[[TenantSession, DateRange], Any]) -> Any:
    with tenant_session(engine, ACME) as session:
        return report(session, MARCH)


def acme_row(engine: sa.Engine, **query: Any) -> GridRow:
    with operator_session(engine) as session:
        page = tenant_grid(session, GridQuery(**query), now=NOW)
    return next(row for row in page.rows if row.tenant_id == ACME)


def get(services: Services, role: Role, path: str) -> Any:
    client = create_app(services).test_client()
    client.set_cookie(COOKIE, make_sign_in(services.engine, role), secure=True)
    return client.get(path, base_url="https://localhost")


def test_the_total_has_unpriced_usage(cancelled: sa.Engine) -> None:
    assert read(cancelled, summary).total.has_unpriced


def test_the_cost_of_the_channel_is_not_known(cancelled: sa.Engine) -> None:
    costs = {row.channel: row.figures.estimated_cost for row in read(cancelled, summary).channels}
    assert (None, None) == (costs["ai"], costs["email"])


def test_its_days_are_not_known(cancelled: sa.Engine) -> None:
    unknown = {p.channel for p in read(cancelled, series) if p.figures.estimated_cost is None}
    assert {"ai", "email"} == unknown


def test_it_has_its_rows_among_the_features(cancelled: sa.Engine) -> None:
    unknown = {r.channel for r in read(cancelled, features) if r.figures.estimated_cost is None}
    assert {"ai", "email"} == unknown


def test_it_has_its_lines_in_the_export(cancelled: sa.Engine) -> None:
    lines = read(cancelled, lambda session, dates: list(read_export(session, dates)))
    expected = [("ai", 0, None), ("email", 0, None), ("sms", 1, 8_900_000)]
    assert expected == [(line.channel, line.count, line.estimated_cost) for line in lines]


def test_the_shares_of_the_grid_are_not_known(cancelled: sa.Engine) -> None:
    row = acme_row(cancelled)
    assert (True, None, None) == (row.has_unpriced, row.ai_share, row.twilio_share)


def test_the_tenant_matches_high_ai(cancelled: sa.Engine) -> None:
    assert acme_row(cancelled, high_ai=True).has_unpriced


def test_a_tenant_without_usage_has_none_that_is_unpriced(engine: sa.Engine) -> None:
    assert not acme_row(engine).has_unpriced


@pytest.mark.usefixtures("cancelled")
def test_the_page_has_its_notice(services: Services) -> None:
    page = get(services, Role.TENANT_ADMIN, "/usage").text
    assert "<strong>Unpriced:</strong> some usages have no price yet." in page


def test_the_page_shows_it_where_there_is_nothing_else(
    cancelled: sa.Engine, services: Services
) -> None:
    tamper(cancelled, "DELETE FROM usage_rollups_daily WHERE estimated_cost IS NOT NULL")
    assert "No usage in" not in get(services, Role.TENANT_ADMIN, "/usage").text


@pytest.mark.usefixtures("cancelled")
def test_the_page_of_tenants_says_so(services: Services) -> None:
    assert "+ some unpriced" in get(services, Role.ROOT_ADMIN, "/admin/usage").text


@pytest.mark.usefixtures("cancelled")
@pytest.mark.parametrize(
    ("role", "path", "found"),
    [
        (Role.TENANT_ADMIN, "/api/billing/usage/summary", lambda answer: answer["total"]),
        (Role.OPS, "/api/admin/usage/tenants?plan=Pro", lambda answer: answer["tenants"][0]),
    ],
)
def test_json_flags_it(
    services: Services, role: Role, path: str, found: Callable[[Any], Any]
) -> None:
    figures = found(get(services, role, path).get_json())
    assert (True, 0) == (figures["has_unpriced"], figures["unpriced_count"])
