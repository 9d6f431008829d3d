"""Reads who calls from the credential of a request, and from nothing else."""

from flask import request
from werkzeug.datastructures import Authorization

from api.auth.caller import Caller
from api.auth.cookies import SESSION, read_cookie
from api.auth.csrf import make_csrf
from api.auth.policy import Policy
from api.errors import UnauthorizedError
from api.services import Services
from ledger.accounts.sign_ins import find_sign_in
from ledger.keys import KEY_PREFIX, look_up_key
from ledger.session import operator_session


def read_credential(policy: Policy, services: Services) -> Caller | None:
    """Return who sent the request; None where it carries no credential that counts here.

    A request with an Authorization header is judged by that alone: a bad one does not become good
    because a browser added a cookie.

    Raises:
        UnauthorizedError: `invalid_credential` or `missing_credential`.
    """
    if "Authorization" in request.headers:
        return _read_authorization(policy, services)
    token = read_cookie(SESSION) if policy.cookie else None
    return None if token is None else _read_sign_in(token, services)


def _read_authorization(policy: Policy, services: Services) -> Caller:
    authorization = request.authorization
    token = None if authorization is None else _read_secret(authorization, policy)
    if not token:
        raise UnauthorizedError(
            "missing_credential", "the Authorization header must be: Bearer and a credential"
        )
    if token.startswith(KEY_PREFIX):
        return _read_key(token, services)
    if services.host_tokens is None:
        raise UnauthorizedError(
            "invalid_credential", "this is not an API key, and tokens of a host are not set up here"
        )
    return services.host_tokens.read(token, now=services.clock())


def _read_secret(authorization: Authorization, policy: Policy) -> str | None:
    """Return the secret in an Authorization header; None where it is of no form that counts."""
    if authorization.type == "bearer":
        return authorization.token
    if not policy.influx_forms:
        return None
    # Basic is what Grafana makes of a user and a password; who the user is decides nothing.
    if authorization.type == "basic":
        return authorization.password
    return authorization.token if authorization.type == "token" else None


def _read_key(secret: str, services: Services) -> Caller:
    key = look_up_key(services.engine, secret)
    if key is None:
        raise UnauthorizedError("invalid_credential", "this API key is unknown or was revoked")
    return Caller(subject=f"key:{key.key_id}", scopes=key.scopes, tenant_id=key.tenant_id)


def _read_sign_in(token: str, services: Services) -> Caller | None:
    """Return who is signed in with this token; None where that has ended."""
    with operator_session(services.engine) as session:
        found = find_sign_in(session, token, now=services.clock())
    if found is None:
        return None
    return Caller(
        subject=found.subject,
        role=found.role,
        tenant_id=found.tenant_id,
        csrf=make_csrf(token),
    )
