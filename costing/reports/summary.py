"""The summary cards and the channel table of one tenant."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from costing.reports.channels import ChannelRow, build_channel_rows, channel_places
from costing.reports.figures import Figures, add_figures
from costing.reports.store import Group, read_groups
from costing.store import read_costed_at
from ledger.batches import measure_backlog
from ledger.money import Nanos
from ledger.period import DateRange
from ledger.session import TenantSession


@dataclass(frozen=True, kw_only=True, slots=True)
class TopSpend:
    """The channel or feature that most was spent on, of what is priced."""

    name: str
    estimated_cost: Nanos


@dataclass(frozen=True, kw_only=True, slots=True)
class Freshness:
    """When the tenant was last costed (None: never), and the events that wait for it."""

    costed_at: datetime | None
    pending_events: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A tenant's usage over a range of local dates.

    Attributes:
        total: the figures of all usage.
        top_channel: None where nothing was spent.
        top_feature: None where nothing was spent on a named feature.
        channels: a row for every channel of the catalogue, in its order.
        freshness: of the tenant's figures as a whole, whatever the range.
    """

    dates: DateRange
    total: Figures
    top_channel: TopSpend | None
    top_feature: TopSpend | None
    channels: tuple[ChannelRow, ...]
    freshness: Freshness

    @property
    def has_flat_rated_ai(self) -> bool:
        """Whether AI usage was rated by the flat map, and not by the price of its model."""
        return self.total.flat_rated_count != 0


def summary(session: TenantSession, dates: DateRange) -> Summary:
    """Return the totals of a tenant, what it spent most on, and its channels."""
    groups = read_groups(session, dates)
    channels = _sum_by(groups, lambda group: group.channel)
    features = _sum_by(groups, lambda group: group.feature)
    total = add_figures(channels.values())
    places = channel_places(channels)
    return Summary(
        dates=dates,
        total=total,
        top_channel=_top(sorted(channels.items(), key=lambda item: places[item[0]])),
        top_feature=_top(sorted(features.items())),
        channels=build_channel_rows(channels, total.estimated_cost),
        freshness=Freshness(
            costed_at=read_costed_at(session), pending_events=measure_backlog(session).events
        ),
    )


def _sum_by(groups: list[Group], key: Callable[[Group], str | None]) -> Mapping[str, Figures]:
    parts: dict[str, list[Figures]] = {}
    for group in groups:
        name = key(group)
        if name is not None:
            parts.setdefault(name, []).append(group.figures)
    return {name: add_figures(figures) for name, figures in parts.items()}


def _top(ordered: Iterable[tuple[str, Figures]]) -> TopSpend | None:
    top: TopSpend | None = None
    for name, figures in ordered:
        cost = figures.estimated_cost or Nanos(0)
        if cost > (Nanos(0) if top is None else top.estimated_cost):
            top = TopSpend(name=name, estimated_cost=cost)
    return top
