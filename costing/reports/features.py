"""The feature table of one tenant: which feature drives the cost."""

from dataclasses import dataclass

from costing.reports.channels import channel_places
from costing.reports.figures import NOTHING, Figures
from costing.reports.store import read_groups
from ledger.period import DateRange
from ledger.session import TenantSession


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureRow:
    """What a feature used on one channel by way of one source; None: not said by the event."""

    feature: str | None
    channel: str
    source: str | None
    figures: Figures


def features(session: TenantSession, dates: DateRange) -> tuple[FeatureRow, ...]:
    """Return a row for every feature, channel and source that was used, the dearest first.

    Rows without a known cost come last, and among equals those without a feature.
    """
    rows = [
        FeatureRow(
            feature=group.feature, channel=group.channel, source=group.source, figures=group.figures
        )
        for group in read_groups(session, dates)
        if group.figures != NOTHING
    ]
    places = channel_places({row.channel for row in rows})
    return tuple(sorted(rows, key=lambda row: _order(row, places)))


def _order(row: FeatureRow, places: dict[str, int]) -> tuple[object, ...]:
    cost = row.figures.estimated_cost
    return (
        cost is None,
        -(cost or 0),
        row.feature is None,
        row.feature or "",
        places[row.channel],
        row.source is None,
        row.source or "",
    )
