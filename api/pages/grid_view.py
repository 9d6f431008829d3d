"""What the grid of tenants says, as text, and the addresses of its other orders and pages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any
from urllib.parse import urlencode

from api.grid_query import PAGE_SIZE, is_descending_first
from api.pages.money import choose_places, show_count, show_unpriced
from api.pages.usage_view import Money, show_money
from costing.reports.shares import round_percent
from costing.reports.tenant_grid import (
    DEFAULT_AI_THRESHOLD,
    GridColumn,
    GridPage,
    GridQuery,
    GridRow,
)
from ledger.period import DEFAULT_RANGE, RANGES

PATH = "/admin/usage"

_HEADS = (
    (GridColumn.NAME, "Tenant", False),
    (GridColumn.PLAN, "Plan", False),
    (GridColumn.ESTIMATED_COST, "Estimated cost", True),
    (GridColumn.AI_SHARE, "AI % of spend", True),
    (GridColumn.TWILIO_SHARE, "Twilio % of spend", True),
    (GridColumn.EMAILS_SENT, "E-mails sent", True),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """A column head that sorts. `order`: how the table is sorted by it now, in ARIA's words."""

    label: str
    url: str
    order: str | None
    is_figure: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class GridLine:
    """One tenant. A share of None is unknown."""

    tenant_id: str
    name: str
    plan: str
    is_closed: bool
    is_unattributed: bool
    cost: Money
    unpriced: str | None
    ai: str | None
    is_high: bool
    unpriced_ai: str | None
    is_flat_rated: bool
    twilio: str | None
    emails: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One of several values of a field."""

    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class GridView:
    """All that the page of tenants shows."""

    query: GridQuery
    range_name: str
    ranges: tuple[tuple[str, str, bool], ...]
    heads: tuple[Head, ...]
    lines: tuple[GridLine, ...]
    plans: tuple[Choice, ...]
    thresholds: tuple[Choice, ...]
    is_filtered: bool
    found: str
    heading: str
    shown: str
    previous_url: str | None
    next_url: str | None
    hidden: tuple[tuple[str, str], ...]


def build_grid_view(query: GridQuery, page: GridPage, plans: Sequence[str]) -> GridView:
    """Return what the page of tenants shows; all its amounts have the same number of decimals."""
    places = choose_places(row.estimated_cost for row in page.rows)
    first = (query.page - 1) * query.page_size
    pages = max(-(-page.total_count // query.page_size), 1)
    back = min(query.page - 1, pages)
    return GridView(
        query=query,
        range_name=_range_name(query),
        ranges=tuple(
            (f"{days} days", grid_url(replace(query, days=days, page=1)), days == query.days)
            for days in RANGES.values()
        ),
        heads=tuple(_head(query, *head) for head in _HEADS),
        lines=tuple(_line(row, query.ai_threshold, places) for row in page.rows),
        plans=(
            Choice(value="", label="All plans", chosen=query.plan is None),
            *_plans(query, plans),
        ),
        thresholds=_thresholds(query.ai_threshold),
        is_filtered=query.plan is not None or query.high_ai,
        found=show_count(page.total_count),
        heading=_heading(page),
        shown=f"{first + 1:,}\N{EN DASH}{first + len(page.rows):,}" if page.rows else "0",
        previous_url=grid_url(replace(query, page=back)) if back else None,
        next_url=grid_url(replace(query, page=query.page + 1)) if query.page < pages else None,
        hidden=_kept_by_the_form(query),
    )


def grid_url(query: GridQuery) -> str:
    """Return the address of a view of the grid; what is the default is left out."""
    parameters = _parameters(query)
    return f"{PATH}?{urlencode(parameters)}" if parameters else PATH


def _heading(page: GridPage) -> str:
    count = page.total_count - page.has_unattributed
    tenants = f"{show_count(count)} tenant{'' if count == 1 else 's'}"
    return f"{tenants}, and usage without one" if page.has_unattributed else tenants


def _parameters(query: GridQuery) -> dict[str, str]:
    given: dict[str, Any] = {}
    if _range_name(query) != DEFAULT_RANGE:
        given["range"] = _range_name(query)
    if query.plan is not None:
        given["plan"] = query.plan
    if query.high_ai:
        given["high_ai"] = "true"
    if query.ai_threshold != DEFAULT_AI_THRESHOLD:
        given["ai_threshold"] = _decimal(query.ai_threshold)
    if query.sort is not GridColumn.ESTIMATED_COST:
        given["sort"] = str(query.sort)
    if query.descending != is_descending_first(query.sort):
        given["order"] = "desc" if query.descending else "asc"
    if query.page != 1:
        given["page"] = str(query.page)
    if query.page_size != PAGE_SIZE:
        given["page_size"] = str(query.page_size)
    return given


def _kept_by_the_form(query: GridQuery) -> tuple[tuple[str, str], ...]:
    """Return what the filters leave as it is; they lead back to the first page."""
    fields = {"plan", "high_ai", "ai_threshold", "page"}
    return tuple((k, v) for k, v in _parameters(query).items() if k not in fields)


def _range_name(query: GridQuery) -> str:
    return next(name for name, days in RANGES.items() if days == query.days)


def _head(query: GridQuery, column: GridColumn, label: str, is_figure: bool) -> Head:  # noqa: FBT001 - a row of the table above
    is_sorted = query.sort is column
    descending = not query.descending if is_sorted else is_descending_first(column)
    now = ("descending" if query.descending else "ascending") if is_sorted else None
    url = grid_url(replace(query, sort=column, descending=descending, page=1))
    return Head(label=label, url=url, order=now, is_figure=is_figure)


def _line(row: GridRow, threshold: Fraction, places: int) -> GridLine:
    return GridLine(
        tenant_id=row.tenant_id,
        name=row.name,
        plan=row.plan,
        is_closed=row.closed_at is not None,
        is_unattributed=row.is_unattributed,
        cost=show_money(row.estimated_cost, places),
        unpriced=show_unpriced(row.unpriced_count, exists=row.has_unpriced),
        ai=_percent(row.ai_share),
        is_high=row.ai_share is not None and row.ai_share > threshold,
        unpriced_ai=_count(row.unpriced_ai_count),
        is_flat_rated=row.flat_rated_ai_count != 0,
        twilio=_percent(row.twilio_share),
        emails=show_count(row.emails_sent),
    )


def _plans(query: GridQuery, plans: Sequence[str]) -> list[Choice]:
    chosen = [] if query.plan is None or query.plan in plans else [query.plan]
    return [Choice(value=p, label=p, chosen=p == query.plan) for p in (*plans, *chosen)]


def _thresholds(chosen: Fraction) -> tuple[Choice, ...]:
    offered = sorted({Fraction(step, 20) for step in range(1, 20)} | {chosen})
    return tuple(
        Choice(value=_decimal(share), label=_show_share(share), chosen=share == chosen)
        for share in offered
    )


def _decimal(share: Fraction) -> str:
    """Write a threshold as it is read: it has at most nine decimals."""
    text = f"{share * 10**9 // 1:010d}"
    decimals = text[-9:].rstrip("0").ljust(2, "0")
    return f"{text[:-9]}.{decimals}"


def _show_share(share: Fraction) -> str:
    whole, _, decimals = _decimal(share * 100).partition(".")
    rest = decimals.rstrip("0")
    return f"{whole}.{rest}%" if rest else f"{whole}%"


def _percent(share: Fraction | None) -> str | None:
    return None if share is None else f"{round_percent(share)}%"


def _count(count: int) -> str | None:
    return show_count(count) if count else None
