"""Meters a client of the `openai` package at the one place that all its calls pass.

Every call, of whatever method, raw, parsed, streamed or retried, goes through the http client that
an OpenAI client owns and shares with its copies (`with_options`). A response hook of that http
client puts a tap into the body of each answer that tells usage; nothing of the openai package is
wrapped or imported, so its versions 2 (on httpx) and 3 (on httpx2) are alike to it.

The hook runs within the call, so the tenant and the feature are those of the caller.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from meterline.context import current_scope
from meterline.faults import report_fault, warn
from meterline.openai_hook.bodies import BodyTap
from meterline.openai_hook.calls import Call
from meterline.openai_hook.decoding import make_decoder
from meterline.openai_hook.endpoints import CHAT, COMPLETIONS, find_endpoint
from meterline.openai_hook.events import EventTap
from meterline.openai_hook.hosts import is_openai
from meterline.openai_hook.outgoing import ASKED_FOR_USAGE, ask_for_usage
from meterline.openai_hook.tees import make_tee_class
from meterline.openai_hook.unpacking import unpack
from meterline.parsing import use_fast_parser
from meterline.usage import Sink

__all__ = ["knows_usage_option", "meter_openai"]

_Client = TypeVar("_Client")

_MARK = "_meterline_sink"
_FIRST_SUCCESS, _LAST_SUCCESS = 200, 299
_STREAMING = (CHAT, COMPLETIONS)


def meter_openai(client: _Client, sink: Sink, *, inject_stream_usage: bool) -> _Client:
    """Meter every call of a client from now on; return the same client.

    Args:
        client: an `OpenAI`, `AsyncOpenAI`, `AzureOpenAI` or `AsyncAzureOpenAI`.
        sink: takes a usage of each call. A client is metered once: with its http client metered
            already, also through another client that shares it, nothing is changed.
        inject_stream_usage: ask chat streams for usage where the caller did not; the answer to that
            is taken out of the stream. Only for hosts that know `stream_options`, see
            `knows_usage_option`: another may refuse the call.

    Raises:
        TypeError: it is not such a client.
    """
    http: Any = getattr(client, "_client", None)
    library = _find_library(http)
    if library is None:
        raise TypeError(f"not a client of the openai package: {type(client).__name__}")
    metered_by = getattr(http, _MARK, None)
    if metered_by is not None:
        if metered_by != sink:
            warn("this OpenAI client is metered already, by another meter; it stays with that one")
        return client
    use_fast_parser()
    hooks = _make_hooks(library, sink)
    setattr(http, _MARK, sink)
    if inject_stream_usage:
        http.event_hooks["request"].append(hooks.on_request)
    http.event_hooks["response"].insert(0, hooks.on_response)  # others may read the answer
    return client


def knows_usage_option(client: object) -> bool:
    """Whether a client's host is known to take `stream_options` always: only OpenAI itself."""
    return is_openai(getattr(getattr(client, "base_url", None), "host", ""))


class _Library(NamedTuple):
    """The http library that a client is built on: `httpx` or `httpx2`."""

    name: str
    module: Any
    asynchronous: bool


class _Hooks(NamedTuple):
    on_request: Callable[[Any], Any]
    on_response: Callable[[Any], Any]


def _find_library(http: object) -> _Library | None:
    """Find the library by the class that the http client, or what it was derived from, has."""
    for cls in type(http).__mro__:
        name = cls.__module__.partition(".")[0]
        if name in {"httpx", "httpx2"} and cls.__name__ in {"Client", "AsyncClient"}:
            return _Library(name, sys.modules[name], cls.__name__ == "AsyncClient")
    return None


def _make_hooks(library: _Library, sink: Sink) -> _Hooks:
    base = library.module.AsyncByteStream if library.asynchronous else library.module.SyncByteStream
    tee = make_tee_class(base, asynchronous=library.asynchronous)

    def on_request(request: Any) -> None:
        try:
            if find_endpoint(request.method, request.url.raw_path) in _STREAMING:
                ask_for_usage(request, library.module.ByteStream)
        except Exception as fault:  # noqa: BLE001 (a call is never broken by metering)
            report_fault("a request to OpenAI", fault)

    def on_response(response: Any) -> None:
        try:
            _tap(response, library, tee, sink)
        except Exception as fault:  # noqa: BLE001 (a call is never broken by metering)
            report_fault("a response of OpenAI", fault)

    if not library.asynchronous:
        return _Hooks(on_request, on_response)

    async def on_request_async(request: Any) -> None:
        on_request(request)

    async def on_response_async(response: Any) -> None:
        on_response(response)

    return _Hooks(on_request_async, on_response_async)


def _tap(response: Any, library: _Library, tee: type[Any], sink: Sink) -> None:
    if not _FIRST_SUCCESS <= response.status_code <= _LAST_SUCCESS:
        return
    request = response.request
    endpoint = find_endpoint(request.method, request.url.raw_path)
    if endpoint is None:
        return
    headers = response.headers
    call = Call(endpoint, sink, current_scope(), request, headers)
    tap: BodyTap | EventTap
    if headers.get("content-type", "").startswith("text/event-stream"):
        decoder = make_decoder(headers.get("content-encoding"), library.name)
        hide_usage = ASKED_FOR_USAGE in request.extensions
        if hide_usage and decoder is not None:  # packed although we asked for plain text
            response.stream, decoder = unpack(response, library.module), None
        tap = EventTap(call, decoder, hide_usage=hide_usage)
    else:
        tap = BodyTap(call, library.name)
    response.stream = tee(response.stream, tap)
