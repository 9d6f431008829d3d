"""Cookies: what a browser holds, out of reach of scripts and of other sites."""

from datetime import timedelta

from flask import current_app, request
from werkzeug.wrappers import Response

from api.services import Services

SESSION = "meterline_session"
FORM = "meterline_form"
"""Held by a browser that is not signed in yet, so that its sign-in form is its own."""


def read_cookie(name: str) -> str | None:
    """Return the value of one of our cookies, or None."""
    return request.cookies.get(_full_name(name)) or None


def set_cookie(response: Response, name: str, value: str, *, lifetime: timedelta) -> None:
    """Give the browser one of our cookies for a time."""
    response.set_cookie(
        _full_name(name),
        value,
        max_age=lifetime,
        secure=_is_secure(),
        httponly=True,
        samesite="Lax",
    )


def drop_cookie(response: Response, name: str) -> None:
    """Take one of our cookies from the browser."""
    response.delete_cookie(_full_name(name), secure=_is_secure(), httponly=True, samesite="Lax")


def _full_name(name: str) -> str:
    # With this prefix a browser takes the cookie from nobody but this very host, over https.
    return f"__Host-{name}" if _is_secure() else name


def _is_secure() -> bool:
    return Services.of(current_app).settings.secure_cookies
