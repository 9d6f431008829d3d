"""Panels in Grafana's classic schema, as plain dictionaries.

No SDK builds them: none has a builder for InfluxQL, and what the boards use of the schema is less
than the code that would hide it. Only options that the boards need are written; Grafana fills in
the rest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grafana.dashboards.catalogue import METRICS_SOURCE, SERIES_SOURCE, PanelRef
from grafana.dashboards.fields import Json, as_unit, hide_time

SERIES: Json = {"type": "influxdb", "uid": SERIES_SOURCE}
METRICS: Json = {"type": "prometheus", "uid": METRICS_SOURCE}


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What a panel says, of which every one has to have all.

    Attributes:
        description: what its reader is told about it.
        source: the data source that its targets ask.
        targets: see `table_target`, `series_target` and `metric_target`.
        unit: Grafana's name of what its values are, where no override says another.
        empty: what stands there where there is nothing.
    """

    description: str
    source: Json
    targets: Sequence[Json]
    unit: str
    empty: str


def table_target(ref: str, query: str) -> Json:
    """Return a query of InfluxQL that is read as a table: its columns and its one tag."""
    return _influx(ref, query, "table")


def series_target(ref: str, query: str, alias: str) -> Json:
    """Return a query of InfluxQL that is read as a series for each value of its tags."""
    return {**_influx(ref, query, "time_series"), "alias": alias}


def metric_target(ref: str, expression: str, legend: str = "", *, instant: bool = False) -> Json:
    """Return a query of PromQL, over the range or of its end alone."""
    mode = {"instant": instant, "range": not instant}
    return {"refId": ref, "datasource": METRICS, "expr": expression, "legendFormat": legend, **mode}


def _influx(ref: str, query: str, result: str) -> Json:
    return {
        "refId": ref,
        "datasource": SERIES,
        "query": query,
        "rawQuery": True,
        "resultFormat": result,
    }


def stat(
    ref: PanelRef,
    content: Content,
    *,
    fields: str = "",
    mappings: Sequence[Json] = (),
    overrides: Sequence[Json] = (),
) -> Json:
    """Return a panel of large values: all numbers of the one row, or the fields of a pattern."""
    return _panel(
        ref,
        content,
        "stat",
        {
            "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": fields},
            "textMode": "value",
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
        },
        defaults={"color": {"mode": "fixed", "fixedColor": "text"}},
        mappings=mappings,
        overrides=overrides,
    )


def table(
    ref: PanelRef,
    content: Content,
    *,
    join: str,
    sort: str,
    overrides: Sequence[Json] = (),
) -> Json:
    """Return a table that has the rows of all targets that agree in a column, as one row each.

    The time of a row, which is the start of the range, is not shown.
    """
    joined = {"id": "joinByField", "options": {"byField": join, "mode": "outer"}}
    panel = _panel(
        ref,
        content,
        "table",
        {"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": sort, "desc": True}]},
        defaults={"custom": {"align": "auto", "filterable": False}},
        overrides=[hide_time(), *overrides],
    )
    return {**panel, "transformations": [joined]}


def daily_bars(
    ref: PanelRef,
    content: Content,
    *,
    overrides: Sequence[Json] = (),
    transformations: Sequence[Json] = (),
    name: str | None = None,
) -> Json:
    """Return stacked bars, each as wide as its day, which begins where the bar does."""
    custom = {
        "drawStyle": "bars",
        "barAlignment": 1,
        "fillOpacity": 80,
        "lineWidth": 0,
        "stacking": {"mode": "normal", "group": "A"},
    }
    defaults: Json = {"custom": custom, "color": {"mode": "palette-classic"}}
    if name is not None:
        defaults["displayName"] = name
    options = _chart_options(["sum"])
    panel = _panel(ref, content, "timeseries", options, defaults=defaults, overrides=overrides)
    return {**panel, "interval": "1d", "transformations": list(transformations)}


def lines(ref: PanelRef, content: Content) -> Json:
    """Return lines over time."""
    custom = {"drawStyle": "line", "fillOpacity": 10, "lineWidth": 1, "showPoints": "never"}
    defaults = {"custom": custom, "color": {"mode": "palette-classic"}, "min": 0}
    return _panel(ref, content, "timeseries", _chart_options(["lastNotNull"]), defaults=defaults)


def donut(ref: PanelRef, content: Content, *, overrides: Sequence[Json] = ()) -> Json:
    """Return a ring of the one value of each series, with its part of all in per cent."""
    return _panel(
        ref,
        content,
        "piechart",
        {
            "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
            "pieType": "donut",
            "displayLabels": [],
            "legend": {
                "displayMode": "table",
                "placement": "bottom",
                "showLegend": True,
                "values": ["percent", "value"],
            },
            "tooltip": {"mode": "single", "sort": "none"},
        },
        defaults={"color": {"mode": "palette-classic"}},
        overrides=overrides,
    )


def lay_out(panels: Iterable[Json], refs: Iterable[PanelRef]) -> list[Json]:
    """Return the panels at their places: from left to right, then below."""
    placed, x, y, lowest = [], 0, 0, 0
    for panel, ref in zip(panels, refs, strict=True):
        if x + ref.columns > _COLUMNS:
            x, y = 0, lowest
        place = {"x": x, "y": y, "w": ref.columns, "h": ref.height}
        placed.append({**panel, "gridPos": place})
        x, lowest = x + ref.columns, max(lowest, y + ref.height)
    return placed


_COLUMNS = 24


def _panel(  # noqa: PLR0913 - what a panel consists of
    ref: PanelRef,
    content: Content,
    kind: str,
    options: Json,
    *,
    defaults: Json,
    mappings: Sequence[Json] = (),
    overrides: Sequence[Json] = (),
) -> Json:
    fields = {**as_unit(content.unit), "noValue": content.empty, **defaults}
    if mappings:
        fields["mappings"] = [*mappings, *fields.get("mappings", ())]
    return {
        "id": ref.id,
        "type": kind,
        "title": ref.title,
        "description": content.description,
        "datasource": content.source,
        "targets": list(content.targets),
        "options": options,
        "fieldConfig": {"defaults": fields, "overrides": list(overrides)},
    }


def _chart_options(calculations: list[str]) -> Json:
    return {
        "legend": {
            "displayMode": "table",
            "placement": "bottom",
            "showLegend": True,
            "calcs": calculations,
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
