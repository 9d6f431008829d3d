"""Reads query parameters: each at most once, and none that the route does not know."""

from typing import Any

from flask import request

from ledger.errors import InvalidError
from ledger.period import DEFAULT_RANGE, RANGES

Parameters = dict[str, str | None]

_DATE = {"type": "string", "format": "date"}


def read_parameters(*names: str) -> Parameters:
    """Return the query parameters of the current request by name; None: not given.

    What is not known is refused and not passed over: a misspelt filter would show too much, and
    nobody may believe that naming a tenant changes what is answered.

    Raises:
        InvalidError: `unknown_parameter` or `repeated_parameter`.
    """
    for name, values in request.args.lists():
        if name not in names:
            raise InvalidError(
                "unknown_parameter",
                f"no such parameter here; there are {', '.join(names) or 'none'}",
                key=name,
            )
        if len(values) > 1:
            raise InvalidError("repeated_parameter", "give each parameter once", key=name)
    return {name: request.args.get(name) for name in names}


def describe(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    """Return the OpenAPI description of an optional query parameter."""
    return {
        "name": name,
        "in": "query",
        "required": False,
        "schema": schema,
        "description": description,
    }


RANGE = describe(
    "range",
    {"type": "string", "enum": list(RANGES), "default": DEFAULT_RANGE},
    "The last local dates of the tenant, today included",
)
FROM = describe("from", _DATE, "First local date; instead of `range`, together with `to`")
AS_REPORTED = describe(
    "as_reported",
    _DATE,
    "Figures as they were known at the end of this local date; of days that had closed by then",
)
TO = describe("to", _DATE, "Last local date, included")
