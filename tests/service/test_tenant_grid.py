"""The grid of tenants, over usage that came through the real intake and the real costing."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
import sqlalchemy as sa

from costing.job import Costing
from costing.pricing.flat import load_flat_map
from costing.reports.store import read_plans
from costing.reports.tenant_grid import (
    MAX_PAGE_SIZE,
    GridColumn,
    GridPage,
    GridQuery,
    GridRow,
    parse_threshold,
    tenant_grid,
)
from ledger.errors import InvalidError
from ledger.models import usage_rollups_daily
from ledger.money import Nanos
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import add_tenant, change_tenant, close_tenant
from tests.builders import NOW, ai, sms
from tests.conftest import Book
from tests.statements import plan_steps, statements

INBOUND_EMAIL = {"channel": "email", "direction": "inbound", "source": "sendgrid"}
ROLLUPS = usage_rollups_daily.name
SMS_COST, AI_COST = 8_900_000, 5_000_000


@pytest.fixture
def few(engine: sa.Engine) -> list[str]:
    """Ids of tenants beside acme and karachi, so that there are five in all."""
    names = {"delta": "echo", "echo": "Delta", "zulu": "Acme"}
    with operator_session(engine, write=True) as session:
        for tenant_id, name in names.items():
            add_tenant(session, TenantId(tenant_id), name=name, plan="Elite", now=NOW)
    return list(names)


def page(engine: sa.Engine, now: datetime = NOW, **query: Any) -> GridPage:
    with operator_session(engine) as session:
        return tenant_grid(session, GridQuery(**query), now=now)


def row(engine: sa.Engine, tenant_id: str = "acme", **query: Any) -> GridRow:
    (found,) = [one for one in page(engine, **query).rows if one.tenant_id == tenant_id]
    return found


def ids(engine: sa.Engine, **query: Any) -> list[str]:
    return [one.tenant_id for one in page(engine, **query).rows]


def without_ai_price(engine: sa.Engine) -> Costing:
    return Costing(engine, load_flat_map(ai_flat_fallback=False))


def test_a_row_says_all_of_a_tenant(engine: sa.Engine, book: Book) -> None:
    mail = {"channel": "email", "source": "sendgrid", "quantity": 3}
    book(sms("a"), ai("b"), sms("c", **mail), sms("d", **INBOUND_EMAIL))
    total = SMS_COST + AI_COST + 1_050_000
    expected = GridRow(
        tenant_id=TenantId("acme"),
        name="Acme",
        plan="Pro",
        closed_at=None,
        estimated_cost=Nanos(total),
        has_unpriced=True,
        unpriced_count=1,
        ai_share=Fraction(AI_COST, total),
        twilio_share=Fraction(SMS_COST, total),
        emails_sent=3,
        unpriced_ai_count=0,
        flat_rated_ai_count=1,
    )
    assert expected == row(engine)


def test_a_tenant_without_usage_has_its_row_of_zeros(engine: sa.Engine) -> None:
    expected = GridRow(
        tenant_id=TenantId("acme"),
        name="Acme",
        plan="Pro",
        closed_at=None,
        estimated_cost=Nanos(0),
        has_unpriced=False,
        unpriced_count=0,
        ai_share=Fraction(0),
        twilio_share=Fraction(0),
        emails_sent=0,
        unpriced_ai_count=0,
        flat_rated_ai_count=0,
    )
    assert expected == row(engine)


def test_a_closed_tenant_keeps_its_row_and_says_since_when(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        close_tenant(session, TenantId("acme"), now=NOW)
    assert NOW == row(engine).closed_at


@pytest.mark.usefixtures("few")
def test_the_plans_there_are_are_those_in_force(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        change_tenant(session, TenantId("acme"), plan="Max", now=NOW)
        change_tenant(session, TenantId("karachi"), plan="Later", now=NOW + timedelta(days=1))
    with operator_session(engine) as session:
        assert ["Elite", "Max", "unassigned"] == read_plans(session, now=NOW)


def test_where_nothing_is_priced_the_cost_is_not_known(engine: sa.Engine, book: Book) -> None:
    book(sms("a", **INBOUND_EMAIL))
    assert None is row(engine).estimated_cost


def test_inbound_email_is_not_sent(engine: sa.Engine, book: Book) -> None:
    book(sms("a", **INBOUND_EMAIL))
    assert 0 == row(engine).emails_sent


def test_the_ai_share_is_unknown_where_any_ai_usage_is_unpriced(
    engine: sa.Engine, book: Book
) -> None:
    book(sms("a"), ai("b"))
    dictation = {"model": "by-the-minute", "audio_seconds": 60}
    book(ai("c", metadata=dictation))
    found = row(engine)
    assert (None, 1) == (found.ai_share, found.unpriced_ai_count)


def test_the_twilio_share_is_unknown_where_any_twilio_usage_is_unpriced(
    engine: sa.Engine, book: Book
) -> None:
    book(sms("a"), sms("b", **{**INBOUND_EMAIL, "source": "twilio"}))
    assert None is row(engine).twilio_share


def test_unpriced_usage_of_others_leaves_a_share_known(engine: sa.Engine, book: Book) -> None:
    book(sms("a"), ai("b"), sms("c", **INBOUND_EMAIL))
    assert Fraction(AI_COST, SMS_COST + AI_COST) == row(engine).ai_share


@pytest.mark.parametrize(
    ("hour", "cost"),
    [
        (18, SMS_COST),  # 23:00 of 10 March in Karachi
        (19, 0),  # its midnight
    ],
)
def test_the_last_dates_are_those_of_the_tenants_zone(
    engine: sa.Engine, book: Book, hour: int, cost: int
) -> None:
    book(sms("a", tenant="karachi", time="2026-03-09T12:00:00Z"))
    now = datetime(2026, 3, 10, hour, tzinfo=UTC)
    (found,) = [one for one in page(engine, now=now, days=2).rows if one.tenant_id == "karachi"]
    assert cost == found.estimated_cost


def test_each_tenant_has_its_own_today(engine: sa.Engine, book: Book) -> None:
    # At 20:00 UTC on the 10th it is the 11th in Karachi, and still the 10th in Hawaii.
    with operator_session(engine, write=True) as session:
        add_tenant(session, TenantId("hilo"), name="H", timezone="Pacific/Honolulu", now=NOW)
    noon = "2026-03-10T12:00:00Z"
    book(*(sms(f"a-{name}", tenant=name, time=noon) for name in ("acme", "karachi", "hilo")))
    shown = page(engine, now=datetime(2026, 3, 10, 20, tzinfo=UTC), days=1).rows
    assert {"acme": SMS_COST, "karachi": 0, "hilo": SMS_COST} == {
        one.tenant_id: one.estimated_cost for one in shown
    }


def test_three_dates_at_once_are_told_apart(engine: sa.Engine, book: Book) -> None:
    # At 10:30 UTC on the 10th it is still the 9th on Niue, and the 11th already on Kiritimati.
    zones = {"niue": "Pacific/Niue", "kiritimati": "Pacific/Kiritimati"}
    with operator_session(engine, write=True) as session:
        for name, zone in zones.items():
            add_tenant(session, TenantId(name), name=name, timezone=zone, now=NOW)
    now = datetime(2026, 3, 10, 10, 30, tzinfo=UTC)
    time = (now - timedelta(minutes=1)).isoformat()
    early = "2026-03-09T10:00:00Z"
    for name in ("acme", "niue", "kiritimati"):
        book(sms(f"{name}-now", tenant=name, time=time))
        book(sms(f"{name}-day", tenant=name, time=early))
    shown = page(engine, now=now, days=1).rows
    assert {SMS_COST} == {one.estimated_cost for one in shown if one.tenant_id != "karachi"}


def test_usage_after_today_is_not_shown(engine: sa.Engine, book: Book) -> None:
    book(sms("a"))
    (found,) = page(engine, now=NOW - timedelta(days=2), plan="Pro").rows
    assert 0 == found.estimated_cost


def test_the_plan_is_the_one_in_force(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        change_tenant(session, TenantId("acme"), plan="Elite", now=NOW)
    (before,) = page(engine, now=NOW - timedelta(seconds=1), plan="Pro").rows
    (after,) = page(engine, now=NOW, plan="Elite").rows
    assert ("acme", "acme") == (before.tenant_id, after.tenant_id)


def test_a_change_of_plan_does_not_count_usage_twice(engine: sa.Engine, book: Book) -> None:
    book(sms("a"))
    with operator_session(engine, write=True) as session:
        change_tenant(session, TenantId("acme"), plan="Elite", now=NOW)
    assert [SMS_COST] == [
        one.estimated_cost for one in page(engine).rows if one.tenant_id == "acme"
    ]


@pytest.mark.parametrize(("plan", "found"), [("Pro", ["acme"]), ("Gone", [])])
def test_a_plan_filters_the_grid(engine: sa.Engine, plan: str, found: list[str]) -> None:
    assert found == ids(engine, plan=plan)


def test_high_ai_leaves_those_over_the_threshold(engine: sa.Engine, book: Book) -> None:
    book(sms("a"), ai("b"), *(sms(f"k{n}", tenant="karachi") for n in range(9)))
    book(ai("k", tenant="karachi"))
    assert ["acme"] == ids(engine, high_ai=True)


def test_a_share_that_is_the_threshold_is_not_over_it(engine: sa.Engine, book: Book) -> None:
    book(sms("a"), ai("b"))
    share = Fraction(AI_COST, SMS_COST + AI_COST)
    assert [] == ids(engine, high_ai=True, ai_threshold=share)


def test_a_lower_threshold_lets_more_through(engine: sa.Engine, book: Book) -> None:
    book(sms("a"), ai("b"))
    assert ["acme"] == ids(engine, high_ai=True, ai_threshold=Fraction(35, 100))


def test_a_tenant_whose_ai_usage_is_unpriced_matches_high_ai(engine: sa.Engine, book: Book) -> None:
    book(sms("a"), ai("b"), job=without_ai_price(engine))
    assert ["acme"] == ids(engine, high_ai=True, ai_threshold=Fraction(1))


def test_a_tenant_without_usage_is_not_high_on_ai(engine: sa.Engine) -> None:
    assert [] == ids(engine, high_ai=True, ai_threshold=Fraction(0))


def test_the_dearest_tenant_comes_first_unless_said_otherwise(
    engine: sa.Engine, book: Book
) -> None:
    book(sms("a", tenant="karachi"), ai("b"))
    assert ["karachi", "acme"] == ids(engine)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("column", GridColumn)
def test_among_equals_tenants_are_in_order_whichever_way(
    engine: sa.Engine, few: list[str], column: GridColumn, *, descending: bool
) -> None:
    with operator_session(engine, write=True) as session:
        for tenant_id in few:
            change_tenant(session, TenantId(tenant_id), name="same", now=NOW)
    expected = sorted(few, reverse=descending and column is GridColumn.TENANT)
    assert expected == ids(engine, plan="Elite", sort=column, descending=descending)


ASCENDING = {
    GridColumn.TENANT: ["acme", "delta", "echo", "karachi", "zulu"],
    GridColumn.NAME: ["acme", "zulu", "echo", "delta", "karachi"],
    GridColumn.PLAN: ["delta", "echo", "zulu", "acme", "karachi"],
    GridColumn.ESTIMATED_COST: ["zulu", "delta", "acme", "karachi", "echo"],
    GridColumn.AI_SHARE: ["delta", "karachi", "zulu", "acme", "echo"],
    GridColumn.TWILIO_SHARE: ["delta", "echo", "zulu", "acme", "karachi"],
    GridColumn.EMAILS_SENT: ["acme", "echo", "karachi", "zulu", "delta"],
    GridColumn.UNPRICED_AI_COUNT: ["acme", "delta", "karachi", "zulu", "echo"],
}


@pytest.mark.parametrize("column", GridColumn)
@pytest.mark.usefixtures("few")
def test_the_grid_is_sorted_by_any_column(
    engine: sa.Engine, book: Book, column: GridColumn
) -> None:
    email = {"channel": "email", "source": "sendgrid"}
    book(
        ai("a"), sms("b"), sms("c", tenant="karachi", quantity=9), sms("d", tenant="delta", **email)
    )
    unpriced = {"model": "by-the-minute", "audio_seconds": 60}
    book(ai("e", tenant="echo", metadata=unpriced), sms("f", tenant="echo", **INBOUND_EMAIL))
    assert ASCENDING[column] == ids(engine, sort=column, descending=False)


@pytest.mark.parametrize("descending", [False, True])
def test_unknown_shares_come_last_whichever_way(
    engine: sa.Engine, book: Book, *, descending: bool
) -> None:
    book(ai("a"), job=without_ai_price(engine))
    found = ids(engine, sort=GridColumn.AI_SHARE, descending=descending)
    assert ["karachi", "acme"] == found


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("number", "found"),
    [(1, ["acme", "delta"]), (2, ["echo", "karachi"]), (3, ["zulu"]), (4, [])],
)
def test_a_page_has_its_part_of_the_rows(engine: sa.Engine, number: int, found: list[str]) -> None:
    order = {"sort": GridColumn.TENANT, "descending": False}
    assert found == ids(engine, page=number, page_size=2, **order)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("filters", "count"), [({}, 5), ({"plan": "Elite"}, 3)])
def test_a_page_says_how_many_rows_there_are(
    engine: sa.Engine, filters: dict[str, Any], count: int
) -> None:
    assert count == page(engine, page_size=1, **filters).total_count


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ({"page": 0}, "page"),
        ({"page_size": 0}, "page_size"),
        ({"page_size": MAX_PAGE_SIZE + 1}, "page_size"),
    ],
)
def test_a_page_that_cannot_be_is_refused(query: dict[str, Any], key: str) -> None:
    with pytest.raises(InvalidError) as refused:
        GridQuery(**query)
    assert ("invalid_page", key) == (refused.value.code, refused.value.key)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("0", 0),
        ("0.30", Fraction(3, 10)),
        ("1", 1),
        ("1.00", 1),
        ("0.000000001", Fraction(1, 10**9)),
    ],
)
def test_a_threshold_is_read_exactly(text: str, share: Fraction) -> None:
    assert share == parse_threshold(text)


@pytest.mark.parametrize(
    "text", ["", "30", "1.01", "-0.1", "NaN", "3e-1", ".3", "0.3 ", "\u0660", "1/3"]
)
def test_what_is_no_threshold_is_refused(text: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_threshold(text)
    assert "invalid_threshold" == refused.value.code


def test_a_ledger_without_tenants_has_an_empty_grid(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        session.connection.execute(sa.text("DELETE FROM tenant_periods"))
        session.connection.execute(sa.text("DELETE FROM tenants"))
    assert GridPage(rows=(), total_count=0) == page(engine)


@pytest.mark.usefixtures("few")
def test_the_grid_is_one_statement_over_the_rollups_however_many_tenants(
    engine: sa.Engine,
) -> None:
    with statements(engine, naming=ROLLUPS) as sent:
        page(engine)
    assert 1 == len(sent)


@pytest.mark.ledger("sqlite")
def test_the_grid_looks_up_each_tenants_dates_in_an_index(engine: sa.Engine) -> None:
    with statements(engine, naming=ROLLUPS) as sent:
        page(engine)
    (step,) = plan_steps(engine, sent, naming=ROLLUPS)
    assert (True, True) == (
        step.startswith(f"SEARCH {ROLLUPS} USING INDEX"),
        "(tenant_id=? AND date>? AND date<?)" in step,
    )
