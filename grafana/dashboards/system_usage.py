"""The board of all tenants, for those who run the host: who costs what, whose AI share is high."""

from typing import Final

from grafana.dashboards import queries
from grafana.dashboards.catalogue import SYSTEM_USAGE, PanelRef
from grafana.dashboards.fields import (
    COUNT,
    SHARE,
    USD_SHORT,
    Json,
    column,
    money_column,
    text_column,
)
from grafana.dashboards.panels import SERIES, Content, daily_bars, table, table_target

_TOP_TENANTS = 10

_ANY_SHARE = "-1000"
"""Less than any share: credits can make one negative, but not by so much."""

_THRESHOLDS: Final = {
    "any": _ANY_SHARE,
    "10 %": "0.1",
    "20 %": "0.2",
    "30 %": "0.3",
    "40 %": "0.4",
    "50 %": "0.5",
    "75 %": "0.75",
}


def build_panels() -> list[Json]:
    """Return the panels, in the order of their references."""
    tenants, top, unpriced = SYSTEM_USAGE.panels
    return [_tenants(tenants), _top_tenants(top), _unpriced(unpriced)]


def build_variables() -> list[Json]:
    """Return the filters of the grid: plans, and over which AI share."""
    return [_plan(), _threshold()]


def _tenants(ref: PanelRef) -> Json:
    content = Content(
        description="Each tenant with usage in the range, on the plan and under the name of its"
        " last day there, over its own local dates. Cost and shares are of what has a price: a cost"
        " is unpriced where nothing has one, a share is unknown where some usage that belongs to it"
        " has none. An unknown AI share counts as high.",
        source=SERIES,
        targets=[
            table_target("A", queries.tenants_on_plan()),
            table_target("B", queries.cost(group='"tenant"')),
            table_target("C", queries.share_by_tenant("ai")),
            table_target("D", queries.share_by_tenant("twilio")),
            table_target("E", queries.tenants_over_threshold()),
        ],
        unit=COUNT,
        empty="no tenant",
    )
    overrides = [
        text_column("tenant", "Tenant"),
        text_column("name", "Name"),
        text_column("plan", "Plan"),
        money_column("cost", "Cost", noValue="unpriced"),
        column("ai_share", "AI", unit=SHARE, noValue="unknown"),
        column("twilio_share", "Twilio", unit=SHARE, noValue="unknown"),
        column("emails", "E-mails sent"),
        column("unpriced", "Unpriced rows"),
    ]
    # The join keeps tenants that only some targets have; the filters are in these two.
    shown = [_is_there("name"), _is_there("emails")]
    chosen = {
        "id": "filterByValue",
        "options": {"type": "include", "match": "all", "filters": shown},
    }
    panel = table(ref, content, join="tenant", sort="Cost", overrides=overrides)
    return {**panel, "transformations": [*panel["transformations"], chosen]}


def _is_there(name: str) -> Json:
    return {"fieldName": name, "config": {"id": "isNotNull", "options": {}}}


def _top_tenants(ref: PanelRef) -> Json:
    content = Content(
        description=f"The {_TOP_TENANTS} tenants that cost most on each date, which is the tenant's"
        " own local date, of what has a price.",
        source=SERIES,
        targets=[table_target("A", queries.top_tenants(_TOP_TENANTS))],
        unit=USD_SHORT,
        empty="nothing spent",
    )
    by_tenant = {"id": "prepareTimeSeries", "options": {"format": "multi"}}
    name = "${__field.labels.tenant}"
    return daily_bars(ref, content, transformations=[by_tenant], name=name)


def _unpriced(ref: PanelRef) -> Json:
    content = Content(
        description="Usages of the range that nothing has a price for, by tenant: in no cost of"
        " this board. `meterline prices missing` tells which prices they need.",
        source=SERIES,
        targets=[table_target("A", queries.unpriced(group='"tenant"'))],
        unit=COUNT,
        empty="none",
    )
    overrides = [text_column("tenant", "Tenant"), column(queries.UNPRICED, "Unpriced usages")]
    return table(ref, content, join="tenant", sort="Unpriced usages", overrides=overrides)


def _plan() -> Json:
    return {
        "type": "query",
        "name": "plan",
        "label": "Plan",
        "datasource": SERIES,
        "query": queries.plans(),
        "refresh": 1,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "options": [],
    }


def _threshold() -> Json:
    options = [
        {"text": text, "value": value, "selected": value == _ANY_SHARE}
        for text, value in _THRESHOLDS.items()
    ]
    return {
        "type": "custom",
        "name": "ai_threshold",
        "label": "AI share over",
        "query": ", ".join(f"{text} : {value}" for text, value in _THRESHOLDS.items()),
        "multi": False,
        "includeAll": False,
        "current": {"text": "any", "value": _ANY_SHARE},
        "options": options,
    }
