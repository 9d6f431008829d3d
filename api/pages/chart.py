"""The stacked bars by local date and channel: a Vega-Lite specification, drawn as SVG.

Colours are CSS variables, so that one picture serves light and dark; `theme.css` gives them. What a
pointer or a key brings up is in `chart.js`, which reads the table of days beside the picture.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import vl_convert
from markupsafe import Markup, escape

from api.pages.axis import day_ticks, money_step, money_ticks
from api.pages.money import show_tick
from costing.reports.series import SeriesPoint
from ledger.money import Nanos

_VEGA_LITE = "6.4"
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 20, 16, 26
_LABEL_SIZE = 12
_MARK_SIZES = {False: 46, True: 24}
_DENSE = 12
_ROOT = re.compile(r"^<svg [^>]*>")

KNOWN_CHANNELS: Final = ("sms", "mms", "voice", "email", "ai")


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """A rendering of the chart: its place among them, its size in pixels, how many dates it names.

    The bars take what the labels leave.
    """

    name: str
    width: int
    height: int
    dates: int

    @property
    def plot_width(self) -> int:
        """The width of the part in which the bars stand."""
        return self.width - _LEFT - _RIGHT


SIZES: Final = (
    Size(name="narrow", width=360, height=240, dates=4),
    Size(name="medium", width=720, height=280, dates=7),
    Size(name="wide", width=1120, height=320, dates=12),
)


def colour_of(channel: str) -> str:
    """Return the name by which the style sheet knows the colour of a channel."""
    return channel if channel in KNOWN_CHANNELS else "other"


def chart_spec(points: Sequence[SeriesPoint], size: Size) -> dict[str, Any]:
    """Return the Vega-Lite specification of a daily series.

    Amounts are whole nano-dollars, also for the picture; the labels of the axis are written here.
    """
    days = sorted({point.date for point in points})
    low, high = _extent(points)
    ticks, step = money_ticks(low, high), money_step(low, high)
    dense = size.plot_width < _DENSE * len(days)
    channels = list(dict.fromkeys(point.channel for point in points))
    return {
        "$schema": _SCHEMA,
        "width": size.plot_width,
        "height": size.height - _TOP - _BOTTOM,
        "padding": {"left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM},
        "autosize": {"type": "none"},
        "encoding": {"x": _x(days, size)},
        "layer": [_bars(points, channels, ticks, step), _unpriced_marks(points, dense=dense)],
        "config": _config(dense=dense),
    }


def draw_chart(points: Sequence[SeriesPoint], size: Size, *, labelled_by: str) -> Markup:
    """Return the chart as an SVG element without a line of style or script in it.

    Args:
        points: the daily series.
        size: which rendering.
        labelled_by: ids of the elements that say in words what the picture shows.
    """
    drawn = vl_convert.vegalite_to_svg(chart_spec(points, size), vl_version=_VEGA_LITE)
    root = (
        f'<svg class="chart-{size.name}" viewBox="0 0 {size.width} {size.height}" role="img"'
        f' aria-labelledby="{escape(labelled_by)}" data-left="{_LEFT}"'
        f' data-plot="{size.plot_width}" data-top="{_TOP}" data-bottom="{_BOTTOM}">'
    )
    # Dates and slugs alone go into the picture, and Vega escapes what it writes.
    return Markup(_ROOT.sub(root, drawn, count=1))  # noqa: S704


def _extent(points: Sequence[SeriesPoint]) -> tuple[Nanos, Nanos]:
    above: dict[date, int] = {}
    below: dict[date, int] = {}
    for point in points:
        cost = point.figures.estimated_cost or 0
        side = above if cost > 0 else below
        side[point.date] = side.get(point.date, 0) + cost
    return Nanos(min(below.values(), default=0)), Nanos(max(above.values(), default=0))


def _x(days: Sequence[date], size: Size) -> dict[str, Any]:
    return {
        "field": "date",
        "type": "ordinal",
        "scale": {"domain": [day.isoformat() for day in days]},
        "axis": {
            "title": None,
            "values": [day.isoformat() for day in day_ticks(days, size.dates)],
            "labelExpr": "utcFormat(toDate(datum.value), '%b %-d')",
            "labelAngle": 0,
            "labelOverlap": False,
            "labelFlush": False,
        },
    }


def _bars(
    points: Sequence[SeriesPoint], channels: list[str], ticks: Sequence[Nanos], step: Nanos
) -> dict[str, Any]:
    labels = ", ".join(f"'{tick}': '{show_tick(tick, step)}'" for tick in ticks)
    return {
        "data": {
            "values": [
                {
                    "date": point.date.isoformat(),
                    "channel": point.channel,
                    "place": channels.index(point.channel),
                    "cost": point.figures.estimated_cost,
                }
                for point in points
                if point.figures.estimated_cost
            ]
        },
        "mark": {"type": "bar", "aria": False},
        "encoding": {
            "y": {
                "field": "cost",
                "type": "quantitative",
                "stack": "zero",
                "scale": {"domain": [ticks[0], ticks[-1]], "nice": False},
                "axis": {
                    "title": None,
                    "values": list(ticks),
                    "labelExpr": f"{{{labels}}}[datum.value]",
                },
            },
            "color": {
                "field": "channel",
                "type": "nominal",
                "legend": None,
                "scale": {
                    "domain": channels,
                    "range": [f"var(--channel-{colour_of(channel)})" for channel in channels],
                },
            },
            "order": {"field": "place"},
        },
    }


def _unpriced_marks(points: Sequence[SeriesPoint], *, dense: bool) -> dict[str, Any]:
    """Mark the days on which some usage has no price, above the bars."""
    unpriced = sorted({point.date.isoformat() for point in points if point.figures.has_unpriced})
    return {
        "data": {"values": [{"date": day} for day in unpriced]},
        "mark": {
            "type": "point",
            "shape": "triangle-down",
            "filled": True,
            "size": _MARK_SIZES[dense],
            "color": "var(--chart-unpriced)",
            "opacity": 1,
            "clip": False,
            "aria": False,
        },
        "encoding": {"y": {"value": -_TOP // 2}},
    }


def _config(*, dense: bool) -> dict[str, Any]:
    text = {"labelColor": "var(--chart-text)", "labelFont": _FONT, "labelFontSize": _LABEL_SIZE}
    return {
        "background": None,
        "view": {"stroke": None},
        "scale": {"bandPaddingInner": 0.08 if dense else 0.28, "bandPaddingOuter": 0.1},
        "axisX": {
            **text,
            "domainColor": "var(--chart-line)",
            "ticks": False,
            "labelPadding": 9,
            "grid": False,
        },
        "axisY": {
            **text,
            "domain": False,
            "ticks": False,
            "labelPadding": 8,
            "gridColor": "var(--chart-grid)",
        },
    }
