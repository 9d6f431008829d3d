"""Signs webhooks as providers do, with their own packages, and posts them through nginx."""

import base64
import http.client
import json
import urllib.parse
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twilio.request_validator import RequestValidator

from ledger.models import usage_facts, usage_metrics
from ledger.session import operator_session
from tests.builders import NOW
from tests.servers.nginx import PUBLIC_HOST, Nginx

PUBLIC_URL = f"https://{PUBLIC_HOST}"
ACCOUNT = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
SUBACCOUNT = "ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
TOKEN, OLD_TOKEN, SUB_TOKEN = "a-token-of-tests", "an-older-token", "a-token-of-a-subaccount"
SHARED_KEY, SUB_SHARED_KEY = "a-shared-key-of-tests", "a-shared-key-of-a-subaccount"
SHARED_SETTINGS = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
MESSAGES, CALLS, MAILS = "/webhooks/twilio/messages", "/webhooks/twilio/calls", "/webhooks/sendgrid"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
OWN, OTHERS = "+14155550100", "+14155550199"
TWILIO_SIGNATURE, SHARED = "X-Twilio-Signature", "X-Twilio-Webhooks-Signature-Settings"
MAIL_SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
MAIL_TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"

Headers = dict[str, str]
Fields = Mapping[str, Any]


def merged(usual: Fields, changes: Fields) -> dict[str, Any]:
    """Return fields with changes made to them; `...` leaves one out."""
    return {name: value for name, value in {**usual, **changes}.items() if value is not ...}


def status_callback(**changes: Any) -> dict[str, Any]:
    """Return the form of a delivered outbound message, as Twilio documents it."""
    usual = {
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "From": OWN,
        "MessageSid": "SM1342fe1b2c904d1ab04f0fc7a58abca9",
        "MessageStatus": "delivered",
        "SmsSid": "SM1342fe1b2c904d1ab04f0fc7a58abca9",
        "SmsStatus": "delivered",
        "To": OTHERS,
    }
    if "MessageStatus" in changes:
        changes = {"SmsStatus": changes["MessageStatus"], **changes}
    return merged(usual, changes)


def inbound_message(**changes: Any) -> dict[str, Any]:
    """Return the form of an inbound message, with what must never be stored."""
    usual = {
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "Body": "Hello, this is Jo",
        "From": OTHERS,
        "FromCity": "",
        "FromCountry": "US",
        "MessageSid": "SM5ab7891328b440f04b7c83b459fc85fd",
        "NumMedia": "0",
        "NumSegments": "2",
        "SmsMessageSid": "SM5ab7891328b440f04b7c83b459fc85fd",
        "SmsSid": "SM5ab7891328b440f04b7c83b459fc85fd",
        "SmsStatus": "received",
        "To": OWN,
    }
    return merged(usual, changes)


def call_status(**changes: Any) -> dict[str, Any]:
    """Return the form of an inbound call of 78 seconds that has ended."""
    usual = {
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "CallDuration": "78",
        "CallSid": "CA1d1ec19f7bdf4e5f3e6a45a5ec8cee60",
        "CallStatus": "completed",
        "Caller": OTHERS,
        "CallerName": "JO EXAMPLE",
        "Called": OWN,
        "Direction": "inbound",
        "From": OTHERS,
        "Timestamp": "Tue, 10 Mar 2026 11:58:30 +0000",
        "To": OWN,
    }
    return merged(usual, changes)


def mail_event(kind: str = "processed", **changes: Any) -> dict[str, Any]:
    """Return an event of SendGrid's webhook, with what must never be stored."""
    usual = {
        "email": "jo@example.test",
        "event": kind,
        "ip": "192.0.2.7",
        "sg_event_id": f"{kind}-0-29764377-A6FilwaAR_Wm_VTCEFql_w-0",
        "sg_message_id": "A6FilwaAR_Wm_VTCEFql_w.filterdrecv-66949dbc98-fvstg-1-648215A4-1D.0",
        "smtp-id": "<A6FilwaAR_Wm_VTCEFql_w@geopod-ismtpd-2>",
        "timestamp": int(NOW.timestamp()) - 5,
    }
    return merged(usual, changes)


def sign_form(
    form: Fields, target: str, *, token: str = TOKEN, url: str = PUBLIC_URL, shared: str = ""
) -> Headers:
    """Return the headers that Twilio signs a form with that it posts to a target."""
    algorithm = "HMAC_SHA256" if shared else None
    signature = RequestValidator(token).compute_signature(url + target, dict(form), algorithm)
    headers = {"Content-Type": FORM, TWILIO_SIGNATURE: signature}
    return {**headers, SHARED: shared} if shared else headers


class MailKey:
    """A key pair of SendGrid's event webhook."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key()
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.public = base64.b64encode(der).decode()

    def sign(self, body: bytes, at: datetime = NOW) -> Headers:
        """Return the headers that SendGrid signs a body with."""
        timestamp = str(int(at.timestamp()))
        signature = self._key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return {
            "Content-Type": JSON,
            MAIL_SIGNATURE: base64.b64encode(signature).decode(),
            MAIL_TIMESTAMP: timestamp,
        }


class Answer(NamedTuple):
    """What was answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """The code of the problem."""
        return str(json.loads(self.body)["code"])


class Provider:
    """Posts to the public address, over TLS, as a provider does."""

    def __init__(self, nginx: Nginx, mail_key: MailKey) -> None:
        self._nginx = nginx
        self.mail_key = mail_key

    def post(self, target: str, body: bytes, headers: Headers, host: str = PUBLIC_HOST) -> Answer:
        """Post a body as it is."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._nginx.port, timeout=30, context=self._nginx.trusting
        )
        try:
            connection.request("POST", target, body, {"Host": host, **headers})
            response = connection.getresponse()
            return Answer(response.status, response.read(), dict(response.headers))
        finally:
            connection.close()

    def json(self, target: str, value: object, headers: Headers) -> Answer:
        """Post what the host itself sends."""
        return self.post(target, json.dumps(value).encode(), headers)

    def twilio(self, target: str, form: Fields, **signing: Any) -> Answer:
        """Post a form that Twilio signed."""
        body = urllib.parse.urlencode(form).encode()
        return self.post(target, body, sign_form(form, target, **signing))

    def sendgrid(self, *events: object, at: datetime = NOW, key: MailKey | None = None) -> Answer:
        """Post events that SendGrid signed."""
        body = json.dumps(events).encode()
        return self.post(MAILS, body, (key or self.mail_key).sign(body, at))


def usages(engine: sa.Engine, *columns: str) -> list[tuple[Any, ...]]:
    """Return what all usages come to, in their order: what cancels out is not there.

    Tenant and the columns of raw rows that are asked for, then count and quantity.
    """
    raw = usage_metrics.c
    keys = [raw.tenant_id, *(raw[name] for name in columns)]
    query = sa.select(*keys, sa.func.sum(raw["count"]), sa.func.sum(raw.quantity)).group_by(*keys)
    with operator_session(engine) as session:
        found = [
            (*key, int(count), int(quantity))
            for *key, count, quantity in session.connection.execute(query)
        ]
    return sorted(row for row in found if any(row[-2:]))


def fact_count(engine: sa.Engine) -> int:
    """Return how many facts the ledger has."""
    with operator_session(engine) as session:
        return session.connection.scalar(sa.select(sa.func.count()).select_from(usage_facts)) or 0
