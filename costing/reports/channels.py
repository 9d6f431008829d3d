"""The channel table: a row a channel, in the order of the catalogue, used or not."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from costing.reports.figures import NOTHING, Figures
from costing.reports.shares import share_of, split_percent
from ledger.money import Nanos
from ledger.units import Channel, load_catalogue


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelRow:
    """One channel's figures and its part of what is known to be spent.

    Attributes:
        share: exact; None where the cost of the channel is not known.
        percent: the share as it is shown. Those of one table sum to 100.0 where anything was spent.
    """

    channel: str
    title: str
    figures: Figures
    share: Fraction | None
    percent: Decimal | None


def list_channels(used: Iterable[str]) -> tuple[Channel, ...]:
    """Return all channels of the catalogue, then those that only old rows have, by name."""
    known = load_catalogue().channels
    others = sorted(set(used) - {channel.name for channel in known})
    return (*known, *(Channel(name=name, title=name) for name in others))


def build_channel_rows(
    by_channel: Mapping[str, Figures], total: Nanos | None
) -> tuple[ChannelRow, ...]:
    """Return a row for every channel, given the figures of those that were used."""
    channels = list_channels(by_channel)
    figures = [by_channel.get(channel.name, NOTHING) for channel in channels]
    shares = [share_of(one.estimated_cost, total) for one in figures]
    percents = split_percent(shares)
    return tuple(
        ChannelRow(
            channel=channel.name, title=channel.title, figures=one, share=share, percent=percent
        )
        for channel, one, share, percent in zip(channels, figures, shares, percents, strict=True)
    )


def channel_places(used: Collection[str]) -> dict[str, int]:
    """Return the place of each channel in the order in which people are shown them."""
    return {channel.name: place for place, channel in enumerate(list_channels(used))}
