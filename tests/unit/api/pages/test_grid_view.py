from dataclasses import replace
from fractions import Fraction
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from api.grid_query import read_grid_query
from api.pages.grid_view import build_grid_view, grid_url
from costing.reports.tenant_grid import GridColumn, GridPage, GridQuery, GridRow
from ledger.money import Nanos
from ledger.tenant import TenantId

ROW = GridRow(
    tenant_id=TenantId("acme"),
    name="Acme",
    plan="Pro",
    closed_at=None,
    estimated_cost=Nanos(2_000_000_000),
    has_unpriced=False,
    unpriced_count=0,
    ai_share=Fraction(3, 10),
    twilio_share=None,
    emails_sent=1234,
    unpriced_ai_count=0,
    flat_rated_ai_count=0,
)
QUERIES = st.builds(
    GridQuery,
    days=st.sampled_from((30, 90)),
    plan=st.none() | st.from_regex(r"[abé&]([ab &=?%+é]{,3}[abé%])?", fullmatch=True),
    high_ai=st.booleans(),
    ai_threshold=st.integers(0, 10**9).map(lambda nano: Fraction(nano, 10**9)),
    sort=st.sampled_from(GridColumn),
    descending=st.booleans(),
    page=st.integers(1, 1000),
    page_size=st.integers(1, 500),
)


@given(QUERIES)
def test_an_address_leads_to_the_very_view_it_was_made_of(query: GridQuery) -> None:
    with Flask(__name__).test_request_context(grid_url(query)):
        assert query == read_grid_query()


def test_a_head_sorts_the_other_way_when_it_sorts_already() -> None:
    view = build_grid_view(GridQuery(), GridPage(rows=(ROW,), total_count=1), [])
    (head,) = [one for one in view.heads if one.order]
    assert ("descending", ["asc"]) == (head.order, parse_qs(urlsplit(head.url).query)["order"])


def test_another_order_begins_with_the_first_page() -> None:
    view = build_grid_view(GridQuery(page=3), GridPage(rows=(ROW,), total_count=200), [])
    assert [] == [head.url for head in view.heads if "page=" in head.url]


@pytest.mark.parametrize(
    ("expected", "page"), [((False, True), 1), ((True, True), 2), ((True, False), 3)]
)
def test_pages_lead_to_those_before_and_after(expected: tuple[bool, bool], page: int) -> None:
    query = GridQuery(page=page, page_size=1)
    view = build_grid_view(query, GridPage(rows=(ROW,), total_count=3), [])
    assert expected == (view.previous_url is not None, view.next_url is not None)


def test_a_page_after_the_last_leads_back_to_the_last() -> None:
    query = GridQuery(page=9, page_size=1)
    view = build_grid_view(query, GridPage(rows=(), total_count=3), [])
    assert grid_url(replace(query, page=3)) == view.previous_url


def test_a_share_at_the_threshold_is_not_high() -> None:
    page = GridPage(rows=(ROW,), total_count=1)
    assert [False] == [line.is_high for line in build_grid_view(GridQuery(), page, []).lines]


def test_a_share_that_shows_as_the_threshold_and_is_over_it_is_high() -> None:
    row = replace(ROW, ai_share=Fraction(30_001, 100_000))
    (line,) = build_grid_view(GridQuery(), GridPage(rows=(row,), total_count=1), []).lines
    assert ("30.0%", True) == (line.ai, line.is_high)


def test_a_plan_nobody_is_on_stays_chosen() -> None:
    view = build_grid_view(GridQuery(plan="Old"), GridPage(rows=(), total_count=0), ["Pro"])
    assert ["Old"] == [choice.value for choice in view.plans if choice.chosen]
