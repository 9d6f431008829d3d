"""Looks into a request that the provider's client built, and may ask for usage in its name."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from meterline.openai_hook.scan import read_object
from meterline.parsing import parse_json

ASKED_FOR_USAGE = "meterline.asked_for_usage"
"""Extension of a request that we made tell its usage, so that the answer to that is hidden."""

_NOTHING: Mapping[str, Any] = {}
_OPTION = b'{"stream_options":{"include_usage":true},'


def read_request(request: Any) -> Mapping[str, Any]:
    """Return members of the request's body that are texts or more: of JSON, or fields of a form.

    Files are never read: a form's fields are taken from the object that will send it.
    """
    fields = getattr(request.stream, "fields", None)
    if fields is not None:
        return {field.name: field.value for field in fields if isinstance(_value(field), str)}
    try:
        return read_object(request.content, wanted=("model",))
    except (ValueError, RuntimeError):  # no JSON; a stream that was not read into memory
        return _NOTHING


def ask_for_usage(request: Any, make_stream: Callable[[bytes], Any]) -> None:
    """Make a request for a stream ask for its usage, unless it does not stream or asks already.

    What the caller can see of it, `request.content`, stays as it was. The answer is asked for
    unencoded, because an event will be taken out of it: some servers encode it all the same.

    Args:
        request: of the http library; changed in place.
        make_stream: that library's stream of bytes.
    """
    if ASKED_FOR_USAGE in request.extensions:
        return  # a redirect of a request that asks already
    body = add_usage_option(request.content)
    if body is None:
        return
    request.stream = make_stream(body)
    request.headers["content-length"] = str(len(body))
    request.headers["accept-encoding"] = "identity"
    request.extensions[ASKED_FOR_USAGE] = True


def add_usage_option(body: bytes) -> bytes | None:
    """Return the body with `include_usage`, or None where it streams nothing or has it.

    Chats with `data_sources`, which are Azure's, are refused with it.
    """
    if b'"stream"' not in body:
        return None
    fields = parse_json(body)
    if not isinstance(fields, dict) or fields.get("stream") is not True or "data_sources" in fields:
        return None
    if "stream_options" not in fields:
        return _OPTION + body[body.index(b"{") + 1 :]
    options = fields["stream_options"] or {}
    if options.get("include_usage"):
        return None
    fields["stream_options"] = {**options, "include_usage": True}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def _value(field: object) -> object:
    return getattr(field, "value", None)
