"""What the usage page says, as text: made of reports alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from api.pages.chart import colour_of
from api.pages.money import (
    CENTS,
    choose_places,
    round_to_places,
    show_count,
    show_date,
    show_dates,
    show_exact_usd,
    show_unpriced,
    show_usd,
)
from api.report_request import ReportRequest
from costing.reports.channels import ChannelRow, list_channels
from costing.reports.features import FeatureRow
from costing.reports.figures import NOTHING, Figures, add_figures
from costing.reports.series import SeriesPoint
from costing.reports.summary import Freshness, Summary, TopSpend
from ledger.money import Nanos


@dataclass(frozen=True, kw_only=True, slots=True)
class Money:
    """An amount as it is shown and as it is; both None: there is usage, and none has a price."""

    shown: str | None
    exact: str | None
    is_rounded: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A row of figures. `label` and `source` None: the usage does not say."""

    label: str | None
    count: str
    cost: Money
    unpriced: str | None
    channel: str = ""
    colour: str = ""
    percent: str | None = None
    source: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What most was spent on."""

    label: str
    cost: Money


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """One local date of the chart, a cell a channel, None where nothing was used."""

    iso: str
    label: str
    cells: tuple[Money | None, ...]
    total: Money
    unpriced: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageView:
    """All that the usage page shows.

    Attributes:
        sum_of_rows: what the rounded rows of the channel table add up to, where that is not what
            the total rounds to.
    """

    dates: str
    has_usage: bool
    total: Line
    shares_known: bool
    top_channel: Card | None
    top_feature: Card | None
    channels: tuple[Line, ...]
    features: tuple[Line, ...]
    days: tuple[Day, ...]
    rounded_to: str
    sum_of_rows: str | None
    flat_rated: str | None
    freshness: str
    waiting: str | None


def build_usage_view(
    asked: ReportRequest,
    report: Summary,
    points: Sequence[SeriesPoint],
    features: Sequence[FeatureRow],
) -> UsageView:
    """Return what the usage page shows; cards and tables have the same number of decimals."""
    figures = [row.figures for row in report.channels] + [row.figures for row in features]
    places = choose_places(one.estimated_cost for one in figures)
    titles = {row.channel: row.title for row in report.channels}
    flat = report.total.flat_rated_count
    waiting = report.freshness.pending_events
    return UsageView(
        dates=show_dates(asked.dates.start, asked.dates.end - timedelta(days=1)),
        has_usage=any(row.figures != NOTHING for row in features),
        total=_line("Total", report.total, places),
        shares_known=any(row.percent for row in report.channels),
        top_channel=_card(report.top_channel, places, titles),
        top_feature=_card(report.top_feature, places, {}),
        channels=tuple(_channel_line(row, places) for row in report.channels),
        features=tuple(_feature_line(row, places, titles) for row in features),
        days=_days(points),
        rounded_to="the cent" if places == CENTS else f"{places} decimals",
        sum_of_rows=_sum_of_rows(report, places),
        flat_rated=show_count(flat) if flat else None,
        freshness=describe_freshness(report.freshness, asked.now),
        waiting=show_count(waiting) if waiting else None,
    )


def describe_freshness(freshness: Freshness, now: datetime) -> str:
    """Say when the figures were last updated, and whether anything is missing in them.

    The age alone does not tell: the figures of a quiet tenant are old, and all there is.
    """
    waiting, costed_at = freshness.pending_events, freshness.costed_at
    if not waiting:
        if costed_at is None:
            return "Up to date; there was no usage yet"
        return f"Up to date; updated {_age(costed_at, now)}, nothing waits"
    updated = "Not updated yet" if costed_at is None else f"Updated {_age(costed_at, now)}"
    wait = "usage waits" if waiting == 1 else "usages wait"
    return f"{updated}; {show_count(waiting)} {wait} to be costed"


def _age(then: datetime, now: datetime) -> str:
    minutes = max(int((now - then).total_seconds()) // 60, 0)
    for size, unit in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            number = minutes // size
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return "less than a minute ago"


def show_money(amount: Nanos | None, places: int) -> Money:
    """Return an amount as it is shown and as it is."""
    if amount is None:
        return Money(shown=None, exact=None, is_rounded=False)
    return Money(
        shown=show_usd(amount, places),
        exact=show_exact_usd(amount),
        is_rounded=round_to_places(amount, places) != amount,
    )


def _channel_line(row: ChannelRow, places: int) -> Line:
    return _line(
        row.title,
        row.figures,
        places,
        colour=colour_of(row.channel),
        percent=None if row.percent is None else f"{row.percent}%",
    )


def _feature_line(row: FeatureRow, places: int, titles: dict[str, str]) -> Line:
    return _line(
        row.feature,
        row.figures,
        places,
        channel=titles[row.channel],
        colour=colour_of(row.channel),
        source=row.source,
    )


def _sum_of_rows(report: Summary, places: int) -> str | None:
    """Return what the rows add up to as they are shown, unless it is what the total rounds to."""
    costs = [row.figures.estimated_cost or Nanos(0) for row in report.channels]
    shown = Nanos(sum(round_to_places(cost, places) for cost in costs))
    total = report.total.estimated_cost
    if total is None or shown == round_to_places(total, places):
        return None
    return show_usd(shown, places)


def _line(  # noqa: PLR0913 - each is a cell of the row
    label: str | None,
    figures: Figures,
    places: int,
    *,
    channel: str = "",
    colour: str = "",
    percent: str | None = None,
    source: str | None = None,
) -> Line:
    return Line(
        label=label,
        count=show_count(figures.count),
        cost=show_money(figures.estimated_cost, places),
        unpriced=_unpriced(figures),
        channel=channel,
        colour=colour,
        percent=percent,
        source=source,
    )


def _unpriced(figures: Figures) -> str | None:
    return show_unpriced(figures.unpriced_count, exists=figures.has_unpriced)


def _card(top: TopSpend | None, places: int, titles: dict[str, str]) -> Card | None:
    if top is None:
        return None
    return Card(label=titles.get(top.name, top.name), cost=show_money(top.estimated_cost, places))


def _days(points: Sequence[SeriesPoint]) -> tuple[Day, ...]:
    # Days are smaller than their sums, so that they may need more decimals than the rest.
    places = choose_places(point.figures.estimated_cost for point in points)
    by_date = groupby(points, key=lambda point: point.date)
    return tuple(_day(day, [point.figures for point in found], places) for day, found in by_date)


def _day(day: date, figures: list[Figures], places: int) -> Day:
    total = add_figures(figures)
    return Day(
        iso=day.isoformat(),
        label=show_date(day),
        cells=tuple(
            None if one == NOTHING else show_money(one.estimated_cost, places) for one in figures
        ),
        total=show_money(total.estimated_cost, places),
        unpriced=_unpriced(total),
    )


def series_titles(points: Sequence[SeriesPoint]) -> tuple[tuple[str, str], ...]:
    """Return title and colour of each channel of a series, in its order."""
    return tuple(
        (channel.title, colour_of(channel.name))
        for channel in list_channels(point.channel for point in points)
    )
