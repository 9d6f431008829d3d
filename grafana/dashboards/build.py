"""Renders boards: as values to send to Grafana, and as committed files to mount into it."""

from pathlib import Path
from typing import Final

import orjson

from grafana.dashboards import pipeline, system_usage, tenant_usage
from grafana.dashboards.catalogue import PIPELINE, SYSTEM_USAGE, TENANT_USAGE, BoardRef, TimeRange
from grafana.dashboards.fields import Json
from grafana.dashboards.panels import lay_out

RENDERED: Final = Path(__file__).parent / "rendered"
"""The folder of the committed boards; the tenant's is rendered there for one in UTC."""

SCHEMA_VERSION: Final = 39
"""The classic schema as of Grafana 11; later versions migrate a board when they load it."""

_DAYS = 30
_LATELY = TimeRange(start="now-6h", end="now")
_DESCRIPTIONS: Final = {
    TENANT_USAGE: "What was used and what it costs, by day, channel, feature and model.",
    SYSTEM_USAGE: "Who of all tenants costs what, whose AI share is high, and what has no price.",
    PIPELINE: "What waits between intake, costing and InfluxDB, for how long, and what goes wrong.",
}


def render(board: BoardRef, *, timezone: str | None = None) -> Json:
    """Return a board as Grafana takes it.

    Args:
        board: which one.
        timezone: the tenant's zone, in which the days of its board are cut; None: the board's own.
            Those of all tenants have no other.
    """
    zone = board.timezone if timezone is None else timezone
    if not board.one_zone and zone != board.timezone:
        raise ValueError(f"{board.uid} is not of one zone, so it cannot be rendered for {zone}")
    return {
        "id": None,
        "uid": board.uid,
        "title": board.title,
        "description": _DESCRIPTIONS[board],
        "tags": ["meterline"],
        "editable": False,
        "schemaVersion": SCHEMA_VERSION,
        # Grafana has a name of its own for this zone, and only this one.
        "timezone": "utc" if zone == "UTC" else zone,
        **_time(board),
        "graphTooltip": 1,
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": system_usage.build_variables() if board == SYSTEM_USAGE else []},
        "panels": lay_out(_build_panels(board, zone), board.panels),
    }


def to_json(board: Json) -> str:
    """Return a rendered board as the text of its file."""
    return orjson.dumps(board, option=orjson.OPT_INDENT_2).decode() + "\n"


def _build_panels(board: BoardRef, timezone: str) -> list[Json]:
    if board == TENANT_USAGE:
        return tenant_usage.build_panels(timezone)
    return system_usage.build_panels() if board == SYSTEM_USAGE else pipeline.build_panels()


def _time(board: BoardRef) -> Json:
    is_live = board == PIPELINE
    span = _LATELY if is_live else board.last_days(_DAYS)
    refresh = "1m" if is_live else ""
    return {"time": {"from": span.start, "to": span.end}, "refresh": refresh, "timepicker": {}}
