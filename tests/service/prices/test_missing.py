"""What has no price of its own, over the report, the API and the metrics."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from api.app import create_app
from api.services import Services
from costing.job import Costing
from costing.reports.missing import MissingPrice, read_missing
from exporter.collectors import collect_prices
from ledger.keys import Scope
from ledger.missing import FLAT_RATED_DAYS
from ledger.period import DateRange
from ledger.session import operator_session
from ledger.tenant import TenantId
from tests.access import bearer, make_key
from tests.builders import NOW, ai, sms
from tests.conftest import Book
from tests.pricing import lay, rate
from tests.statements import plan_steps, statements

INBOUND = {"channel": "email", "direction": "inbound", "source": "sendgrid"}
WEEK = {"time": "2026-03-02T12:00:00Z"}


@pytest.fixture
def lacking(book: Book) -> None:
    """One priced text message, three inbound mails without a price, and two flat-rated AI calls."""
    book(
        sms("a"),
        sms("b", quantity=2, **INBOUND),
        sms("c", quantity=5, **INBOUND, **WEEK),
        sms("k", tenant="karachi", **INBOUND),
        ai("d"),
        ai("e", **WEEK),
    )


def read(engine: sa.Engine, **asked: Any) -> list[MissingPrice]:
    with operator_session(engine) as session:
        return read_missing(session, **asked)


def ask(services: Services, query: str = "") -> Any:
    key = bearer(make_key(services.engine, Scope.READ))
    client = create_app(services).test_client()
    return client.get(f"/api/admin/prices/missing{query}", headers=key)


def sample(engine: sa.Engine, *, now: datetime = NOW) -> dict[str, float]:
    with operator_session(engine) as session:
        return {
            " ".join([each.name.removeprefix("meterline_"), *each.labels]): each.value
            for each in collect_prices(session, now)
        }


@pytest.mark.usefixtures("lacking")
def test_usage_is_summed_by_kind(engine: sa.Engine) -> None:
    unpriced, flat = read(engine)
    assert [("unpriced", "email", "inbound", None, 2, 3, 3, 8)] == [
        (
            unpriced.state,
            unpriced.channel,
            unpriced.direction,
            unpriced.model,
            unpriced.tenants,
            unpriced.rows,
            unpriced.count,
            unpriced.quantity,
        )
    ]
    assert ("flat", "house-llm", "standard", 1, 2, 2, 3000) == (
        flat.state,
        flat.model,
        flat.price_class,
        flat.tenants,
        flat.rows,
        flat.count,
        flat.quantity,
    )


def test_the_most_is_told_first_and_what_is_unpriced_before_what_is_flat(
    engine: sa.Engine, book: Book
) -> None:
    dictation = {"model": "dictation", "audio_seconds": 7}
    book(
        *(ai(f"f{n}") for n in range(3)),
        ai("d", metadata=dictation),
        sms("b", **INBOUND),
        sms("c", **INBOUND),
    )
    assert ["email", "ai", "ai"] == [each.channel for each in read(engine)]


@pytest.mark.usefixtures("lacking")
def test_it_can_be_of_one_tenant(engine: sa.Engine) -> None:
    assert [1] == [each.count for each in read(engine, tenant_id=TenantId("karachi"))]


@pytest.mark.usefixtures("lacking")
def test_it_can_be_of_some_dates(engine: sa.Engine) -> None:
    week = DateRange.inclusive(date(2026, 3, 1), date(2026, 3, 7))
    assert [("email", 1), ("ai", 1)] == [(e.channel, e.count) for e in read(engine, dates=week)]


@pytest.mark.usefixtures("lacking")
def test_what_has_got_a_price_is_missing_no_more(engine: sa.Engine, costing: Costing) -> None:
    lay(engine, rate("email_recipient", "0.001", date(2026, 1, 1), direction="inbound"))
    costing.run(clock=lambda: NOW)
    assert ["flat"] == [each.state for each in read(engine)]


@pytest.mark.usefixtures("lacking")
def test_the_api_tells_the_same(engine: sa.Engine, services: Services) -> None:
    told = [(row["state"], row["quantity"]) for row in ask(services).get_json()["missing"]]
    assert [(str(each.state), each.quantity) for each in read(engine)] == told


@pytest.mark.usefixtures("lacking")
def test_the_api_tells_of_some_dates(services: Services) -> None:
    found = ask(services, "?from=2026-03-01&to=2026-03-07").get_json()["missing"]
    assert [5, 1500] == [row["quantity"] for row in found]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?tenant=acme", "unknown_parameter"),
        ("?from=2026-03-01", "incomplete_range"),
        ("?from=2026-03-01&to=March", "invalid_date"),
        ("?from=2026-03-02&to=2026-03-01", "empty_range"),
        ("?range=30d", "unknown_parameter"),
    ],
)
@pytest.mark.usefixtures("engine")
def test_a_wrong_question_is_told_so(services: Services, query: str, code: str) -> None:
    found = ask(services, query)
    assert (400, code) == (found.status_code, found.get_json()["code"])


@pytest.mark.usefixtures("lacking")
def test_the_metrics_count_what_is_missing(engine: sa.Engine) -> None:
    found = sample(engine)
    assert {
        **{f"unpriced_rows {name}": 0 for name in ("sms", "mms", "voice", "ai")},
        **{f"unpriced_usages {name}": 0 for name in ("sms", "mms", "voice", "ai")},
        "unpriced_rows email": 3,
        "unpriced_usages email": 3,
        "flat_rated_rows": 2,
        "flat_rated_usages": 2,
    } == found


def test_flat_rated_usage_is_counted_for_a_while_only(engine: sa.Engine, book: Book) -> None:
    book(ai("a"))
    later = datetime(2026, 3, 9, tzinfo=UTC) + FLAT_RATED_DAYS
    days = (later, later.replace(day=9))
    assert [1, 0] == [sample(engine, now=day)["flat_rated_rows"] for day in days]


@pytest.mark.ledger("sqlite")
def test_the_metrics_read_no_row_that_has_its_price(engine: sa.Engine) -> None:
    with statements(engine, naming="usage_rollups_daily") as sent:
        sample(engine)
    found = " ".join(plan_steps(engine, sent, naming="usage_rollups_daily"))
    indexes = ("ix_usage_rollups_daily_unpriced", "ix_usage_rollups_daily_flat_rated")
    assert [True, True] == [index in found for index in indexes]
