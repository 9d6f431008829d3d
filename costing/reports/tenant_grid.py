"""The grid of tenants: who costs what, and whose AI share is high. For operators."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final

from costing.reports.figures import known_cost
from costing.reports.shares import share_of
from costing.reports.store import TenantSums, read_tenant_sums
from ledger.errors import InvalidError
from ledger.money import Nanos
from ledger.session import OperatorSession
from ledger.tenant import UNATTRIBUTED, TenantId, parse_label

DEFAULT_AI_THRESHOLD = Fraction(3, 10)
MAX_PAGE_SIZE = 500

_THRESHOLD = re.compile(r"0(\.\d{1,9})?|1(\.0{1,9})?", re.ASCII)


class GridColumn(StrEnum):
    """What the grid can be sorted by."""

    TENANT = "tenant"
    NAME = "name"
    PLAN = "plan"
    ESTIMATED_COST = "estimated_cost"
    AI_SHARE = "ai_share"
    TWILIO_SHARE = "twilio_share"
    EMAILS_SENT = "emails_sent"
    UNPRICED_AI_COUNT = "unpriced_ai_count"


@dataclass(frozen=True, kw_only=True, slots=True)
class GridRow:
    """One tenant over its own last local dates.

    Attributes:
        plan: the one in force.
        closed_at: from when the tenant's usage is refused; None: it is open.
        estimated_cost: None where there is usage and none of it is priced.
        has_unpriced: whether any of the usage has no price.
        ai_share: AI's part of what is known to be spent; None, unknown, where AI usage is unpriced.
        twilio_share: likewise, of the source `twilio`.
        emails_sent: recipients of outbound e-mail.
    """

    tenant_id: TenantId
    name: str
    plan: str
    closed_at: datetime | None
    estimated_cost: Nanos | None
    has_unpriced: bool
    unpriced_count: int
    ai_share: Fraction | None
    twilio_share: Fraction | None
    emails_sent: int
    unpriced_ai_count: int
    flat_rated_ai_count: int

    @property
    def is_unattributed(self) -> bool:
        """Whether this is no customer, but usage without a tenant."""
        return self.tenant_id == UNATTRIBUTED


@dataclass(frozen=True, kw_only=True, slots=True)
class GridQuery:
    """What to show of the grid: filters, order, and which page.

    Attributes:
        days: how many of its last local dates, today included, each tenant is shown over.
        high_ai: only tenants whose AI share is over `ai_threshold` or unknown.
    """

    days: int = 30
    plan: str | None = None
    high_ai: bool = False
    ai_threshold: Fraction = DEFAULT_AI_THRESHOLD
    sort: GridColumn = GridColumn.ESTIMATED_COST
    descending: bool = True
    page: int = 1
    page_size: int = 50

    def __post_init__(self) -> None:
        if self.plan is not None:
            parse_label(self.plan, key="plan")
        if self.page < 1:
            raise InvalidError(
                "invalid_page", "pages are counted from 1", key="page", value=self.page
            )
        if not 1 <= self.page_size <= MAX_PAGE_SIZE:
            raise InvalidError(
                "invalid_page",
                f"a page has 1 to {MAX_PAGE_SIZE} rows",
                key="page_size",
                value=self.page_size,
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class GridPage:
    """The rows of one page, none after the last one, and how many there are on all pages.

    `has_unattributed`: one of all these rows is no customer, but usage without a tenant.
    """

    rows: tuple[GridRow, ...]
    total_count: int
    has_unattributed: bool = False


def parse_threshold(text: str) -> Fraction:
    """Read a share from 0 to 1, such as `0.30`.

    Raises:
        InvalidError: `invalid_threshold`.
    """
    if _THRESHOLD.fullmatch(text) is None:
        raise InvalidError(
            "invalid_threshold",
            "the threshold is a plain decimal from 0 to 1, like 0.30",
            key="ai_threshold",
            value=text,
        )
    return Fraction(text)


def tenant_grid(session: OperatorSession, query: GridQuery, *, now: datetime) -> GridPage:
    """Return one page of the tenants that match, each over its own last local dates."""
    sums = read_tenant_sums(session, days=query.days, now=now, plan=query.plan)
    rows = [row for row in map(_row, sums) if _is_shown(row, query)]
    first = (query.page - 1) * query.page_size
    shown = sort_rows(rows, query.sort, descending=query.descending)[
        first : first + query.page_size
    ]
    return GridPage(
        rows=tuple(shown),
        total_count=len(rows),
        has_unattributed=any(row.is_unattributed for row in rows),
    )


def sort_rows(rows: list[GridRow], column: GridColumn, *, descending: bool) -> list[GridRow]:
    """Return the rows in order of a column, and by tenant among equals.

    Unknown values come last, whichever way the others go.
    """
    value = _SORT_VALUES[column]
    by_tenant = sorted(rows, key=lambda row: row.tenant_id)
    known = [row for row in by_tenant if value(row) is not None]
    unknown = [row for row in by_tenant if value(row) is None]
    return sorted(known, key=value, reverse=descending) + unknown


_SORT_VALUES: Final[Mapping[GridColumn, Callable[[GridRow], Any]]] = {
    GridColumn.TENANT: lambda row: row.tenant_id,
    GridColumn.NAME: lambda row: (row.name.casefold(), row.name),
    GridColumn.PLAN: lambda row: (row.plan.casefold(), row.plan),
    GridColumn.ESTIMATED_COST: lambda row: row.estimated_cost,
    GridColumn.AI_SHARE: lambda row: row.ai_share,
    GridColumn.TWILIO_SHARE: lambda row: row.twilio_share,
    GridColumn.EMAILS_SENT: lambda row: row.emails_sent,
    GridColumn.UNPRICED_AI_COUNT: lambda row: row.unpriced_ai_count,
}


def _is_shown(row: GridRow, query: GridQuery) -> bool:
    """Whether a row matches; usage without a tenant has no plan, and no row where it is nothing."""
    if row.is_unattributed and (
        query.plan is not None or not (row.estimated_cost or row.has_unpriced)
    ):
        return False
    return not query.high_ai or _is_high(row, query)


def _is_high(row: GridRow, query: GridQuery) -> bool:
    return row.ai_share is None or row.ai_share > query.ai_threshold


def _row(sums: TenantSums) -> GridRow:
    has_unpriced = sums.unpriced_rows > 0
    cost = known_cost(sums.cost, has_unpriced=has_unpriced)
    return GridRow(
        tenant_id=sums.tenant_id,
        name=sums.name,
        plan=sums.plan,
        closed_at=sums.closed_at,
        estimated_cost=cost,
        has_unpriced=has_unpriced,
        unpriced_count=sums.unpriced_count,
        ai_share=_share(sums.ai_cost, sums.unpriced_ai_rows, cost),
        twilio_share=_share(sums.twilio_cost, sums.unpriced_twilio_rows, cost),
        emails_sent=sums.emails_sent,
        unpriced_ai_count=sums.unpriced_ai_count,
        flat_rated_ai_count=sums.flat_rated_ai_count,
    )


def _share(part: int | None, unpriced_rows: int, whole: Nanos | None) -> Fraction | None:
    """Return the share of a part, some of which may have no price: then it is not known."""
    return None if unpriced_rows else share_of(Nanos(part or 0), whole)
