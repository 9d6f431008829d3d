"""One-time links: the host's server vouches for a person whose browser then comes by itself."""

import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa

from ledger.accounts.identity import Identity
from ledger.accounts.roles import Role
from ledger.digest import digest_secret
from ledger.models import sign_in_links
from ledger.session import OperatorSession
from ledger.tenant import TenantId

LIFETIME = timedelta(seconds=60)

_CODE_BYTES = 32


def create_link(  # noqa: PLR0913 - each argument is a column; keyword-only keeps calls readable
    session: OperatorSession,
    *,
    subject: str,
    role: Role,
    tenant_id: TenantId | None,
    now: datetime,
    lifetime: timedelta = LIFETIME,
) -> str:
    """Return a code that signs this person in, once; only its digest is stored.

    Links that expired are taken out on the way.

    Raises:
        InvalidError: see `Identity`.
    """
    person = Identity(subject=subject, role=role, tenant_id=tenant_id)
    code = secrets.token_urlsafe(_CODE_BYTES)
    session.connection.execute(sa.delete(sign_in_links).where(sign_in_links.c.expires_at <= now))
    session.connection.execute(
        sa.insert(sign_in_links).values(
            code_hash=digest_secret(code),
            subject=person.subject,
            role=person.role,
            tenant_id=person.tenant_id,
            expires_at=now + lifetime,
        )
    )
    return code


def is_open_link(session: OperatorSession, code: str, *, now: datetime) -> bool:
    """Whether a code could be redeemed now: to look costs no lock, and redeeming may still fail."""
    query = sa.select(sa.exists().where(*_open(code, now)))
    return bool(session.connection.execute(query).scalar_one())


def redeem_link(session: OperatorSession, code: str, *, now: datetime) -> Identity | None:
    """Return whom a code is for and make it useless; None where it expired, was used or is none.

    Taking it out and reading it is one statement, so of two who redeem it one gets it.
    """
    links = sign_in_links.c
    statement = (
        sa.delete(sign_in_links)
        .where(*_open(code, now))
        .returning(links.subject, links.role, links.tenant_id)
    )
    row = session.connection.execute(statement).one_or_none()
    if row is None:
        return None
    subject, role, tenant_id = row
    return Identity(subject=subject, role=Role(role), tenant_id=tenant_id)


def _open(code: str, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    links = sign_in_links.c
    return links.code_hash == digest_secret(code), links.expires_at > now
