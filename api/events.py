"""`POST /api/v1/events`: usage events in, one answer per event out."""

from collections import Counter
from typing import Any

import orjson
from flask import Response, current_app, request
from flask_openapi.blueprint import APIBlueprint

from api.auth.caller import caller
from api.auth.policy import require_scope
from api.auth.schemes import API_KEY
from api.body import read_whole_body
from api.errors import PROBLEM_RESPONSE, TooLargeError, UnsupportedTypeError
from api.measuring import count_results
from api.schemas import CloudEvent, Event, EventsAnswer
from api.services import Services
from collector.formats import MEDIA_TYPES, Form, read_body
from collector.intake import Result
from ledger.event import Status
from ledger.keys import Scope

blueprint = APIBlueprint("events", __name__, abp_security=[API_KEY])

_EVENT = Event.model_json_schema()
_CLOUD_EVENT = CloudEvent.model_json_schema()
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        Form.JSON.value: {"schema": {"oneOf": [_EVENT, {"type": "array", "items": _EVENT}]}},
        Form.NDJSON.value: {"schema": {"type": "string"}},
        Form.CLOUDEVENT.value: {"schema": _CLOUD_EVENT},
        Form.CLOUDEVENT_BATCH.value: {"schema": {"type": "array", "items": _CLOUD_EVENT}},
    },
}


@blueprint.post(
    "/api/v1/events",
    summary="Book usage events",
    responses={
        "200": EventsAnswer,
        "400": {"description": "The body as a whole cannot be read", **PROBLEM_RESPONSE},
        "401": {"description": "No valid API key", **PROBLEM_RESPONSE},
        "403": {"description": "The key lacks the scope `ingest`", **PROBLEM_RESPONSE},
        "413": {"description": "Too many bytes or events", **PROBLEM_RESPONSE},
        "415": {"description": "Not a type that is read here", **PROBLEM_RESPONSE},
        "503": {"description": "The ledger does not answer; send again", **PROBLEM_RESPONSE},
    },
    request_body=_BODY,
)
@require_scope(Scope.INGEST)
def book_events() -> Response:
    """Book one event, an array, NDJSON, or CloudEvents; `Content-Encoding` may be gzip.

    An answered `stored` or `duplicate` is booked for good, exactly once; sending again is safe. A
    bad event never fails its neighbours.
    """
    services = Services.of(current_app)
    events = read_body(read_whole_body(), _form())
    most = services.settings.max_batch_events
    if len(events) > most:
        raise TooLargeError(
            "too_many_events", f"a request has at most {most} events; this one has {len(events)}"
        )
    results = services.intake.book(events, only_tenant=caller().tenant_id, now=services.clock())
    count_results(services.counters, results)
    counts = Counter(result.status for result in results)
    answer = {
        **{str(status): counts[status] for status in Status},
        "results": [_result(index, result) for index, result in enumerate(results)],
    }
    return Response(orjson.dumps(answer), mimetype="application/json")


def _form() -> Form:
    form = MEDIA_TYPES.get(request.mimetype)
    if form is None:
        raise UnsupportedTypeError(
            "unsupported_type",
            f"Content-Type is one of {', '.join(MEDIA_TYPES)}",
            key="Content-Type",
            value=request.mimetype,
        )
    return form


def _result(index: int, result: Result) -> dict[str, Any]:
    answer: dict[str, Any] = {"index": index, "id": result.event_id, "status": str(result.status)}
    if result.code is not None:
        answer |= {
            "code": result.code,
            "key": result.key,
            "value": result.value,
            "message": result.message,
        }
    if result.dropped:
        answer["dropped"] = result.dropped
    return answer
