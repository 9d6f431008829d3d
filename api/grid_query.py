"""Reads what to show of the grid of tenants, on the page and over JSON alike."""

from typing import Any

from api.parameters import RANGE, Parameters, describe, read_parameters
from costing.reports.tenant_grid import (
    DEFAULT_AI_THRESHOLD,
    MAX_PAGE_SIZE,
    GridColumn,
    GridQuery,
    parse_threshold,
)
from ledger.errors import InvalidError
from ledger.period import parse_range_days

PAGE_SIZE = 50

_NAMES = ("range", "plan", "high_ai", "ai_threshold", "sort", "order", "page", "page_size")
_ORDERS = {"asc": False, "desc": True}
_FLAGS = {"true": True, "false": False}
_BY_TEXT = {GridColumn.TENANT, GridColumn.NAME, GridColumn.PLAN}
_MOST_DIGITS = 9


def is_descending_first(column: GridColumn) -> bool:
    """Tell which way a column is sorted unless asked: figures from the top, texts from A."""
    return column not in _BY_TEXT


def read_grid_query() -> GridQuery:
    """Read the query parameters of the grid.

    Raises:
        InvalidError: `unknown_parameter`, `repeated_parameter`, `unknown_range`, `unknown_choice`,
            `invalid_label`, `invalid_threshold` or `invalid_page`.
    """
    given = read_parameters(*_NAMES)
    sort = GridColumn(_choose(given, "sort", {c: c for c in GridColumn}, GridColumn.ESTIMATED_COST))
    threshold = given["ai_threshold"]
    return GridQuery(
        days=parse_range_days(given["range"]),
        plan=given["plan"] or None,
        high_ai=_choose(given, "high_ai", _FLAGS, default=False),
        ai_threshold=DEFAULT_AI_THRESHOLD if threshold is None else parse_threshold(threshold),
        sort=sort,
        descending=_choose(given, "order", _ORDERS, default=is_descending_first(sort)),
        page=_number(given, "page", 1),
        page_size=_number(given, "page_size", PAGE_SIZE),
    )


def _choose(given: Parameters, name: str, choices: dict[Any, Any], default: Any) -> Any:
    text = given[name]
    if text is None:
        return default
    if text not in choices:
        raise InvalidError(
            "unknown_choice", f"choose one of {', '.join(choices)}", key=name, value=text
        )
    return choices[text]


def _number(given: Parameters, name: str, default: int) -> int:
    text = given[name]
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise InvalidError("invalid_page", "this is a whole number", key=name, value=text)
    return int(text)


GRID_PARAMETERS = [
    RANGE,
    describe("plan", {"type": "string"}, "Only tenants that are on this plan now"),
    describe(
        "high_ai",
        {"type": "boolean", "default": False},
        "Only tenants whose AI share is over the threshold or not known",
    ),
    describe(
        "ai_threshold",
        {"type": "string", "default": "0.30"},
        "A share from 0 to 1, as a plain decimal",
    ),
    describe(
        "sort",
        {"type": "string", "enum": list(GridColumn), "default": GridColumn.ESTIMATED_COST},
        "Unknown values come last in either order",
    ),
    describe(
        "order",
        {"type": "string", "enum": list(_ORDERS)},
        "By default `asc` for tenant, name and plan, `desc` for figures",
    ),
    describe("page", {"type": "integer", "minimum": 1, "default": 1}, "Counted from 1"),
    describe(
        "page_size",
        {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE},
        "Tenants on a page",
    ),
]
