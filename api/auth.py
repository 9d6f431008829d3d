"""Who calls: decided once, at the edge, from the credential alone."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flask import current_app, g, request
from flask_openapi.models.security_scheme import SecurityScheme

from api.errors import UnauthorizedError
from api.services import Services
from ledger.errors import ForbiddenError
from ledger.keys import ApiKey, Scope, find_key
from ledger.session import operator_session

P = ParamSpec("P")
R = TypeVar("R")

BEARER_SCHEME: dict[str, SecurityScheme | dict[str, Any]] = {
    "api_key": {"type": "http", "scheme": "bearer"}
}


def require_scope(scope: Scope) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a view run only for a valid API key with `scope`; `caller()` then returns the key."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            key = _authenticate(Services.of(current_app))
            if scope not in key.scopes:
                raise ForbiddenError(
                    "missing_scope", f"this key may not be used here; it lacks scope {scope}"
                )
            g.caller = key
            return view(*args, **kwargs)

        return guarded

    return decorate


def caller() -> ApiKey:
    """Return the key of the current request; only inside a guarded view."""
    key: ApiKey = g.caller
    return key


def _authenticate(services: Services) -> ApiKey:
    authorization = request.authorization
    if authorization is None or authorization.type != "bearer" or not authorization.token:
        raise UnauthorizedError(
            "missing_credential", "send an API key: Authorization: Bearer mtl_…"
        )
    with operator_session(services.engine) as session:
        key = find_key(session, authorization.token)
    if key is None:
        raise UnauthorizedError("invalid_credential", "this API key is unknown or was revoked")
    return key
