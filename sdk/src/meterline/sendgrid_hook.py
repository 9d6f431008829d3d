"""Meters a client of the `sendgrid` package: one unit for each recipient of an accepted mailing.

`sg.send(…)` and `sg.client.mail.send.post(…)` both end in one method of the client of the
`python_http_client` package, which makes a new client for each part of a path. The client gets a
class of its own, derived from the one it has, that watches that method and hands itself on;
nothing of either package is imported.

The provider accepts a mailing with 202. Other answers, such as the 200 of its sandbox, send nothing
and count nothing.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from meterline.clock import now
from meterline.context import Scope, current_scope
from meterline.copies import Detachable, same
from meterline.faults import report_fault, warn
from meterline.labels import as_id, as_label, is_feature
from meterline.parsing import parse_json, use_fast_parser
from meterline.usage import Scalar, Sink, Usage

__all__ = ["meter_sendgrid"]

_Client = TypeVar("_Client")

_ACCEPTED = 202
_MARK = "_meterline"
_PATH = "/mail/send"
_ADDRESSED = ("to", "cc", "bcc")


class _Metering(NamedTuple):
    sink: Sink
    feature_map: Mapping[str, str]


def meter_sendgrid(client: _Client, sink: Sink, *, feature_map: Mapping[str, str]) -> _Client:
    """Meter every mailing that a client sends from now on; return the same client.

    Args:
        client: a `sendgrid.SendGridAPIClient`. It stays metered when it changes its region.
        sink: takes a usage of each mailing.
        feature_map: features by custom argument `feature`, category or template id, such as
            `{"booking_confirmation": "booking_email"}`; asked where the context has no feature.

    Raises:
        TypeError: it is not such a client.
    """
    inner = getattr(client, "client", None)
    if not callable(getattr(type(inner), "_make_request", None)):
        raise TypeError(f"not a client of the sendgrid package: {type(client).__name__}")
    use_fast_parser()
    metering = _Metering(sink, feature_map)
    metered_by = inner.__dict__.get(_MARK)
    if metered_by is not None:
        if metered_by.sink != sink:
            warn("this SendGrid client is metered already, by another one; it stays with that one")
        return client
    _meter_inner(inner, metering)
    _meter_again_on_change(client, metering)
    return client


def _meter_inner(inner: Any, metering: _Metering) -> None:
    cls: Any = type(inner)
    inner.__dict__[_MARK] = metering
    inner.__class__ = _metered_class(cls)


def _meter_again_on_change(client: Any, metering: _Metering) -> None:
    """Meter the new inner client that a change of the region makes."""
    change = getattr(client, "set_sendgrid_data_residency", None)
    if change is None:
        return

    def set_sendgrid_data_residency(*values: Any, **named: Any) -> Any:
        changed = change(*values, **named)
        if _MARK not in client.client.__dict__:
            _meter_inner(client.client, metering)
        return changed

    client.set_sendgrid_data_residency = Detachable(set_sendgrid_data_residency, change)


@lru_cache(maxsize=8)
def _metered_class(base: Any) -> type[Any]:
    """Derive a class of clients that watch what they send; what they make is of their class."""

    class Client(base):  # type: ignore[misc]  # a class of a package that is not imported
        def _build_client(self, name: str | None = None) -> Any:
            made = super()._build_client(name)
            made.__dict__[_MARK] = self.__dict__.get(_MARK)
            made.__class__ = type(self)
            return made

        def _make_request(self, opener: Any, request: Any, *values: Any, **named: Any) -> Any:
            response = super()._make_request(opener, request, *values, **named)
            _book(request, response, self.__dict__.get(_MARK))
            return response

        def __copy__(self) -> Any:
            made = type(self).__new__(type(self))
            made.__dict__.update(self.__dict__)
            return made

        def __reduce__(self) -> Any:
            bare = base.__new__(base)  # a sink cannot be pickled
            bare.__dict__.update({k: v for k, v in self.__dict__.items() if k != _MARK})
            return same, (bare,)

    Client.__qualname__ = base.__qualname__
    Client.__module__ = base.__module__
    return Client


def _book(request: Any, response: Any, metering: _Metering | None) -> None:
    try:
        if metering is None or response.getcode() != _ACCEPTED:
            return
        if not request.full_url.partition("?")[0].rstrip("/").endswith(_PATH):
            return
        mail = parse_json(request.data)
        usage = read_mail(
            mail, response.headers.get("X-Message-Id"), current_scope(), metering.feature_map
        )
        if usage is not None:
            metering.sink(usage)
    except Exception as fault:  # noqa: BLE001 (a call is never broken by metering)
        report_fault("a mailing of SendGrid", fault)


def read_mail(
    mail: Mapping[str, Any],
    message_id: str | None,
    scope: Scope,
    feature_map: Mapping[str, str],
) -> Usage | None:
    """Return what an accepted mailing owes, or None where it was for the sandbox.

    Args:
        mail: the body as it was sent, since the package takes duplicates out when it writes it.
        message_id: the provider's name of the mailing; one is made where there is none.
        scope: who the caller works for; its feature comes before what the mail says.
        feature_map: features by what the mail says.
    """
    if _is_on(mail, "mail_settings", "sandbox_mode"):
        return None
    parts = [part for part in mail.get("personalizations", ()) if isinstance(part, dict)]
    recipients = sum(len(part.get(kind) or ()) for part in parts for kind in _ADDRESSED)
    template = as_label(mail.get("template_id"))
    metadata: dict[str, Scalar] = {}
    if template is not None:
        metadata["template_id"] = template
    if mail.get("batch_id") and _is_scheduled(mail, parts):
        metadata["provisional"] = True  # can still be canceled
    feature = scope.feature
    if feature is None:
        feature = _find_feature(mail, parts, feature_map)
    return Usage(
        as_id(message_id) or f"sendgrid/{uuid4()}",
        now(),
        "email",
        "outbound",
        "sendgrid",
        scope.tenant,
        feature,
        recipients,
        metadata,
    )


def _is_scheduled(mail: Mapping[str, Any], parts: list[dict[str, Any]]) -> bool:
    return any(part.get("send_at") for part in (mail, *parts))


def _is_on(mail: Mapping[str, Any], *path: str) -> bool:
    value: object = mail
    for key in (*path, "enable"):
        value = value.get(key) if isinstance(value, dict) else None
    return value is True


def _find_feature(
    mail: Mapping[str, Any], parts: list[dict[str, Any]], feature_map: Mapping[str, str]
) -> str | None:
    """Return the feature of a mail: from a custom argument, a category or the template."""
    argument = _custom_feature(mail, parts)
    if argument is not None and (argument in feature_map or is_feature(argument)):
        return feature_map.get(argument, argument)
    for key in _keys(mail):
        if isinstance(key, str) and key in feature_map:
            return feature_map[key]
    return None


def _keys(mail: Mapping[str, Any]) -> Iterator[object]:
    categories = mail.get("categories")
    yield from categories if isinstance(categories, list) else ()
    yield mail.get("template_id")


def _custom_feature(mail: Mapping[str, Any], parts: list[dict[str, Any]]) -> str | None:
    """Return the custom argument `feature`: of the mail, or one that all its parts agree on."""
    found = {_argument(part) for part in parts} if parts else {None}
    told = found.pop() if len(found) == 1 else None
    return told if told is not None else _argument(mail)


def _argument(part: Mapping[str, Any]) -> str | None:
    arguments = part.get("custom_args")
    value = arguments.get("feature") if isinstance(arguments, dict) else None
    return value if isinstance(value, str) else None
