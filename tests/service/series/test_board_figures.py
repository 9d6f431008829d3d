"""Every query of the boards, by the gateway, on a real InfluxDB that the relay filled.

Its figures are those of the reports. No query names a tenant: the key it is asked with does.

One ledger for all of it, since it is only read.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from shutil import copy
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from collector.influx.target import Target
from costing.reports.figures import Figures
from costing.reports.series import series
from costing.reports.tenant_grid import GridRow, parse_threshold
from grafana.dashboards.build import render
from grafana.dashboards.catalogue import SYSTEM_USAGE, TENANT_USAGE
from ledger.engine import create_ledger_engine
from ledger.money import Nanos, format_usd
from ledger.period import DateRange
from ledger.rollups import RollupRow
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from ledger.tenants import change_tenant
from ledger.units import load_catalogue
from tests.asking import ask_gateway, get_json
from tests.grafana_queries import queries
from tests.servers.influx import Influx, require_influx
from tests.service.series.conftest import make_relay
from tests.service.series.world import (
    IDLE,
    NOW,
    ODD_PLAN,
    TENANTS,
    Row,
    World,
    fill,
    make_keys,
    serve,
    ship_all,
)

WHOLE = ("berlin", "karachi", "auckland", "honolulu", "unpriced")
"""Those whose every day is one of the zone that they are in now."""

NAMES = pytest.mark.parametrize("name", WHOLE)

DAYS = pytest.mark.parametrize("days", [30, 90])


@pytest.fixture(scope="module")
def world(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require_influx()
    folder = tmp_path_factory.mktemp("world")
    engine = create_ledger_engine(f"sqlite:///{copy(template, folder / 'ledger.db')}")
    with closing(Influx(folder / "influx")) as influx:
        influx.query('CREATE DATABASE "meterline"')
        fill(engine)
        relay = make_relay(engine, Target(url=influx.url, timeout_seconds=5))
        ship_all(relay)
        with operator_session(engine, write=True) as session:
            change_tenant(session, TenantId("mover"), name="Moved", now=NOW)
        ship_all(relay)
        with closing(serve(engine, influx)) as collector:
            yield World(engine=engine, influx=influx, url=collector.url, keys=make_keys(engine))
    engine.dispose()


def nanos(value: float | None) -> int | None:
    return None if value is None else round(value * 10**9)


def usd(value: float | None) -> str | None:
    return None if (cost := nanos(value)) is None else format_usd(Nanos(cost))


def shown(found: Mapping[str, list[Row]], ref: str, column: str) -> Any:
    """Return the one value of a target, None where it has no row."""
    rows = found[ref]
    assert len(rows) <= 1, rows
    return rows[0][column] if rows else None


def joined(found: Iterable[list[Row]], key: str) -> dict[str, Row]:
    """Join tables as the panel does: all rows of all, those of one key as one."""
    rows: defaultdict[str, Row] = defaultdict(dict)
    for row in (row for table in found for row in table):
        columns = {name: value for name, value in row.items() if name != "time"}
        assert columns.keys() & rows[row[key]].keys() <= {key}, row
        rows[row[key]].update(columns)
    return dict(rows)


def as_row(figures: Figures) -> tuple[int, int | None, int]:
    return figures.count, figures.estimated_cost, figures.unpriced_count


def as_shown(row: Row) -> tuple[int, int | None, int]:
    return row["count"], nanos(row.get("cost")), row.get("unpriced", 0)


@NAMES
@DAYS
def test_the_total_and_what_is_unpriced_are_the_summarys(
    world: World, name: str, days: int
) -> None:
    found = world.tenant(name, "Total", days)
    total = world.summary(name, world.dates(name, days)).total
    expected = (total.estimated_cost, total.unpriced_count)
    assert expected == (nanos(shown(found, "A", "cost")), shown(found, "B", "unpriced"))


@NAMES
@DAYS
def test_the_total_is_what_the_summary_route_answers(world: World, name: str, days: int) -> None:
    url = f"{world.url}/api/billing/usage/summary?range={days}d"
    total = get_json(url, world.keys[name])["total"]
    cost = shown(world.tenant(name, "Total", days), "A", "cost")
    assert total["estimated_cost"] == usd(cost)


@DAYS
def test_the_costs_of_the_grid_are_what_the_grid_route_answers(world: World, days: int) -> None:
    url = f"{world.url}/api/admin/usage/tenants?range={days}d"
    rows = get_json(url, world.keys[None])["tenants"]
    assert {row["tenant"]: row["estimated_cost"] for row in rows if row["tenant"] != IDLE} == {
        name: usd(row.get("cost")) for name, row in grid_of(world, days).items()
    }


def test_the_gateway_knows_every_tag_and_field_that_the_relay_writes(world: World) -> None:
    for text in ("SHOW TAG KEYS", "SHOW FIELD KEYS"):
        assert world.influx.query(text) == ask_gateway(world.url, world.keys[None], text)


def test_a_tenant_sees_itself_alone_on_the_board_of_all_tenants(world: World) -> None:
    board = render(SYSTEM_USAGE)
    found = [world.ask(query.text, "berlin") for query in queries(board, now=NOW)]
    assert {"berlin"} == {row["tenant"] for rows in found for row in rows if "tenant" in row}


@NAMES
def test_month_to_date_is_the_summary_since_the_first(world: World, name: str) -> None:
    last = world.dates(name).end - timedelta(days=1)
    total = world.summary(name, DateRange.inclusive(last.replace(day=1), last)).total
    found = world.tenant(name, "Month to date", 90)
    expected = (total.estimated_cost, total.unpriced_count or None)
    assert expected == (nanos(shown(found, "A", "cost")), shown(found, "B", "unpriced"))


@NAMES
@DAYS
@pytest.mark.parametrize("kind", ["channel", "feature"])
def test_the_top_is_the_summarys(world: World, name: str, days: int, kind: str) -> None:
    summed = world.summary(name, world.dates(name, days))
    top = summed.top_channel if kind == "channel" else summed.top_feature
    found = world.tenant(name, f"Top {kind}", days)
    assert (top and (top.name, top.estimated_cost)) == (
        (shown(found, "A", kind), nanos(shown(found, "A", "cost"))) if found["A"] else None
    )


@NAMES
def test_unpriced_usages_are_counted_where_there_are_any(world: World, name: str) -> None:
    total = world.summary(name, world.dates(name)).total
    assert total.unpriced_count == shown(world.tenant(name, "Unpriced usage"), "A", "unpriced")


@NAMES
@DAYS
def test_the_cost_of_a_day_and_channel_is_that_of_the_series(
    world: World, name: str, days: int
) -> None:
    with tenant_session(world.engine, TenantId(name)) as session:
        points = series(session, world.dates(name, days))
    expected = {
        (point.date, point.channel): point.figures.estimated_cost
        for point in points
        if point.figures.count and point.figures.estimated_cost is not None
    }
    found = world.tenant(name, "Cost per day", days)["A"]
    assert expected == {
        (local_date(row, world.zone(name)), row["channel"]): nanos(row["cost"]) for row in found
    }


@NAMES
def test_unpriced_usages_of_a_day_are_those_of_the_series(world: World, name: str) -> None:
    with tenant_session(world.engine, TenantId(name)) as session:
        points = series(session, world.dates(name))
    expected: defaultdict[date, int] = defaultdict(int)
    for point in points:
        expected[point.date] += point.figures.unpriced_count
    found = world.tenant(name, "Cost per day")["B"]
    zone = world.zone(name)
    assert {day: count for day, count in expected.items() if count} == {
        local_date(row, zone): row["unpriced"] for row in found
    }


def local_date(row: Row, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(row["time"] / 10**9, zone).date()


@NAMES
@DAYS
def test_the_channels_are_those_of_the_summary(world: World, name: str, days: int) -> None:
    channels = world.summary(name, world.dates(name, days)).channels
    found = joined(world.tenant(name, "Channels", days).values(), "channel")
    assert {row.channel: as_row(row.figures) for row in channels if row.figures.count} == {
        channel: as_shown(row) for channel, row in found.items()
    }


@NAMES
def test_the_parts_of_the_ring_are_the_costs_of_the_channels(world: World, name: str) -> None:
    channels = world.summary(name, world.dates(name)).channels
    found = world.tenant(name, "Share of cost")["A"]
    expected = {
        row.channel: row.figures.estimated_cost
        for row in channels
        if row.figures.count and row.figures.estimated_cost is not None
    }
    assert expected == {row["channel"]: nanos(row["cost"]) for row in found}


@NAMES
@DAYS
def test_a_feature_has_the_sums_of_its_rows(world: World, name: str, days: int) -> None:
    rows = world.rollups(name, world.dates(name, days))
    expected = sum_by(rows, lambda row: row.key.feature or "")
    found = joined(world.tenant(name, "Cost by feature", days).values(), "feature")
    assert expected == {feature: as_shown(row) for feature, row in found.items()}


def sum_by(
    rows: Iterable[RollupRow], key: Callable[[RollupRow], str]
) -> dict[str, tuple[int, int | None, int]]:
    """Return usages, cost and usages without a price by something."""
    groups: defaultdict[str, list[RollupRow]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return {
        name: (
            sum(row.tally.events for row in group),
            sum(costs) if (costs := [c for row in group if (c := row.estimated_cost) is not None])
            else None,
            sum(row.tally.events for row in group if row.estimated_cost is None),
        )
        for name, group in groups.items()
    }  # fmt: skip


@NAMES
@DAYS
def test_a_model_has_the_tokens_of_its_rows(world: World, name: str, days: int) -> None:
    expected: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in world.rollups(name, world.dates(name, days)):
        if row.key.channel == "ai":
            sums = expected[row.key.model or ""]
            sums[0] += row.tally.events
            for unit in load_catalogue().units:
                if unit.side is not None:
                    place = 1 if unit.side == "input" else 2
                    sums[place] += getattr(row.tally.measures, unit.column)
    found = world.tenant(name, "AI tokens by model", days)["A"]
    assert expected == {row["model"]: [row["count"], row["input"], row["output"]] for row in found}


@NAMES
def test_a_model_costs_on_a_day_what_its_rows_do(world: World, name: str) -> None:
    expected: defaultdict[tuple[date, str], int] = defaultdict(int)
    for row in world.rollups(name, world.dates(name)):
        if row.key.channel == "ai" and row.estimated_cost is not None:
            expected[row.key.date, row.key.model or ""] += row.estimated_cost
    found = world.tenant(name, "AI cost by model")
    zone = world.zone(name)
    assert ([], expected) == (
        found["B"],
        {(local_date(row, zone), row["model"]): nanos(row["cost"]) for row in found["A"]},
    )


def test_ai_usages_without_a_price_are_counted_by_day(world: World) -> None:
    expected = sum(
        row.tally.events
        for row in world.rollups("karachi", world.dates("karachi"))
        if row.key.channel == "ai"
    )
    found = world.tenant("karachi", "AI cost by model")
    assert ([], expected) == (found["A"], sum(row["unpriced"] for row in found["C"]))


@pytest.mark.parametrize("title", [ref.title for ref in TENANT_USAGE.panels])
def test_a_tenant_without_usage_has_no_row_and_no_zero_anywhere(world: World, title: str) -> None:
    assert not any(world.tenant(IDLE, title).values())


@DAYS
def test_where_nothing_is_priced_no_cost_is_shown(world: World, days: int) -> None:
    found = {
        ref.title: world.tenant("unpriced", ref.title, days).values() for ref in TENANT_USAGE.panels
    }
    assert not any("cost" in row for tables in found.values() for rows in tables for row in rows)


def grid_of(world: World, days: int = 30, **values: Any) -> dict[str, Row]:
    """Return the grid as the panel shows it: of the joined rows those that pass both filters."""
    found = joined(world.system("Tenants", days, **values).values(), "tenant")
    return {name: row for name, row in found.items() if {"name", "emails"} <= row.keys()}


def as_grid(row: Row) -> tuple[Any, ...]:
    return (
        row["name"],
        row["plan"],
        nanos(row.get("cost")),
        *(share if (share := row.get(name)) is None else pytest.approx(share, abs=1e-9)
          for name in ("ai_share", "twilio_share")),
        row["emails"],
    )  # fmt: skip


def as_reported(row: GridRow) -> tuple[Any, ...]:
    shares = (None if s is None else float(s) for s in (row.ai_share, row.twilio_share))
    return (row.name, row.plan, row.estimated_cost, *shares, row.emails_sent)


@DAYS
def test_the_grid_is_that_of_the_page(world: World, days: int) -> None:
    expected = {name: as_reported(row) for name, row in world.grid(days).items()}
    assert expected == {name: as_grid(row) for name, row in grid_of(world, days).items()}


def test_the_grid_has_unknown_and_known_shares_and_costs_to_compare(world: World) -> None:
    rows = world.grid().values()
    assert (True, True, True, True) == (
        any(row.estimated_cost is None for row in rows),
        any(row.ai_share is None for row in rows),
        any(row.ai_share for row in rows),
        any(row.twilio_share for row in rows),
    )


@pytest.mark.parametrize("plan", ["Pro", ODD_PLAN, "Elite", "Starter"])
def test_a_plan_shows_the_tenants_that_are_on_it(world: World, plan: str) -> None:
    assert world.grid(plan=plan).keys() == grid_of(world, plan=[plan]).keys() != set()


def test_several_plans_show_the_tenants_of_all(world: World) -> None:
    expected = {*world.grid(plan="Elite"), *world.grid(plan=ODD_PLAN)}
    assert expected == grid_of(world, plan=["Elite", ODD_PLAN]).keys()


@pytest.mark.parametrize("threshold", ["0.05", "0.1", "0.3"])
def test_over_a_threshold_are_the_tenants_whose_ai_share_is_higher_or_unknown(
    world: World, threshold: str
) -> None:
    expected = world.grid(high_ai=True, ai_threshold=parse_threshold(threshold)).keys()
    assert expected == grid_of(world, ai_threshold=threshold).keys()


def test_a_tenant_that_changed_plan_zone_and_name_is_one_row_with_the_last(world: World) -> None:
    found = grid_of(world, days=90)["mover"]
    assert ("Moved", "Elite") == (found["name"], found["plan"])


def test_the_plans_to_choose_from_are_those_that_tenants_were_on(world: World) -> None:
    (variable, _) = render(SYSTEM_USAGE)["templating"]["list"]
    plans = {plan for _, plan in TENANTS.values()}
    assert plans == {row["value"] for row in world.ask(variable["query"])}


def test_the_top_tenants_of_a_day_are_those_of_their_own_dates(world: World) -> None:
    expected = {
        (day, name): cost
        for name in TENANTS
        for day, cost in costs_by_date(world, name).items()
        if cost > 0
    }
    found = world.system("Top tenants per day")["A"]
    zone = ZoneInfo(SYSTEM_USAGE.timezone)
    assert expected == {(local_date(row, zone), row["tenant"]): nanos(row["cost"]) for row in found}


def costs_by_date(world: World, name: str) -> dict[date, int]:
    sums: defaultdict[date, int] = defaultdict(int)
    for row in world.rollups(name, world.dates(name)):
        sums[row.key.date] += row.estimated_cost or 0
    return sums


@DAYS
def test_usages_without_a_price_are_counted_by_tenant(world: World, days: int) -> None:
    expected = {
        name: row.unpriced_count for name, row in world.grid(days).items() if row.unpriced_count
    }
    found = world.system("Unpriced usage", days)["A"]
    assert expected == {row["tenant"]: row["unpriced"] for row in found}
