"""The boards there are and their panels, by the names that others embed them with.

A uid and a panel's id are part of addresses (`/grafana/d-solo/<uid>?panelId=<id>`), so they never
change and are never used again for another panel.
"""

from dataclasses import dataclass

SERIES_SOURCE = "meterline-series"
"""The uid of the data source that reads InfluxQL through the gateway, in every org the same."""

METRICS_SOURCE = "meterline-metrics"
"""The uid of the data source that reads the Prometheus which scrapes the exporter."""

EVERY_ZONE = "Etc/GMT-13"
"""A zone, 13 hours ahead of UTC, in whose days all tenants' days lie whole by their date.

A point of a tenant's date is at the start of that day in the tenant's own zone. Cut at 11:00 UTC,
such starts fall into the day of their own date from 13 hours ahead of UTC to 11 behind, that one
not included. Cut at 0:00 UTC, half the earth would be a day early.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeRange:
    """A range of time as Grafana writes it, both ends included: `from` and `to` of an address."""

    start: str
    end: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PanelRef:
    """A panel of a board, and the room it asks for.

    Attributes:
        columns: of Grafana's 24.
        height: in Grafana's grid units, 30 pixels each and 8 between two.
        is_of_month: it shows the month up to today, whatever range is chosen for the others.
    """

    id: int
    title: str
    columns: int
    height: int
    is_of_month: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class BoardRef:
    """A board, its panels in the order in which they are read.

    Attributes:
        file: the name of its JSON in `grafana/dashboards/rendered`.
        timezone: the zone that its times are shown in and its ranges are cut in, where no other is
            asked for.
        one_zone: whether all its days are those of one zone, which a tenant has.
    """

    uid: str
    title: str
    file: str
    panels: tuple[PanelRef, ...]
    timezone: str
    one_zone: bool

    def last_days(self, days: int) -> TimeRange:
        """Return the range that has the last local dates, today included, and no other.

        Where tenants have zones of their own, today began within the last 24 hours in each, and so
        the first of the dates within the 24 hours before the last `days - 1` times 24.
        """
        if self.one_zone:
            return TimeRange(start=f"now-{days - 1}d/d", end="now/d")
        return TimeRange(start=f"now-{days}d", end="now")


TENANT_USAGE = BoardRef(
    uid="meterline-tenant-usage",
    title="Usage and cost",
    file="tenant_usage.json",
    timezone="UTC",
    one_zone=True,
    panels=(
        PanelRef(id=1, title="Total", columns=5, height=4),
        PanelRef(id=2, title="Top channel", columns=5, height=4),
        PanelRef(id=3, title="Top feature", columns=5, height=4),
        PanelRef(id=4, title="Month to date", columns=5, height=4, is_of_month=True),
        PanelRef(id=5, title="Unpriced usage", columns=4, height=4),
        PanelRef(id=6, title="Cost per day", columns=24, height=9),
        PanelRef(id=7, title="Channels", columns=9, height=9),
        PanelRef(id=11, title="Share of cost", columns=6, height=9),
        PanelRef(id=8, title="Cost by feature", columns=9, height=9),
        PanelRef(id=9, title="AI tokens by model", columns=12, height=9),
        PanelRef(id=10, title="AI cost by model", columns=12, height=9),
    ),
)

SYSTEM_USAGE = BoardRef(
    uid="meterline-system-usage",
    title="Usage of all tenants",
    file="system_usage.json",
    timezone=EVERY_ZONE,
    one_zone=False,
    panels=(
        PanelRef(id=1, title="Tenants", columns=24, height=12),
        PanelRef(id=2, title="Top tenants per day", columns=16, height=10),
        PanelRef(id=3, title="Unpriced usage", columns=8, height=10),
    ),
)

PIPELINE = BoardRef(
    uid="meterline-pipeline",
    title="Pipeline",
    file="pipeline.json",
    timezone="browser",
    one_zone=False,
    panels=(
        PanelRef(id=1, title="Ledger", columns=6, height=4),
        PanelRef(id=2, title="Shipping", columns=6, height=4),
        PanelRef(id=3, title="Last costing", columns=6, height=4),
        PanelRef(id=4, title="Quarantined points", columns=6, height=4),
        PanelRef(id=5, title="Intake: events not yet costed", columns=12, height=8),
        PanelRef(id=6, title="Backlog of the relay", columns=12, height=8),
        PanelRef(id=7, title="Lag", columns=12, height=8),
        PanelRef(id=8, title="Errors", columns=12, height=8),
        PanelRef(id=9, title="Unpriced usage", columns=12, height=8),
        PanelRef(id=10, title="Scrapes", columns=12, height=8),
    ),
)

BOARDS = (TENANT_USAGE, SYSTEM_USAGE, PIPELINE)
