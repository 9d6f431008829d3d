"""A browser's session: 256 random bits in its cookie, stored as a SHA-256 digest."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from ledger.accounts.identity import Identity
from ledger.accounts.roles import Role
from ledger.digest import digest_secret
from ledger.models import sign_ins, users
from ledger.session import OperatorSession
from ledger.tenant import TenantId

LIFETIME = timedelta(hours=12)

_TOKEN_BYTES = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class SignIn(Identity):
    """A person who is signed in until `expires_at`."""

    expires_at: datetime


def start_sign_in(  # noqa: PLR0913 - each argument is a column; keyword-only keeps calls readable
    session: OperatorSession,
    *,
    subject: str,
    role: Role,
    tenant_id: TenantId | None,
    login: str | None,
    now: datetime,
    lifetime: timedelta = LIFETIME,
) -> tuple[SignIn, str]:
    """Sign a browser in; return that with its token, which is stored nowhere.

    Args:
        session: a writing one; sign-ins that expired are taken out on the way.
        subject: who it is, as the host or the user's login names them.
        role: what they may see.
        tenant_id: whose, for a tenant's role.
        login: the user of ours that this sign-in ends with, None where the host vouches.
        now: the current instant.
        lifetime: how long it holds.

    Raises:
        InvalidError: see `Identity`.
    """
    started = SignIn(subject=subject, role=role, tenant_id=tenant_id, expires_at=now + lifetime)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    session.connection.execute(sa.delete(sign_ins).where(sign_ins.c.expires_at <= now))
    session.connection.execute(
        sa.insert(sign_ins).values(
            token_hash=digest_secret(token),
            login=login,
            subject=subject,
            role=role,
            tenant_id=tenant_id,
            expires_at=started.expires_at,
        )
    )
    return started, token


def find_sign_in(session: OperatorSession, token: str, *, now: datetime) -> SignIn | None:
    """Return the sign-in with this token, unless it expired, ended or its user was disabled."""
    is_user = sa.exists().where(users.c.login == sign_ins.c.login, users.c.disabled_at.is_(None))
    query = sa.select(
        sign_ins.c.subject, sign_ins.c.role, sign_ins.c.tenant_id, sign_ins.c.expires_at
    ).where(
        sign_ins.c.token_hash == digest_secret(token),
        sign_ins.c.expires_at > now,
        sign_ins.c.login.is_(None) | is_user,
    )
    row = session.connection.execute(query).one_or_none()
    if row is None:
        return None
    subject, role, tenant_id, expires_at = row
    return SignIn(subject=subject, role=Role(role), tenant_id=tenant_id, expires_at=expires_at)


def end_sign_in(session: OperatorSession, token: str) -> None:
    """Sign a browser out; without such a sign-in nothing happens."""
    session.connection.execute(
        sa.delete(sign_ins).where(sign_ins.c.token_hash == digest_secret(token))
    )
