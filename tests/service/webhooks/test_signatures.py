"""Webhooks that nobody signed, or not as they came: refused, and nothing is booked."""

import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from pydantic import SecretStr

from api.app import create_app
from api.services import Services
from ledger.errors import InvalidError
from ledger.settings import Settings
from tests.builders import NOW
from tests.servers.nginx import PUBLIC_HOST, Nginx
from tests.webhooks import (
    ACCOUNT,
    CALLS,
    FORM,
    MAIL_SIGNATURE,
    MAIL_TIMESTAMP,
    MAILS,
    MESSAGES,
    OLD_TOKEN,
    PUBLIC_URL,
    SHARED,
    SHARED_KEY,
    SHARED_SETTINGS,
    SUB_SHARED_KEY,
    SUB_TOKEN,
    SUBACCOUNT,
    TWILIO_SIGNATURE,
    Answer,
    Headers,
    MailKey,
    Provider,
    fact_count,
    mail_event,
    sign_form,
    status_callback,
    usages,
)

CALLBACK = status_callback()
BODY = urlencode(CALLBACK).encode()
MAIL_BODY = json.dumps([mail_event()]).encode()


def without(headers: Headers, *names: str) -> Headers:
    return {name: value for name, value in headers.items() if name not in names}


def post_form(provider: Provider, changed: Callable[[Headers], Headers]) -> Answer:
    return provider.post(MESSAGES, BODY, changed(sign_form(CALLBACK, MESSAGES)))


def post_mails(provider: Provider, changed: Callable[[Headers], Headers]) -> Answer:
    return provider.post(MAILS, MAIL_BODY, changed(provider.mail_key.sign(MAIL_BODY)))


@pytest.mark.parametrize(
    "signing",
    [
        {},
        {"token": OLD_TOKEN},
        {"token": SHARED_KEY, "shared": SHARED_SETTINGS},
        {"url": f"{PUBLIC_URL}:443"},
    ],
)
def test_what_twilio_signed_passes_through_the_proxy(
    signing: dict[str, str], provider: Provider
) -> None:
    assert 200 == provider.twilio(MESSAGES, CALLBACK, **signing).status


def test_the_host_that_a_request_names_does_not_matter(provider: Provider) -> None:
    headers = sign_form(CALLBACK, MESSAGES)
    assert 200 == provider.post(MESSAGES, BODY, headers, host="METER.Example:8443").status


@pytest.mark.parametrize(
    "signing",
    [
        {"token": "another-token"},
        {"token": SHARED_KEY},
        {"shared": SHARED_SETTINGS},
        {"url": f"http://{PUBLIC_HOST}"},
        {"url": "https://Meter.Example"},
        {"url": "http://meterline.internal:8000"},
    ],
)
def test_what_was_signed_otherwise_is_refused(
    signing: dict[str, str], provider: Provider, engine: sa.Engine
) -> None:
    answer = provider.twilio(MESSAGES, CALLBACK, **signing)
    assert (403, "invalid_signature", 0) == (answer.status, answer.code, fact_count(engine))


OWNED = [{"token": SUB_TOKEN}, {"token": SUB_SHARED_KEY, "shared": SHARED_SETTINGS}]


@pytest.mark.parametrize(
    ("account", "status"), [(SUBACCOUNT, 200), (ACCOUNT, 403), (..., 403)], ids=str
)
@pytest.mark.parametrize("signing", OWNED, ids=["token", "shared key"])
def test_the_key_of_an_account_counts_for_that_account_alone(
    signing: dict[str, str], account: object, status: int, provider: Provider
) -> None:
    form = status_callback(AccountSid=account)
    assert status == provider.twilio(MESSAGES, form, **signing).status


@pytest.mark.parametrize("signing", OWNED, ids=["token", "shared key"])
def test_the_key_of_an_account_reaches_no_tenant_that_it_is_not_mapped_to(
    signing: dict[str, str], provider: Provider, engine: sa.Engine
) -> None:
    form = status_callback(AccountSid=SUBACCOUNT)
    provider.twilio(f"{MESSAGES}?tenant=acme", form, **signing)
    assert [("karachi", 1, 1)] == usages(engine)


def test_the_key_of_a_subuser_reaches_no_tenant_that_it_is_not_mapped_to(
    provider: Provider, engine: sa.Engine, subusers_key: MailKey
) -> None:
    provider.sendgrid(mail_event(tenant="karachi"), key=subusers_key)
    assert [("acme", 1, 1)] == usages(engine)


@pytest.mark.parametrize(
    "change",
    [
        lambda h: {**h, TWILIO_SIGNATURE: "no base64 at all é"},
        lambda h: {**h, TWILIO_SIGNATURE: h[TWILIO_SIGNATURE][:-1]},
        lambda h: {**h, TWILIO_SIGNATURE: "A" * 8000},
        lambda h: {**h, SHARED: "algorithm=HMAC_MD5"},
        lambda h: {**h, SHARED: "é,=,,algorithm="},
    ],
)
def test_a_malformed_header_of_twilio_is_refused(
    change: Callable[[Headers], Headers], provider: Provider
) -> None:
    answer = post_form(provider, change)
    assert (403, "invalid_signature") == (answer.status, answer.code)


def test_a_webhook_of_twilio_without_a_signature_is_refused(provider: Provider) -> None:
    answer = post_form(provider, lambda h: without(h, TWILIO_SIGNATURE))
    assert (403, "missing_signature") == (answer.status, answer.code)


@pytest.mark.parametrize("cut", [1, len(BODY) // 2, len(BODY)])
def test_a_truncated_form_is_refused(cut: int, provider: Provider, engine: sa.Engine) -> None:
    answer = provider.post(MESSAGES, BODY[:-cut], sign_form(CALLBACK, MESSAGES))
    assert (403, 0) == (answer.status, fact_count(engine))


@pytest.mark.parametrize(
    "target", [CALLS, f"{MESSAGES}?tenant=karachi", f"{MESSAGES}?", f"{MESSAGES}?tenant=acme&x"]
)
def test_what_was_signed_for_another_address_is_refused(
    target: str, provider: Provider, engine: sa.Engine
) -> None:
    headers = sign_form(CALLBACK, f"{MESSAGES}?tenant=acme")
    assert (403, 0) == (provider.post(target, BODY, headers).status, fact_count(engine))


@pytest.mark.parametrize("query", ["?tenant=acme&note=%C3%A9%20x+y", "?tenant=acme&x&y=", "?a=%zz"])
def test_the_query_is_signed_as_it_was_received(query: str, provider: Provider) -> None:
    assert 200 == provider.twilio(f"{MESSAGES}{query}", CALLBACK).status


def test_every_parameter_is_signed_also_an_empty_one_and_one_that_is_new(
    provider: Provider,
) -> None:
    form = status_callback(FutureParameter=" é+ ", Empty="")
    assert 200 == provider.twilio(MESSAGES, form).status


@pytest.mark.parametrize("body", [b"\xff\xfe=1", b"a=%ff", b"&".join(b"a=1" for _ in range(501))])
def test_a_form_that_is_none_is_refused(body: bytes, provider: Provider) -> None:
    answer = provider.post(MESSAGES, body, sign_form({}, MESSAGES))
    assert (400, "malformed_form") == (answer.status, answer.code)


def test_a_parameter_with_two_values_is_refused(provider: Provider) -> None:
    forms = [("MessageStatus", "failed"), *CALLBACK.items()]
    signed = {**CALLBACK, "MessageStatus": "deliveredMessageStatusfailed"}
    answer = provider.post(MESSAGES, urlencode(forms).encode(), sign_form(signed, MESSAGES))
    assert (400, "repeated_parameter") == (answer.status, answer.code)


@pytest.mark.parametrize("target", [MESSAGES, CALLS, MAILS])
def test_another_type_is_refused(target: str, provider: Provider) -> None:
    signed = {**sign_form(CALLBACK, target), **provider.mail_key.sign(BODY)}
    answer = provider.post(target, BODY, {**signed, "Content-Type": "text/plain"})
    assert (415, "unsupported_type") == (answer.status, answer.code)


@pytest.mark.parametrize("target", [MESSAGES, CALLS, MAILS])
def test_an_oversized_body_is_refused_and_counted(
    target: str, provider: Provider, services: Services
) -> None:
    body = b"a=" + b"b" * services.settings.max_body_bytes
    signed = provider.mail_key.sign(body) if target == MAILS else sign_form({}, target)
    answer = provider.post(target, body, signed)
    name = "sendgrid" if target == MAILS else "twilio"
    expected = {(name, "body_too_large"): 1}
    assert (413, expected) == (answer.status, services.tally.snapshot())


def test_a_body_that_breaks_off_books_nothing(
    nginx: Nginx, provider: Provider, engine: sa.Engine
) -> None:
    headers = {**provider.mail_key.sign(MAIL_BODY), "Content-Length": str(len(MAIL_BODY))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with (
        socket.create_connection(("127.0.0.1", nginx.port)) as plain,
        nginx.trusting.wrap_socket(plain, server_hostname=PUBLIC_HOST) as broken,
    ):
        broken.sendall(f"POST {MAILS} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + MAIL_BODY[:-9])
        broken.shutdown(socket.SHUT_WR)
        try:
            told = broken.recv(100)
        except (OSError, ssl.SSLError):
            told = b""
    assert (True, 0) == (not told or b" 400 " in told, fact_count(engine))


@pytest.mark.parametrize(
    "change",
    [
        lambda h: {**h, MAIL_SIGNATURE: "A"},
        lambda h: {**h, MAIL_SIGNATURE: "é"},
        lambda h: {**h, MAIL_SIGNATURE: "AAAA"},
        lambda h: {**h, MAIL_SIGNATURE: h[MAIL_SIGNATURE][4:]},
        lambda h: {**h, MAIL_TIMESTAMP: "soon"},
        lambda h: {**h, MAIL_TIMESTAMP: "\u00b2"},
        lambda h: {**h, MAIL_TIMESTAMP: str(int(h[MAIL_TIMESTAMP]) + 1)},
    ],
)
def test_a_malformed_header_of_sendgrid_is_refused(
    change: Callable[[Headers], Headers], provider: Provider
) -> None:
    answer = post_mails(provider, change)
    assert (403, "invalid_signature") == (answer.status, answer.code)


@pytest.mark.parametrize("name", [MAIL_SIGNATURE, MAIL_TIMESTAMP])
def test_a_webhook_of_sendgrid_without_a_header_is_refused(name: str, provider: Provider) -> None:
    answer = post_mails(provider, lambda h: without(h, name))
    expected = f"the header {name} of the signature is missing"
    assert (403, "missing_signature", expected) == (
        answer.status,
        answer.code,
        json.loads(answer.body)["detail"],
    )


def test_what_another_key_signed_is_refused(provider: Provider, engine: sa.Engine) -> None:
    answer = provider.sendgrid(mail_event(), key=MailKey())
    assert (403, 0) == (answer.status, fact_count(engine))


def test_a_body_that_was_written_anew_is_refused(provider: Provider) -> None:
    again = json.dumps([mail_event()], separators=(",", ":")).encode()
    assert 403 == provider.post(MAILS, again, provider.mail_key.sign(MAIL_BODY)).status


def test_a_body_that_is_no_utf8_is_refused(provider: Provider) -> None:
    body = b'[{"event": "\xff"}]'
    assert 403 == provider.post(MAILS, body, provider.mail_key.sign(body)).status


@pytest.mark.parametrize(("apart", "status"), [(-301, 403), (-300, 204), (300, 204), (301, 403)])
def test_what_was_signed_five_minutes_apart_is_refused(
    apart: int, status: int, provider: Provider
) -> None:
    at = NOW + timedelta(seconds=apart)
    assert status == provider.sendgrid(mail_event(), at=at).status


def test_refusals_are_counted_by_their_reason(provider: Provider, services: Services) -> None:
    provider.twilio(MESSAGES, CALLBACK, token="another-token")
    provider.post(MESSAGES, BODY, {"Content-Type": FORM})
    provider.sendgrid(mail_event(), at=NOW - timedelta(hours=1))
    expected = {
        ("twilio", "invalid_signature"): 1,
        ("twilio", "missing_signature"): 1,
        ("sendgrid", "stale_signature"): 1,
    }
    assert expected == services.tally.snapshot()


def bare_client(services: Services, settings: Settings) -> FlaskClient:
    return create_app(replace(services, settings=settings)).test_client()


@pytest.mark.parametrize("target", [MESSAGES, CALLS, MAILS])
def test_without_a_key_webhooks_are_unavailable_and_say_what_to_set(
    target: str, services: Services
) -> None:
    answer = bare_client(services, Settings()).post(target)
    assert (503, "webhook_not_configured", True) == (
        answer.status_code,
        answer.get_json()["code"],
        "METERLINE_" in answer.get_json()["detail"],
    )


@pytest.mark.parametrize("key", ["bm8ga2V5", "not-base64!", "AAAA"])
def test_a_key_that_is_none_is_told_before_anything_is_served(key: str, services: Services) -> None:
    with pytest.raises(InvalidError, match="METERLINE_SENDGRID_PUBLIC_KEY"):
        bare_client(services, Settings(sendgrid_public_key=SecretStr(key)))
