"""Runs before every view: finds its policy, finds who calls, and lets nobody else in."""

from http import HTTPStatus
from urllib.parse import quote

from flask import current_app, g, redirect, request
from werkzeug.wrappers import Response

from api.auth.caller import Caller
from api.auth.credentials import read_credential
from api.auth.csrf import check_csrf
from api.auth.policy import judge, policy_of
from api.errors import UnauthorizedError
from api.pages.addresses import SIGN_IN
from api.pages.blueprint import is_page
from api.services import Services
from ledger.errors import ForbiddenError
from ledger.tenants import look_up_tenant

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def auth_middleware() -> Response | None:
    """Let the request pass to its view, or answer it here.

    Raises:
        UnauthorizedError: no credential, or one that does not hold.
        ForbiddenError: the caller may not do this.
    """
    if request.endpoint is None:
        return None  # there is no such route, and Flask says so
    policy = policy_of(current_app, request.endpoint)
    if policy.public:
        return None
    services = Services.of(current_app)
    found = read_credential(policy, services)
    if found is None:
        if is_page():
            return _to_sign_in()
        raise UnauthorizedError("missing_credential", "send a credential: Authorization: Bearer …")
    g.caller = found
    if found.csrf is not None and request.method not in _SAFE_METHODS:
        check_csrf(found.csrf)
    judge(policy, found)
    _require_registered(services, found)
    return None


def _to_sign_in() -> Response:
    """Send a browser to the sign-in page, and from there back to where it wanted to go."""
    if request.method not in _SAFE_METHODS:
        return redirect(SIGN_IN, HTTPStatus.SEE_OTHER)
    wanted = quote(request.path)
    if request.query_string:
        wanted += "?" + request.query_string.decode("latin-1")
    return redirect(f"{SIGN_IN}?next={quote(wanted, safe='/')}", HTTPStatus.SEE_OTHER)


def _require_registered(services: Services, found: Caller) -> None:
    """Refuse people of a tenant that is not there; keys are only made for one that is."""
    if found.role is None or found.tenant_id is None:
        return
    if look_up_tenant(services.engine, found.tenant_id) is not None:
        return
    raise ForbiddenError(
        "unknown_tenant",
        "the credential's tenant is not registered",
        key="tenant",
        value=found.tenant_id,
    )
