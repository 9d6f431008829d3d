"""The board of one tenant: what was used, what it costs, and which feature drives it."""

from collections.abc import Sequence
from typing import Final

from collector.influx.query import quote_name
from grafana.dashboards import queries
from grafana.dashboards.catalogue import TENANT_USAGE, PanelRef
from grafana.dashboards.fields import (
    COUNT,
    USD,
    USD_SHORT,
    Json,
    by_name,
    column,
    count_of_unpriced,
    empty_mapping,
    marks_of_unpriced,
    money_column,
    text_column,
    text_field,
    text_mapping,
)
from grafana.dashboards.panels import (
    SERIES,
    Content,
    daily_bars,
    donut,
    series_target,
    stat,
    table,
    table_target,
)
from ledger.units import load_catalogue

_NO_USAGE, _NOTHING_SPENT = "no usage", "nothing spent"
_UNPRICED_USAGES = "unpriced usages"

_COLOURS: Final = {
    "sms": "dark-blue",
    "mms": "light-blue",
    "voice": "green",
    "email": "yellow",
    "ai": "purple",
}
"""Grafana's names of colours, which it fits to its light and its dark theme."""


def build_panels(timezone: str) -> list[Json]:
    """Return the panels, in the order of their references, for a tenant of a zone."""
    refs = {ref.id: ref for ref in TENANT_USAGE.panels}
    panels = [
        _total(refs[1]),
        _top(refs[2], "channel"),
        _top(refs[3], "feature"),
        _month_to_date(refs[4]),
        _unpriced(refs[5]),
        _cost_per_day(refs[6], timezone),
        _channels(refs[7]),
        _cost_by_feature(refs[8]),
        _tokens_by_model(refs[9]),
        _cost_by_model(refs[10], timezone),
        _share_of_cost(refs[11]),
    ]
    by_id = {panel["id"]: panel for panel in panels}
    return [by_id[ref.id] for ref in TENANT_USAGE.panels]


def _total(ref: PanelRef) -> Json:
    says = (
        "What all usage of the range comes to, of what has a price; beside it, how many usages have"
        " none."
    )
    return stat(ref, _cost_content(says), overrides=[count_of_unpriced(queries.UNPRICED)])


def _month_to_date(ref: PanelRef) -> Json:
    says = (
        "What all usage since the first of this month comes to, of what has a price, whatever range"
        " is chosen above; beside it, how many usages have none."
    )
    panel = stat(ref, _cost_content(says), overrides=[count_of_unpriced(queries.UNPRICED)])
    return {**panel, "timeFrom": "now/M"}


def _cost_content(description: str) -> Content:
    return Content(
        description=description,
        source=SERIES,
        targets=[table_target("A", queries.cost()), table_target("B", queries.unpriced())],
        unit=USD,
        empty=_NO_USAGE,
    )


def _top(ref: PanelRef, tag: str) -> Json:
    says = (
        f"The {tag} that most was spent on in the range, and how much, of what has a price; beside"
        " it, how many usages have none."
    )
    content = Content(
        description=says,
        source=SERIES,
        targets=[table_target("A", queries.top(tag)), table_target("B", queries.unpriced())],
        unit=USD,
        empty=_NOTHING_SPENT,
    )
    return stat(
        ref,
        content,
        fields=f"/^({tag}|cost|{queries.UNPRICED})$/",
        mappings=[_channel_titles()] if tag == "channel" else [],
        overrides=[text_field(tag), count_of_unpriced(queries.UNPRICED)],
    )


def _unpriced(ref: PanelRef) -> Json:
    content = Content(
        description="Usages of the range that nothing has a price for. What they cost is not known,"
        " and no figure of this board has anything for them.",
        source=SERIES,
        targets=[table_target("A", queries.unpriced())],
        unit=COUNT,
        empty="none",
    )
    return stat(ref, content)


def _cost_per_day(ref: PanelRef, timezone: str) -> Json:
    by_channel = queries.cost(group=f'{queries.DAY}, "channel"')
    content = Content(
        description="What the usage of each day of the tenant's zone comes to, by channel. Points"
        " stand for usages without a price, which the bars leave out.",
        source=SERIES,
        targets=[
            series_target("A", queries.daily(by_channel, timezone=timezone), "$tag_channel"),
            _unpriced_per_day("B", timezone),
        ],
        unit=USD_SHORT,
        empty=_NO_USAGE,
    )
    overrides = [marks_of_unpriced(_UNPRICED_USAGES), *_channel_overrides()]
    return daily_bars(ref, content, overrides=overrides)


def _channels(ref: PanelRef) -> Json:
    content = Content(
        description="Usages of each channel that was used in the range, and what they come to, of"
        " what has a price.",
        source=SERIES,
        targets=_by_tag("channel"),
        unit=COUNT,
        empty=_NO_USAGE,
    )
    titles = text_column("channel", "Channel", mappings=[_channel_titles()])
    return table(ref, content, join="channel", sort="Cost", overrides=[titles, *_columns()])


def _share_of_cost(ref: PanelRef) -> Json:
    content = Content(
        description="Each channel's part of what is known to be spent in the range. Usage without a"
        " price is not part of it.",
        source=SERIES,
        targets=[series_target("A", queries.cost(group='"channel"'), "$tag_channel")],
        unit=USD,
        empty=_NOTHING_SPENT,
    )
    return donut(ref, content, overrides=_channel_overrides())


def _cost_by_feature(ref: PanelRef) -> Json:
    content = Content(
        description="Usages of each feature that was used in the range, and what they come to, of"
        " what has a price.",
        source=SERIES,
        targets=_by_tag("feature"),
        unit=COUNT,
        empty=_NO_USAGE,
    )
    names = text_column("feature", "Feature", mappings=[empty_mapping("no feature")])
    return table(ref, content, join="feature", sort="Cost", overrides=[names, *_columns(bars=True)])


def _tokens_by_model(ref: PanelRef) -> Json:
    content = Content(
        description="Usages of AI and their tokens in the range, by model: all that went in, cached"
        " ones, audio and images included, and all that came out.",
        source=SERIES,
        targets=[table_target("A", queries.tokens_by_model())],
        unit=COUNT,
        empty="no AI usage",
    )
    overrides = [
        text_column("model", "Model", mappings=[empty_mapping("no model")]),
        column("count", "Count"),
        column("input", "Tokens in"),
        column("output", "Tokens out"),
    ]
    return table(ref, content, join="model", sort="Tokens in", overrides=overrides)


def _cost_by_model(ref: PanelRef, timezone: str) -> Json:
    named, nameless = (
        queries.daily(queries.cost(where=where, group=group), timezone=timezone)
        for where, group in (
            (f"{queries.IS_AI} AND \"model\" != ''", f'{queries.DAY}, "model"'),
            (f"{queries.IS_AI} AND \"model\" = ''", queries.DAY),
        )
    )
    content = Content(
        description="What the AI usage of each day of the tenant's zone comes to, by model. Points"
        " stand for AI usages without a price, which the bars leave out.",
        source=SERIES,
        targets=[
            series_target("A", named, "$tag_model"),
            series_target("B", nameless, "no model"),
            _unpriced_per_day("C", timezone, where=queries.IS_AI),
        ],
        unit=USD_SHORT,
        empty="no AI usage",
    )
    return daily_bars(ref, content, overrides=[marks_of_unpriced(_UNPRICED_USAGES)])


def _unpriced_per_day(ref: str, timezone: str, *, where: str = "") -> Json:
    query = queries.unpriced(where=where, group=queries.DAY)
    return series_target(ref, queries.daily(query, timezone=timezone), _UNPRICED_USAGES)


def _by_tag(tag: str) -> list[Json]:
    group = quote_name(tag)
    return [
        table_target("A", queries.count(group=group)),
        table_target("B", queries.cost(group=group)),
        table_target("C", queries.unpriced(group=group)),
    ]


def _columns(*, bars: bool = False) -> Sequence[Json]:
    # A row is there since it has usages; without a cost, none of them has a price.
    cell = {"custom.cellOptions": {"type": "gauge", "mode": "basic"}, "min": 0} if bars else {}
    return (
        column("count", "Count"),
        money_column("cost", "Cost", noValue="unpriced", **cell),
        column(queries.UNPRICED, "Unpriced", noValue="none"),
    )


def _channel_titles() -> Json:
    return text_mapping({channel.name: channel.title for channel in load_catalogue().channels})


def _channel_overrides() -> list[Json]:
    return [
        by_name(
            channel.name,
            {
                "displayName": channel.title,
                "color": {"mode": "fixed", "fixedColor": _COLOURS[channel.name]},
            },
        )
        for channel in load_catalogue().channels
    ]
