"""Meters a client of the `twilio` package: messages when they are created, calls by a callback.

Every request of a Twilio client, of whatever resource and version, goes through its public
`http_client`. Its `request` is replaced on that one object; nothing of the twilio package is
imported.

- A created message is booked at once: SMS by segments, MMS by messages. Where Twilio does not know
  the segments yet (a Messaging Service says 0), they are computed and marked provisional.
- A scheduled message owes nothing until it is sent, and may be canceled: it books nothing here. Its
  status callback tells when it was sent.
- A created call owes nothing either: its minutes are known when it ends. Where asked to, the hook
  gives a call that has no status callback the collector's, which books the minutes. It does the
  same for messages, whose final status may change what they owe.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from meterline.clock import now
from meterline.context import Scope, current_scope
from meterline.copies import Detachable
from meterline.faults import report_fault, warn
from meterline.labels import as_id
from meterline.parsing import parse_json, use_fast_parser
from meterline.segments import count_segments
from meterline.usage import Scalar, Sink, Usage

__all__ = ["meter_twilio"]

_Client = TypeVar("_Client")
_Data = Mapping[str, Any]

_MARK = "_meterline_sink"
_OWES_NOTHING = {"scheduled", "canceled", "failed"}
_CREATED = range(200, 300)
_CALLS, _MESSAGES = "/Calls.json", "/Messages.json"

_Callbacks = Mapping[str, str]
"""Our callback by the end of the path that creates what it is for."""


def meter_twilio(
    client: _Client,
    sink: Sink,
    *,
    callback_url: str | None,
    message_callback_url: str | None = None,
) -> _Client:
    """Meter every message that a client creates from now on; return the same client.

    Args:
        client: a `twilio.rest.Client`, with a synchronous or an asynchronous http client. Clients
            that share an http client are metered together, and once.
        sink: takes a usage of each message.
        callback_url: where Twilio is to tell how a call ended; tenant and feature are added to its
            query. Calls that have a callback of their own keep it. None: calls are left alone.
        message_callback_url: the same for messages.

    Raises:
        TypeError: it is not such a client.
    """
    http: Any = getattr(client, "http_client", None)
    send: Callable[..., Any] | None = getattr(http, "request", None)
    if http is None or send is None:
        raise TypeError(f"not a client of the twilio package: {type(client).__name__}")
    metered_by = getattr(http, _MARK, None)
    if metered_by is not None:
        if metered_by.ours != sink:
            warn("this Twilio client is metered already, by another meter; it stays with that one")
        return client
    use_fast_parser()
    metered = _meter_async if getattr(http, "is_async", False) else _meter
    urls = {_CALLS: callback_url, _MESSAGES: message_callback_url}
    callbacks = {path: url for path, url in urls.items() if url}
    setattr(http, _MARK, Detachable(sink, None))
    http.request = Detachable(metered(send, sink, callbacks), send)
    return client


def _meter(send: Callable[..., Any], sink: Sink, callbacks: _Callbacks) -> Callable[..., Any]:
    def request(method: str, url: str, *values: Any, **named: Any) -> Any:
        data = _data_of(values, named)
        for path, callback_url in callbacks.items():
            if _creates(method, url, path):
                values, named = _with_callback(values, named, callback_url)
        response = send(method, url, *values, **named)
        if _creates(method, url, _MESSAGES):
            _book(response, data, sink)
        return response

    return request


def _meter_async(send: Callable[..., Any], sink: Sink, callbacks: _Callbacks) -> Callable[..., Any]:
    async def request(method: str, url: str, *values: Any, **named: Any) -> Any:
        data = _data_of(values, named)
        for path, callback_url in callbacks.items():
            if _creates(method, url, path):
                values, named = _with_callback(values, named, callback_url)
        response = await send(method, url, *values, **named)
        if _creates(method, url, _MESSAGES):
            _book(response, data, sink)
        return response

    return request


def _creates(method: str, url: str, ending: str) -> bool:
    return url.endswith(ending) and method.upper() == "POST"


def _data_of(values: tuple[Any, ...], named: Mapping[str, Any]) -> _Data:
    """Return the form of a request; it comes after the parameters where it is not named."""
    data = named.get("data", values[1] if len(values) > 1 else None)
    return data if isinstance(data, dict) else {}


def _with_callback(
    values: tuple[Any, ...], named: dict[str, Any], callback_url: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a request that creates, with our callback where it has none."""
    try:
        data = _data_of(values, named)
        if "StatusCallback" not in data:
            data = {**data, "StatusCallback": add_scope(callback_url, current_scope())}
            if len(values) > 1:
                return (values[0], data, *values[2:]), named
            return values, {**named, "data": data}
    except Exception as fault:  # noqa: BLE001 (a call is never broken by metering)
        report_fault("a callback of Twilio", fault)
    return values, named


def add_scope(url: str, scope: Scope) -> str:
    """Return the address with tenant and feature in its query, as far as they are known."""
    query = urlencode({key: value for key, value in scope._asdict().items() if value is not None})
    if not query:
        return url
    address, mark, fragment = url.partition("#")
    return f"{address}{'&' if '?' in address else '?'}{query}{mark}{fragment}"


def _book(response: Any, data: _Data, sink: Sink) -> None:
    try:
        if response.status_code in _CREATED:
            message = parse_json(response.text.encode())
            usage = read_message(message, data, current_scope())
            if usage is not None:
                sink(usage)
    except Exception as fault:  # noqa: BLE001 (a call is never broken by metering)
        report_fault("a message of Twilio", fault)


def read_message(message: _Data, sent: _Data, scope: Scope) -> Usage | None:
    """Return what a created message owes, or None where it owes nothing (yet).

    Args:
        message: the resource that Twilio answered with.
        sent: the form that it was created by.
        scope: who the caller works for.
    """
    sid = as_id(message.get("sid"))
    if sid is None or message.get("status") in _OWES_NOTHING:
        return None
    metadata: dict[str, Scalar] = {}
    media = _whole(message.get("num_media"))
    if not media and sent.get("MediaUrl"):
        media, metadata["provisional"] = len(_listed(sent["MediaUrl"])), True
    if _is_other_network(message) or _is_other_network(sent):
        channel, quantity, metadata = "sms", 1, {"provisional": True}
    elif media:
        channel, quantity = "mms", 1
        metadata["num_media"] = media
    else:
        channel, quantity = "sms", _whole(message.get("num_segments"))
        if not quantity:
            text = message.get("body") or sent.get("Body") or ""
            quantity, metadata["provisional"] = count_segments(text), True
    return Usage(
        sid, now(), channel, "outbound", "twilio", scope.tenant, scope.feature, quantity, metadata
    )


def _is_other_network(message: _Data) -> bool:
    """Whether it goes over WhatsApp, RCS or the like: addresses there are `network:address`."""
    to = message.get("to", message.get("To"))
    return isinstance(to, str) and ":" in to


def _whole(value: object) -> int:
    """Read a count, which Twilio writes as text."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else 0


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
