"""API keys: 256 random bits, stored as a SHA-256 digest, shown once when they are made."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from ledger.digest import digest_secret
from ledger.errors import InvalidError, MissingError
from ledger.models import api_keys
from ledger.one_message import ask
from ledger.session import OperatorSession
from ledger.tenant import TenantId

KEY_PREFIX = "mtl_"
"""What every secret of a key starts with."""


class Scope(StrEnum):
    """What a key may be used for."""

    INGEST = "ingest"
    READ = "read"
    TENANTS = "tenants"
    SERIES = "series"


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKey:
    """A key without its secret. `tenant_id` None: the key belongs to the host, not to a tenant."""

    key_id: str
    tenant_id: TenantId | None
    scopes: frozenset[Scope]
    label: str
    created_at: datetime
    revoked_at: datetime | None


def parse_scope(text: str) -> Scope:
    """Check the name of a scope.

    Raises:
        InvalidError: `unknown_scope`.
    """
    try:
        return Scope(text)
    except ValueError:
        raise InvalidError(
            "unknown_scope", f"scopes are {', '.join(Scope)}", key="scope", value=text
        ) from None


def create_key(
    session: OperatorSession,
    *,
    scopes: frozenset[Scope],
    label: str,
    tenant_id: TenantId | None,
    now: datetime,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its secret, which is stored nowhere."""
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        key_id=secrets.token_hex(4),
        tenant_id=tenant_id,
        scopes=scopes,
        label=label,
        created_at=now,
        revoked_at=None,
    )
    session.connection.execute(
        sa.insert(api_keys).values(
            key_id=key.key_id,
            key_hash=digest_secret(secret),
            tenant_id=tenant_id,
            scopes=" ".join(sorted(scopes)),
            label=label,
            created_at=now,
        )
    )
    return key, secret


_BY_DIGEST = sa.select(api_keys).where(
    api_keys.c.key_hash == sa.bindparam("digest"), api_keys.c.revoked_at.is_(None)
)


def look_up_key(engine: sa.Engine, secret: str) -> ApiKey | None:
    """Return the key with this secret, unless there is none or it was revoked.

    By a transaction of its own that is as short as can be.
    """
    return next(map(_key, ask(engine, _BY_DIGEST, digest=digest_secret(secret))), None)


def list_keys(session: OperatorSession) -> list[ApiKey]:
    """Return all keys, revoked ones too, oldest first."""
    query = sa.select(api_keys).order_by(api_keys.c.created_at, api_keys.c.key_id)
    return [_key(row) for row in session.connection.execute(query)]


def revoke_key(session: OperatorSession, key_id: str, *, now: datetime) -> None:
    """Make a key useless from now on; revoking it again changes nothing.

    Raises:
        MissingError: `unknown_key`.
    """
    statement = (
        sa.update(api_keys)
        .where(api_keys.c.key_id == key_id)
        .values(revoked_at=sa.func.coalesce(api_keys.c.revoked_at, sa.bindparam("now", now)))
    )
    if session.connection.execute(statement).rowcount == 0:
        raise MissingError("unknown_key", f"there is no key {key_id}", key="key", value=key_id)


def _key(row: Sequence[Any]) -> ApiKey:
    values = dict(zip(api_keys.c.keys(), row, strict=True))
    return ApiKey(
        key_id=values["key_id"],
        tenant_id=values["tenant_id"],
        scopes=frozenset(Scope(name) for name in values["scopes"].split()),
        label=values["label"],
        created_at=values["created_at"],
        revoked_at=values["revoked_at"],
    )
