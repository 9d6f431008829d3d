"""`/grafana/influx/query`: InfluxDB as Grafana knows it, with only the caller's points in it."""

from typing import Any

from flask import Response, current_app
from flask_openapi.blueprint import APIBlueprint

from api.auth.caller import caller
from api.auth.policy import require_scope
from api.auth.schemes import API_KEY
from api.gateway.errors import PREFIX
from api.gateway.request import read_query
from api.services import Services
from ledger.errors import UnavailableError
from ledger.keys import Scope

blueprint = APIBlueprint("gateway", __name__)

_PATH = f"{PREFIX}query"
_ERROR: dict[str, Any] = {
    "content": {
        "application/json": {
            "schema": {"type": "object", "properties": {"error": {"type": "string"}}}
        }
    }
}
_RESPONSES: dict[str | int, Any] = {
    "200": {
        "description": "The results, as InfluxDB gives them",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    "400": {"description": "The query is not taken, or InfluxDB refuses it", **_ERROR},
    "401": {"description": "No API key, or none that holds", **_ERROR},
    "403": {"description": "The key has not the scope `series`", **_ERROR},
    "502": {"description": "InfluxDB refuses the gateway", **_ERROR},
    "503": {"description": "InfluxDB does not answer, or too many queries are under way", **_ERROR},
}
_SUMMARY = "Run InfluxQL over the points of the key's tenant"
_SECURITY = [API_KEY]


@blueprint.get(_PATH, summary=_SUMMARY, responses=_RESPONSES, security=_SECURITY)
@require_scope(Scope.SERIES, influx_forms=True)
def query_by_address() -> Response:
    """Answer a query in the query string."""
    return _answer()


@blueprint.post(_PATH, summary=_SUMMARY, responses=_RESPONSES, security=_SECURITY)
@require_scope(Scope.SERIES, influx_forms=True)
def query_by_form() -> Response:
    """Answer a query in a form."""
    return _answer()


def _answer() -> Response:
    services = Services.of(current_app)
    query = read_query()
    gateway = services.gateway
    if gateway is None:
        raise UnavailableError(
            "influx_unavailable", "there are no series here: METERLINE_INFLUX_URL is not set"
        )
    tenant_id, now = caller().tenant_id, services.clock()
    if tenant_id is None:
        body = gateway.answer_operator(query, now=now)
    else:
        body = gateway.answer_tenant(query, tenant_id, now=now)
    return Response(body, mimetype="application/json")
