"""Errors in the shape that InfluxDB gives them, and Grafana shows: `{"error": "…"}`."""

from flask import Response, jsonify, request

from ledger.errors import InvalidError, UnavailableError

PREFIX = "/grafana/influx/"
"""How addresses begin that clients of InfluxDB ask."""


class BadUpstreamError(UnavailableError):
    """InfluxDB answers, and refuses us or says what nobody understands."""


def is_gateway() -> bool:
    """Whether the current request is one of a client of InfluxDB, also where it missed a route."""
    return request.path.startswith(PREFIX)


def influx_error(message: str) -> Response:
    """Return the body of an error; the status is for the caller to set."""
    return jsonify(error=message)


def refuse_parameter(reason: str) -> InvalidError:
    """Return the error of a request that is not taken, whatever its query is."""
    return InvalidError("query_refused", reason)
