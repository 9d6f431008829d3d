"""Headers of every answer that tell a browser how little it may do with it."""

from flask import Response, current_app, g, request

from api.auth.policy import policy_of

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

WITH_FRAMES = f"{CONTENT_SECURITY_POLICY}; frame-src 'self'"
"""Of a page that shows panels of Grafana, which come from the same origin."""

_ALWAYS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_HSTS = "max-age=31536000"


def add_security_headers(response: Response) -> Response:
    """Add the headers to an answer, and keep it out of caches unless it is everybody's."""
    response.headers.update(_ALWAYS)
    if g.get("embeds_frames"):
        response.headers["Content-Security-Policy"] = WITH_FRAMES
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = _HSTS
    if not _is_for_everybody(response):
        response.headers["Cache-Control"] = "no-store"
    return response


def _is_for_everybody(response: Response) -> bool:
    if request.endpoint is None or "Set-Cookie" in response.headers:
        return False
    return policy_of(current_app, request.endpoint).public
