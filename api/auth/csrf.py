"""Proof that a form was sent by our own page: a token that only a reader of the cookie can make."""

import hashlib
import hmac

from flask import request

from ledger.errors import ForbiddenError

FIELD = "csrf"
HEADER = "X-CSRF-Token"

_PURPOSE = b"meterline csrf token"


def make_csrf(secret: str) -> str:
    """Return the token of a form for whoever holds the cookie with this secret."""
    return hmac.new(secret.encode(), _PURPOSE, hashlib.sha256).hexdigest()


def check_csrf(expected: str) -> None:
    """Check that the current request sends the token back, as a header or a form field.

    Raises:
        ForbiddenError: `invalid_csrf_token`.
    """
    sent = request.headers.get(HEADER) or request.form.get(FIELD, "")
    if not hmac.compare_digest(expected.encode(), sent.encode()):
        raise ForbiddenError(
            "invalid_csrf_token", "this form has expired; reload the page and try again"
        )
