import re
from datetime import date, timedelta
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pages.axis import day_ticks, money_ticks
from api.pages.chart import SIZES, chart_spec, draw_chart
from costing.reports.figures import NOTHING, Figures
from costing.reports.series import SeriesPoint
from ledger.money import Nanos

FIRST = date(2026, 2, 9)


def point(day: int, channel: str, cost: int | None, unpriced: int = 0) -> SeriesPoint:
    figures = Figures(
        count=1,
        estimated_cost=None if cost is None else Nanos(cost),
        has_unpriced=unpriced != 0,
        unpriced_count=unpriced,
        flat_rated_count=0,
    )
    return SeriesPoint(date=FIRST + timedelta(days=day), channel=channel, figures=figures)


def nothing(day: int, channel: str) -> SeriesPoint:
    return SeriesPoint(date=FIRST + timedelta(days=day), channel=channel, figures=NOTHING)


POINTS = (
    point(0, "sms", 5_000_000_000),
    point(0, "ai", 2_000_000_000),
    nothing(1, "sms"),
    point(1, "ai", None, unpriced=3),
    point(2, "sms", -1_000_000_000),
    point(2, "ai", 1, unpriced=1),
)


@given(st.integers(-(10**18), 0), st.integers(0, 10**18))
def test_ticks_of_money_hold_the_whole_span(low: int, high: int) -> None:
    ticks = money_ticks(Nanos(low), Nanos(high))
    assert ticks[0] <= low <= 0 <= high <= ticks[-1]


@given(st.integers(-(10**18), 0), st.integers(0, 10**18))
def test_ticks_of_money_are_few_and_one_is_zero(low: int, high: int) -> None:
    ticks = money_ticks(Nanos(low), Nanos(high))
    assert (True, True) == (0 in ticks, len(ticks) <= 5)


@given(st.integers(1, 3660), st.integers(1, 12))
def test_ticks_of_days_are_few_evenly_apart_and_end_with_the_last(days: int, most: int) -> None:
    dates = [FIRST + timedelta(days=n) for n in range(days)]
    ticks = day_ticks(dates, most)
    steps = {after - before for before, after in pairwise(ticks)}
    assert (dates[-1], True, True) == (ticks[-1], len(ticks) <= most, len(steps) <= 1)


def test_bars_are_the_costs_in_whole_nano_dollars() -> None:
    bars = chart_spec(POINTS, SIZES[0])["layer"][0]["data"]["values"]
    expected = [5_000_000_000, 2_000_000_000, -1_000_000_000, 1]
    assert expected == [bar["cost"] for bar in bars]


def test_days_with_unpriced_usage_are_marked() -> None:
    marks = chart_spec(POINTS, SIZES[0])["layer"][1]["data"]["values"]
    assert ["2026-02-10", "2026-02-11"] == [mark["date"] for mark in marks]


def test_days_without_usage_have_their_place() -> None:
    domain = chart_spec(POINTS, SIZES[0])["encoding"]["x"]["scale"]["domain"]
    assert ["2026-02-09", "2026-02-10", "2026-02-11"] == domain


def test_a_channel_that_only_old_rows_have_gets_the_colour_of_others() -> None:
    colours = chart_spec((point(0, "fax", 1),), SIZES[0])["layer"][0]["encoding"]["color"]
    assert ["var(--channel-other)"] == colours["scale"]["range"]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_a_drawn_chart_has_no_style_and_no_script_in_it(size: object) -> None:
    svg = draw_chart(POINTS, size, labelled_by="words")  # type: ignore[arg-type] # of SIZES
    assert [] == re.findall(r"style=|<style|<script|\son\w+=|href=", svg)


def test_a_drawn_chart_has_a_bar_of_each_cost_in_the_colour_of_its_channel() -> None:
    root = ET.fromstring(draw_chart(POINTS, SIZES[2], labelled_by="words"))
    bars = [g for g in root.iter("g") if "mark-rect" in g.get("class", "")]
    fills = [path.get("fill") for path in bars[0]]
    expected = ["var(--channel-ai)", "var(--channel-sms)"]
    assert (2, expected) == (fills.count("var(--channel-sms)"), sorted(set(map(str, fills))))


def test_a_drawn_chart_is_a_picture_that_is_described() -> None:
    root = ET.fromstring(draw_chart(POINTS, SIZES[0], labelled_by="title words"))
    assert ("img", "title words") == (root.get("role"), root.get("aria-labelledby"))
