"""The forms in which events arrive: one JSON event, an array, NDJSON, CloudEvents. Pure functions.

What cannot be read as a whole is an error of the whole. What cannot be read as one event, where
its neighbours can, becomes an `InvalidError` in its place, which intake answers as rejected.
"""

from enum import Enum
from typing import Any

import orjson

from ledger.errors import InvalidError

Submitted = list[object]
"""Events as decoded JSON, or an `InvalidError` where one could not be read."""


class Form(Enum):
    """A form of body, by its media type."""

    JSON = "application/json"
    NDJSON = "application/x-ndjson"
    CLOUDEVENT = "application/cloudevents+json"
    CLOUDEVENT_BATCH = "application/cloudevents-batch+json"


MEDIA_TYPES = {form.value: form for form in Form} | {
    "application/ndjson": Form.NDJSON,
    "application/jsonl": Form.NDJSON,
}


def read_body(body: bytes, form: Form) -> Submitted:
    """Decode a body into submitted events.

    Raises:
        InvalidError: `malformed_json` or `malformed_utf8`, when the body as a whole says nothing.
    """
    match form:
        case Form.JSON:
            decoded = _decode(body)
            return decoded if isinstance(decoded, list) else [decoded]
        case Form.NDJSON:
            return [read_line(line) for line in body.splitlines() if line.strip()]
        case Form.CLOUDEVENT:
            return [_cloud_event(_decode(body))]
        case Form.CLOUDEVENT_BATCH:
            batch = _decode(body)
            if not isinstance(batch, list):
                raise InvalidError("malformed_json", "a CloudEvents batch is a JSON array")
            return [_cloud_event(event) for event in batch]


def read_line(line: bytes) -> object:
    """Decode one line of NDJSON, or return the error that tells what is wrong with it."""
    try:
        return _decode(line)
    except InvalidError as error:
        return error


def _decode(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:
            body.decode()
        except UnicodeDecodeError as broken:
            raise InvalidError("malformed_utf8", f"not UTF-8 at byte {broken.start}") from None
        raise InvalidError("malformed_json", f"not JSON: {error}") from None


def _cloud_event(envelope: object) -> object:
    """Return our event for a CloudEvent 1.0: identity is `source`/`id`, the rest is in `data`."""
    if not isinstance(envelope, dict):
        return InvalidError("not_an_object", "a CloudEvent is a JSON object")
    if envelope.get("specversion") != "1.0":
        return InvalidError("invalid_cloudevent", 'specversion must be "1.0"', key="specversion")
    for key in ("id", "source", "type"):
        if not isinstance(envelope.get(key), str) or not envelope[key]:
            return InvalidError("invalid_cloudevent", f"{key} must be text", key=key)
    data = envelope.get("data")
    if not isinstance(data, dict):
        return InvalidError("invalid_cloudevent", "data must be a JSON object", key="data")
    for key in ("id", "time"):
        if key in data:
            return InvalidError(
                "invalid_cloudevent",
                f"{key} belongs to the envelope, not to data",
                key=f"data.{key}",
            )
    event = {**data, "id": f"{envelope['source']}/{envelope['id']}", "time": envelope.get("time")}
    if "tenant" not in data and "subject" in envelope:
        event["tenant"] = envelope["subject"]
    return event
