"""What the api needs of Grafana; the command line hands in what keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from api.embedding.keys import Keys
from ledger.tenant import Tenant, TenantId


class Panel(Protocol):
    """A panel of a board.

    Attributes:
        columns: of Grafana's 24.
        height: in Grafana's grid units.
        is_of_month: it shows the month up to today, whatever range is chosen for the others.
    """

    @property
    def id(self) -> int: ...  # noqa: D102 - an attribute
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def columns(self) -> int: ...  # noqa: D102
    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def is_of_month(self) -> bool: ...  # noqa: D102


class TimeRange(Protocol):
    """A range of time as Grafana writes it, both ends included."""

    @property
    def start(self) -> str: ...  # noqa: D102
    @property
    def end(self) -> str: ...  # noqa: D102


class Board(Protocol):
    """A board, by what it is embedded with.

    Attributes:
        timezone: the zone that its times are shown in, where no other is asked for.
    """

    @property
    def uid(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def panels(self) -> Sequence[Panel]: ...  # noqa: D102
    @property
    def timezone(self) -> str: ...  # noqa: D102

    def last_days(self, days: int) -> TimeRange:
        """Return the range that has the last local dates, today included, and no other."""


class Grafana(Protocol):
    """The Grafana that panels come from."""

    @property
    def tenant_board(self) -> Board: ...  # noqa: D102
    @property
    def system_board(self) -> Board: ...  # noqa: D102
    @property
    def pipeline_board(self) -> Board: ...  # noqa: D102

    def login_of(self, tenant_id: TenantId | None) -> str:
        """Return the login of a tenant's viewer; None: that of operators."""

    def is_up(self) -> bool:
        """Whether it answers; known within a second."""

    def is_ready(self, tenant: Tenant) -> bool:
        """Whether a tenant's board is as it is wanted now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedding:
    """What embeds: a Grafana, and the keys that it believes."""

    grafana: Grafana
    keys: Keys
