"""The boards there are and their panels, by the names that others embed them with.

A uid and a panel's id are part of addresses (`/grafana/d-solo/<uid>?panelId=<id>`), so they never
change and are never used again for another panel.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class PanelRef:
    """A panel of a board, and the room it asks for.

    Attributes:
        columns: of Grafana's 24.
        height: in Grafana's grid units, 30 pixels each and 8 between two.
    """

    id: int
    title: str
    columns: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BoardRef:
    """A board, its panels in the order in which they are read.

    Attributes:
        file: the name of its JSON in `grafana/dashboards/rendered`.
    """

    uid: str
    title: str
    file: str
    panels: tuple[PanelRef, ...]


TENANT_USAGE = BoardRef(
    uid="meterline-tenant-usage",
    title="Usage and cost",
    file="tenant_usage.json",
    panels=(
        PanelRef(id=1, title="Total", columns=5, height=4),
        PanelRef(id=2, title="Top channel", columns=5, height=4),
        PanelRef(id=3, title="Top feature", columns=5, height=4),
        PanelRef(id=4, title="Month to date", columns=5, height=4),
        PanelRef(id=5, title="Unpriced usage", columns=4, height=4),
        PanelRef(id=6, title="Cost per day", columns=24, height=9),
        PanelRef(id=7, title="Channels", columns=12, height=9),
        PanelRef(id=8, title="Cost by feature", columns=12, height=9),
        PanelRef(id=9, title="AI tokens by model", columns=12, height=9),
        PanelRef(id=10, title="AI cost by model", columns=12, height=9),
    ),
)

SYSTEM_USAGE = BoardRef(
    uid="meterline-system-usage",
    title="Usage of all tenants",
    file="system_usage.json",
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
