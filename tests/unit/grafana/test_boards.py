"""The boards as Grafana gets them: what every panel has to have, and what is pinned."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from collector.relay.points import MEASUREMENTS
from exporter.catalogue import CATALOGUE
from grafana.dashboards.build import RENDERED, render, to_json
from grafana.dashboards.catalogue import (
    BOARDS,
    METRICS_SOURCE,
    PIPELINE,
    SERIES_SOURCE,
    SYSTEM_USAGE,
    TENANT_USAGE,
    BoardRef,
)
from ledger.period import RANGES, DateRange, first_instant
from tests.grafana_queries import Json, Span, put_values, queries, resolve, span_of

ZONES = ("UTC", "Europe/Berlin", "Asia/Karachi", "Pacific/Auckland", "America/Santiago")
NAMED = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
KINDS = {"stat", "table", "timeseries", "piechart"}
METRIC = re.compile(r"\bmeterline_[a-z_]+")


def panels(board: BoardRef) -> list[Json]:
    found: list[Json] = render(board)["panels"]
    return found


def targets(board: BoardRef) -> Iterator[tuple[Json, Json]]:
    return ((panel, target) for panel in panels(board) for target in panel["targets"])


def milliseconds(instant: datetime) -> int:
    return int(instant.timestamp()) * 1000


@NAMED
def test_a_board_is_the_committed_one(board: BoardRef) -> None:
    path, text = RENDERED / board.file, to_json(render(board))
    if os.environ.get("METERLINE_PIN"):
        path.write_text(text)
    assert path.read_text() == text


def test_no_file_is_there_that_no_board_is_rendered_to() -> None:
    assert {board.file for board in BOARDS} == {path.name for path in RENDERED.iterdir()}


def test_uids_are_those_that_addresses_have() -> None:
    expected = ["meterline-tenant-usage", "meterline-system-usage", "meterline-pipeline"]
    assert expected == [render(board)["uid"] for board in BOARDS]


@NAMED
def test_a_panel_has_the_id_and_title_that_others_embed_it_with(board: BoardRef) -> None:
    expected = [(ref.id, ref.title) for ref in board.panels]
    assert expected == [(panel["id"], panel["title"]) for panel in panels(board)]


@NAMED
def test_no_two_panels_of_a_board_have_one_id(board: BoardRef) -> None:
    assert len(board.panels) == len({ref.id for ref in board.panels})


@NAMED
def test_panels_lie_side_by_side_within_the_columns_and_none_on_another(board: BoardRef) -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels(board))
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert (len(set(cells)), True) == (len(cells), max(x for x, _ in cells) < 24)


@NAMED
def test_every_panel_has_a_description_a_unit_and_a_word_for_nothing(board: BoardRef) -> None:
    faulty = [
        panel["title"]
        for panel in panels(board)
        for defaults in (panel["fieldConfig"]["defaults"],)
        if not all((panel["description"], defaults["unit"], defaults["noValue"]))
    ]
    assert [] == faulty


@NAMED
def test_every_panel_is_of_a_kind_that_grafana_has_and_asks_something(board: BoardRef) -> None:
    assert all(panel["type"] in KINDS and panel["targets"] for panel in panels(board))


@NAMED
def test_every_override_names_its_fields_and_sets_something(board: BoardRef) -> None:
    overrides = [
        override for panel in panels(board) for override in panel["fieldConfig"]["overrides"]
    ]
    assert all(
        each["matcher"].keys() == {"id", "options"}
        and each["properties"]
        and all(set(one) == {"id", "value"} for one in each["properties"])
        for each in overrides
    )


@pytest.mark.parametrize(
    ("board", "uid"),
    [(TENANT_USAGE, SERIES_SOURCE), (SYSTEM_USAGE, SERIES_SOURCE), (PIPELINE, METRICS_SOURCE)],
    ids=lambda value: value.uid if isinstance(value, BoardRef) else value,
)
def test_every_panel_and_target_asks_the_one_source_of_its_board(board: BoardRef, uid: str) -> None:
    sources = [each["datasource"]["uid"] for pair in targets(board) for each in pair]
    assert {uid} == set(sources)


@NAMED
def test_the_targets_of_a_panel_go_by_letters_of_their_own(board: BoardRef) -> None:
    for panel in panels(board):
        refs = [target["refId"] for target in panel["targets"]]
        assert list("ABCDE"[: len(refs)]) == refs


@pytest.mark.parametrize("board", [TENANT_USAGE, SYSTEM_USAGE], ids=lambda board: board.uid)
def test_every_target_is_a_raw_query_of_the_shape_that_grafanas_backend_reads(
    board: BoardRef,
) -> None:
    keys = {"refId", "datasource", "query", "rawQuery", "resultFormat"}
    for _, target in targets(board):
        is_series = target["resultFormat"] == "time_series"
        assert keys | ({"alias"} if is_series else set()) == target.keys()
        assert (True, True) == (target["rawQuery"], is_series or target["resultFormat"] == "table")


def test_money_is_to_the_cent_and_less_than_half_a_cent_is_not_nothing() -> None:
    (total, *_) = panels(TENANT_USAGE)
    shown = total["fieldConfig"]["defaults"]
    (tiny,) = (mapping["options"] for mapping in shown["mappings"])
    assert ("prefix:$", 2) == (shown["unit"], shown["decimals"])
    assert (0.000000001, 0.004999999) == (tiny["from"], tiny["to"])


@NAMED
def test_grafanas_own_types_know_everything_that_a_board_says(board: BoardRef) -> None:
    plugins.register_default_plugins()
    known = Dashboard.from_json(orjson.loads(to_json(render(board))))
    written = orjson.loads(JSONEncoder().encode(known))
    assert [] == list(unknown(render(board), written))


def unknown(said: Any, written: Any, where: str = "") -> Iterator[str]:
    """Yield what is said and is not written again as it is; nothing is as good as empty."""
    if isinstance(said, dict) and isinstance(written, dict):
        for name, value in said.items():
            yield from unknown(value, written.get(name), f"{where}/{name}")
    elif isinstance(said, list) and isinstance(written, list) and len(said) == len(written):
        for place, pair in enumerate(zip(said, written, strict=True)):
            yield from unknown(*pair, f"{where}/{place}")
    elif said != written and (said or written):
        yield where


@NAMED
def test_a_board_has_all_that_an_import_asks_for(board: BoardRef) -> None:
    rendered = render(board)
    assert (None, 39, []) == (
        rendered["id"],
        rendered["schemaVersion"],
        [name for name in ("title", "description", "timezone") if not rendered[name]],
    )


@pytest.mark.parametrize("board", [TENANT_USAGE, SYSTEM_USAGE], ids=lambda board: board.uid)
def test_every_innermost_select_has_the_range(board: BoardRef) -> None:
    for _, target in targets(board):
        sources = re.findall(r'FROM "(\w+)" WHERE (\S+)', target["query"])
        assert sources
        assert all(
            name in MEASUREMENTS and condition == "$timeFilter" for name, condition in sources
        )


def test_no_query_of_the_tenants_board_names_a_tenant_or_a_variable() -> None:
    texts = [target["query"].replace("$timeFilter", "") for _, target in targets(TENANT_USAGE)]
    assert not any("tenant" in text or "$" in text for text in texts)


def test_what_is_read_as_a_table_is_grouped_by_one_tag_at_most() -> None:
    # Grafana's converter walks the tags of each series in no order.
    grouped = [
        target["query"]
        for board in (TENANT_USAGE, SYSTEM_USAGE)
        for _, target in targets(board)
        if target["resultFormat"] == "table"
    ]
    outer = [re.sub(r"\(SELECT.*\)", "", text) for text in grouped]
    assert not any(re.search(r'GROUP BY .*"\w+", "\w+"', text) for text in outer)


@pytest.mark.parametrize("zone", ZONES)
def test_every_query_that_groups_by_day_does_it_in_the_zone_of_the_tenant(zone: str) -> None:
    board = render(TENANT_USAGE, timezone=zone)
    daily = [t["query"] for p in board["panels"] for t in p["targets"] if "time(" in t["query"]]
    assert 5 == len([text for text in daily if text.endswith(f" tz('{zone}')")]) == len(daily)


@pytest.mark.parametrize(("zone", "name"), [("UTC", "utc"), ("Asia/Karachi", "Asia/Karachi")])
def test_a_board_shows_times_in_the_zone_of_the_tenant(zone: str, name: str) -> None:
    assert name == render(TENANT_USAGE, timezone=zone)["timezone"]


@pytest.mark.parametrize("board", [SYSTEM_USAGE, PIPELINE], ids=lambda board: board.uid)
def test_a_board_of_all_tenants_has_no_zone_of_one(board: BoardRef) -> None:
    with pytest.raises(ValueError, match="cannot be rendered for Asia/Karachi"):
        render(board, timezone="Asia/Karachi")


MOMENTS = [
    datetime(2026, 3, 10, 12, 0, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 30, tzinfo=UTC),  # Berlin's clocks go forward in half an hour
    datetime(2026, 4, 5, 3, 30, tzinfo=UTC),  # Santiago skipped nothing, and has 25 hours
    datetime(2026, 4, 10, 18, 59, 59, tzinfo=UTC),  # a second before Karachi's midnight
    datetime(2026, 9, 6, 5, 0, tzinfo=UTC),  # Santiago's day began at 1:00
]


@pytest.mark.parametrize("range_name", RANGES)
@pytest.mark.parametrize("now", MOMENTS, ids=str)
@pytest.mark.parametrize("zone", ZONES)
def test_the_range_of_a_tenants_board_is_that_of_the_page(
    zone: str, now: datetime, range_name: str
) -> None:
    board = render(TENANT_USAGE, timezone=zone)
    days = RANGES[range_name]
    span = TENANT_USAGE.last_days(days)
    dates = DateRange.last_days(days, now=now, zone=ZoneInfo(zone))
    start, end = (first_instant(day, ZoneInfo(zone)) for day in (dates.start, dates.end))
    found = span_of(board, {}, now=now, span=(span.start, span.end))
    assert Span(milliseconds(start), milliseconds(end) - 1) == found


@pytest.mark.parametrize("now", MOMENTS, ids=str)
@pytest.mark.parametrize("zone", ZONES)
def test_month_to_date_begins_with_the_first_day_of_the_tenants_month(
    zone: str, now: datetime
) -> None:
    board = render(TENANT_USAGE, timezone=zone)
    (panel,) = [panel for panel in board["panels"] if panel["title"] == "Month to date"]
    first = now.astimezone(ZoneInfo(zone)).date().replace(day=1)
    expected = milliseconds(first_instant(first, ZoneInfo(zone)))
    assert expected == span_of(board, panel, now=now).start


def test_the_board_opens_with_the_last_thirty_days() -> None:
    assert {"from": "now-29d/d", "to": "now/d"} == render(TENANT_USAGE)["time"]


@pytest.mark.parametrize("hours", range(0, 24, 4))
@pytest.mark.parametrize("zone", ["UTC", "Asia/Karachi", "Pacific/Honolulu", "Pacific/Tongatapu"])
def test_the_range_of_the_system_board_has_the_same_dates_of_every_tenant(
    zone: str, hours: int
) -> None:
    now = datetime(2026, 3, 10, hours, 17, tzinfo=UTC)
    span = span_of(render(SYSTEM_USAGE), {}, now=now)
    dates = DateRange.last_days(30, now=now, zone=ZoneInfo(zone))
    starts = DateRange(start=date(2026, 1, 1), end=date(2026, 4, 1))
    inside = [
        day
        for day in starts
        if span.start <= milliseconds(first_instant(day, ZoneInfo(zone))) <= span.end
    ]
    assert list(dates) == inside


def test_a_plan_with_marks_of_patterns_is_put_into_a_query_as_what_it_is() -> None:
    found = put_values("=~ /^$plan$/", render(SYSTEM_USAGE), {"plan": ["a/b (1.0)"], **ANY})
    assert r"=~ /^a\/b \(1\.0\)$/" == found


def test_several_plans_are_one_group_in_a_query() -> None:
    found = put_values("=~ /^$plan$/", render(SYSTEM_USAGE), {"plan": ["Pro", "Elite"], **ANY})
    assert "=~ /^(Pro|Elite)$/" == found


ANY: dict[str, Any] = {"ai_threshold": "-1000"}


def test_all_plans_match_everything_until_one_is_chosen() -> None:
    texts = [query.text for query in queries(render(SYSTEM_USAGE), now=MOMENTS[0])]
    assert 1 == sum("=~ /^.*$/" in text for text in texts)


def test_a_date_is_rounded_within_its_zone() -> None:
    now = datetime(2026, 3, 10, 20, 0, tzinfo=UTC)
    found = resolve("now/d", now=now, zone=ZoneInfo("Asia/Karachi"), is_end=False)
    assert datetime(2026, 3, 10, 19, 0, tzinfo=UTC) == found


def test_the_board_of_the_pipeline_names_metrics_of_the_catalogue_alone() -> None:
    named = {name for _, target in targets(PIPELINE) for name in METRIC.findall(target["expr"])}
    assert set() == named - set(CATALOGUE)
