"""The signature of our webhooks: who has the secret can tell that a body is ours, and how old."""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime

HEADER = "Meterline-Signature"


def sign(body: bytes, secrets: Iterable[str], *, at: datetime) -> str:
    """Return the header's value: `t=1773144000,v1=…`, a `v1` for each secret.

    Each is the HMAC-SHA256 in hex of the seconds, a full stop and the body. The time is signed, so
    that a body that somebody kept cannot be sent again as a new one.
    """
    seconds = int(at.timestamp())
    signed = b"%d." % seconds + body
    marks = [hmac.new(one.encode(), signed, hashlib.sha256).hexdigest() for one in secrets]
    return ",".join([f"t={seconds}", *(f"v1={mark}" for mark in marks)])
