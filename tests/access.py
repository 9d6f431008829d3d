"""Makes credentials of every kind, so that a test names only what is wrong with its own."""

import json
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from jwt.api_jws import PyJWS

from ledger.accounts.roles import Role
from ledger.accounts.sign_ins import start_sign_in
from ledger.keys import Scope, create_key
from ledger.session import operator_session
from ledger.settings import Settings
from ledger.tenant import TenantId
from tests.builders import NOW

SECRET = "a secret that only host and tests know"
ISSUER = "https://host.example"
AUDIENCE = "meterline"
COOKIE = "__Host-meterline_session"


def host_settings(**changes: Any) -> Settings:
    """Return settings of a server that takes tokens signed with `SECRET`."""
    chosen = {
        "jwt_algorithm": "HS256",
        "jwt_secret": SECRET,
        "jwt_issuer": ISSUER,
        "jwt_audience": AUDIENCE,
    }
    return Settings(**{**chosen, **changes})


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of an admin of tenant acme, good for a minute; `...` leaves one out."""
    usual = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": (NOW + timedelta(minutes=1)).timestamp(),
        "sub": "usr_17",
        "role": "tenant_admin",
        "tenant_id": "acme",
    }
    return {key: value for key, value in {**usual, **changes}.items() if value is not ...}


def operator(**changes: Any) -> dict[str, Any]:
    """Return the claims of a root admin."""
    return claims(**{"role": "root_admin", "tenant_id": ..., **changes})


def sign(
    payload: dict[str, Any], key: Any = SECRET, algorithm: str = "HS256", kid: str | None = None
) -> str:
    """Return a token with these claims, also with such as no sound library would sign."""
    headers = {} if kid is None else {"kid": kid}
    return PyJWS().encode(json.dumps(payload).encode(), key, algorithm, headers=headers)


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token or a key."""
    return {"Authorization": f"Bearer {token}"}


def make_key(engine: sa.Engine, *scopes: Scope, tenant: str | None = None) -> str:
    """Return the secret of a new API key."""
    with operator_session(engine, write=True) as session:
        _, secret = create_key(
            session,
            scopes=frozenset(scopes),
            label="test",
            tenant_id=None if tenant is None else TenantId(tenant),
            now=NOW,
        )
    return secret


def make_sign_in(
    engine: sa.Engine, role: Role, tenant: str | None = "acme", *, now: datetime = NOW
) -> str:
    """Return the token of a browser that was just signed in; operators have no tenant."""
    with operator_session(engine, write=True) as session:
        _, token = start_sign_in(
            session,
            subject="usr_17",
            role=role,
            tenant_id=TenantId(tenant) if tenant and role.is_tenant_role else None,
            login=None,
            now=now,
        )
    return token
