"""`POST /webhooks/…`: what providers tell, let in by their signatures."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from flask import Response, current_app, request
from flask_openapi.blueprint import APIBlueprint
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge

from api.auth.policy import public
from api.body import read_whole_body
from api.errors import PROBLEM_RESPONSE, UnsupportedTypeError
from api.services import Services
from api.webhooks.signatures import TwilioRequest, missing_signature, not_configured
from collector.facts.claim import Claim, ClaimKind
from collector.webhooks.claims import Ignored, Notice, Scope, named_tenant
from collector.webhooks.features import FeatureRules, as_feature
from collector.webhooks.sendgrid_events import read_events
from collector.webhooks.twilio_calls import read_call
from collector.webhooks.twilio_messages import read_message
from ledger.errors import InvalidError, MeterlineError

blueprint = APIBlueprint("webhooks", __name__)

_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_TWILIO, _SENDGRID = "twilio", "sendgrid"
_MAX_PARAMETERS = 500
_RESPONSES: dict[str | int, Any] = {
    "400": {"description": "It cannot be read; nothing is booked", **PROBLEM_RESPONSE},
    "403": {"description": "The signature is missing or does not hold", **PROBLEM_RESPONSE},
    "413": {"description": "Too many bytes", **PROBLEM_RESPONSE},
    "415": {"description": "Not the type that the provider sends", **PROBLEM_RESPONSE},
    "503": {"description": "No key of the provider is set, or the ledger does not answer",
            **PROBLEM_RESPONSE},
}  # fmt: skip
_OK: dict[str, Any] = {"description": "Booked, or nothing to book"}
_EMPTY_TWIML: dict[str, Any] = {
    **_OK,
    "content": {"text/xml": {"schema": {"type": "string", "example": "<Response/>"}}},
}


def _body(media_type: str, kind: str) -> dict[str, Any]:
    return {"required": True, "content": {media_type: {"schema": {"type": kind}}}}


@blueprint.post(
    "/webhooks/twilio/messages",
    summary="Book what Twilio tells of a message",
    responses={"200": _EMPTY_TWIML, **_RESPONSES},
    request_body=_body(_FORM, "object"),
)
@public
def twilio_messages() -> Response:
    """Take a status callback or an inbound message; the answer replies nothing to the sender."""
    _take(_TWILIO, lambda services, now: [_read_twilio(read_message, services, now)])
    return Response("<Response/>", mimetype="text/xml")


@blueprint.post(
    "/webhooks/twilio/calls",
    summary="Book what Twilio tells of a call",
    responses={"204": _OK, **_RESPONSES},
    request_body=_body(_FORM, "object"),
)
@public
def twilio_calls() -> Response:
    """Take a status callback of one leg of a call."""
    _take(_TWILIO, lambda services, now: [_read_twilio(read_call, services, now)])
    return Response(status=HTTPStatus.NO_CONTENT)


@blueprint.post(
    "/webhooks/sendgrid",
    summary="Book what SendGrid tells of mails",
    responses={"204": _OK, **_RESPONSES},
    request_body=_body(_JSON, "array"),
)
@public
def sendgrid_events() -> Response:
    """Take a batch of events; one that cannot be read never fails its neighbours."""
    _take(_SENDGRID, _read_sendgrid)
    return Response(status=HTTPStatus.NO_CONTENT)


_Said = Notice | Ignored


def _take(provider: str, read: Callable[[Services, datetime], list[_Said]]) -> None:
    """Read a webhook and book what it says; count and log what became of it."""
    services = Services.of(current_app)
    now = services.clock()
    try:
        outcomes = services.reception.receive(read(services, now), now=now)
    except Exception as error:
        code = _code_of(error)
        services.tally.add(provider, {code: 1})
        current_app.logger.warning("webhook of %s refused: %s", provider, code)
        raise
    services.tally.add(provider, outcomes)
    current_app.logger.info("webhook of %s: %s", provider, _told(outcomes))


def _code_of(error: Exception) -> str:
    if isinstance(error, MeterlineError):
        return error.code
    return "body_too_large" if isinstance(error, RequestEntityTooLarge) else "internal_error"


def _told(outcomes: Counter[str]) -> str:
    return ", ".join(f"{times} {outcome}" for outcome, times in sorted(outcomes.items()))


_ReadForm = Callable[..., _Said]


def _read_twilio(read: _ReadForm, services: Services, now: datetime) -> _Said:
    """Check and read a webhook of Twilio."""
    signatures = services.signatures.twilio
    if signatures is None:
        raise not_configured("METERLINE_TWILIO_AUTH_TOKEN or METERLINE_TWILIO_SHARED_KEY")
    signature = _header("X-Twilio-Signature")
    _require_type(_FORM)
    form = _parse_form(read_whole_body())
    query = request.query_string.decode("latin-1")
    target = f"{request.path}?{query}" if query else request.path
    shared = request.headers.get("X-Twilio-Webhooks-Signature-Settings")
    account = signatures.check(TwilioRequest(target, form, signature, shared))
    scope = Scope(
        tenant=named_tenant(request.args.get("tenant")),
        feature=as_feature(request.args.get("feature")),
        owner=None if account is None else Claim(ClaimKind.ACCOUNT, account),
    )
    return read(_each_once(form), scope, services.settings.feature_rules, now=now)


def _read_sendgrid(services: Services, now: datetime) -> list[_Said]:
    """Check and read a webhook of SendGrid."""
    signatures = services.signatures.sendgrid
    if signatures is None:
        raise not_configured("METERLINE_SENDGRID_PUBLIC_KEY")
    signature = _header("X-Twilio-Email-Event-Webhook-Signature")
    timestamp = _header("X-Twilio-Email-Event-Webhook-Timestamp")
    _require_type(_JSON)
    body = read_whole_body()
    subuser = signatures.check(body, signature, timestamp, now=now)
    rules: FeatureRules = services.settings.feature_rules
    return [*read_events(body, rules, subuser=subuser, now=now)]


def _header(name: str) -> str:
    value = request.headers.get(name)
    if not value:
        raise missing_signature(name)
    return value


def _require_type(media_type: str) -> None:
    if request.mimetype != media_type:
        raise UnsupportedTypeError(
            "unsupported_type", f"this webhook comes as {media_type}", key="Content-Type"
        )


def _parse_form(body: bytes) -> MultiDict[str, str]:
    """Return all parameters, also empty ones: all of them are signed."""
    try:
        return MultiDict(
            parse_qsl(
                body.decode(),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_MAX_PARAMETERS,
            )
        )
    except ValueError:
        raise InvalidError("malformed_form", "not a form of UTF-8, or an endless one") from None


def _each_once(form: MultiDict[str, str]) -> dict[str, str]:
    """Return the parameters; the order of two values of one name is not signed."""
    for name, values in form.lists():
        if len(set(values)) > 1:
            raise InvalidError(
                "repeated_parameter", "a parameter with two values says neither", key=name
            )
    return form.to_dict()
