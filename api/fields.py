"""Reads a JSON object from a request: the fields that its description has, and no others."""

from typing import Any

import orjson
from flask import request
from pydantic import BaseModel

from api.body import read_whole_body
from api.errors import UnsupportedTypeError
from ledger.errors import InvalidError

_REFERENCE = "#/$defs/"


def describe_fields(described: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI description of a body that `read_fields` reads.

    What the model is made of stands where it is used: a schema of pydantic's own refers to its own
    root, which in the description is something else.
    """
    schema = described.model_json_schema()
    parts = schema.pop("$defs", {})

    def put_in(place: Any) -> Any:
        if isinstance(place, list):
            return [put_in(one) for one in place]
        if not isinstance(place, dict):
            return place
        rest = {key: put_in(one) for key, one in place.items() if key != "$ref"}
        if "$ref" not in place:
            return rest
        return {**put_in(parts[place["$ref"].removeprefix(_REFERENCE)]), **rest}

    return {"required": True, "content": {"application/json": {"schema": put_in(schema)}}}


def read_fields(described: type[BaseModel]) -> dict[str, Any]:
    """Return the fields of the body by name; what is left out and need not be there is None.

    Values are checked by whoever knows what they mean.

    Raises:
        InvalidError: `malformed_json`, `not_an_object`, `missing_field` or `unknown_field`.
        UnsupportedTypeError: `unsupported_type`.
    """
    if request.mimetype != "application/json":
        raise UnsupportedTypeError(
            "unsupported_type",
            "Content-Type is application/json",
            key="Content-Type",
            value=request.mimetype,
        )
    try:
        fields = orjson.loads(read_whole_body())
    except orjson.JSONDecodeError as error:
        raise InvalidError("malformed_json", f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidError("not_an_object", "send a JSON object")
    known = described.model_fields
    for key in sorted(fields.keys() - known.keys()):
        raise InvalidError("unknown_field", f"fields are {', '.join(known)}", key=key)
    for key, field in known.items():
        if field.is_required() and key not in fields:
            raise InvalidError("missing_field", f"{key} is needed", key=key)
    return {key: fields.get(key) for key in known}
