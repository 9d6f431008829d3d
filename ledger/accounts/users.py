"""People with a password of ours. A login is a name, never an e-mail address."""

import re
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from ledger.accounts.passwords import hash_password, needs_rehash, verify_password
from ledger.accounts.roles import Role, check_role_tenant
from ledger.errors import ConflictError, InvalidError, MissingError
from ledger.models import users
from ledger.session import OperatorSession
from ledger.tenant import TenantId
from ledger.tenants import get_tenant

_LOGIN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A user without the password's hash. `tenant_id` None: an operator, who sees all tenants."""

    login: str
    role: Role
    tenant_id: TenantId | None
    created_at: datetime
    disabled_at: datetime | None


def parse_login(text: object) -> str:
    """Check that `text` can be a login.

    Raises:
        InvalidError: `invalid_login`; the text is not repeated, since it may be personal.
    """
    if isinstance(text, str) and _LOGIN.fullmatch(text):
        return text
    raise InvalidError(
        "invalid_login",
        "a login has 1 to 64 of a-z 0-9 _ . -, starts with a letter or digit and is not an e-mail"
        " address",
        key="login",
    )


def add_user(  # noqa: PLR0913 - each argument is a column; keyword-only keeps calls readable
    session: OperatorSession,
    *,
    login: str,
    role: Role,
    tenant_id: TenantId | None,
    password: str,
    now: datetime,
) -> User:
    """Register a user, whose password is stored as a hash alone.

    Raises:
        InvalidError: `invalid_login`, `role_without_tenant`, `role_with_tenant`, `weak_password`.
        MissingError: `unknown_tenant`.
        ConflictError: `user_exists`; a disabled user keeps the login.
    """
    check_role_tenant(role, tenant_id)
    if tenant_id is not None:
        get_tenant(session, tenant_id)
    if find_user(session, parse_login(login)) is not None:
        raise ConflictError("user_exists", f"user {login} is there already", key="login")
    session.connection.execute(
        sa.insert(users).values(
            login=login,
            role=role,
            tenant_id=tenant_id,
            password_hash=hash_password(password),
            created_at=now,
        )
    )
    return User(login=login, role=role, tenant_id=tenant_id, created_at=now, disabled_at=None)


def find_user(session: OperatorSession, login: str) -> User | None:
    """Return the user with this login, a disabled one too."""
    row = _find(session, login)
    return None if row is None else _user(row)


def list_users(session: OperatorSession) -> list[User]:
    """Return all users, disabled ones too, ordered by login."""
    query = sa.select(users).order_by(users.c.login)
    return [_user(row) for row in session.connection.execute(query)]


def disable_user(session: OperatorSession, login: str, *, now: datetime) -> None:
    """Let a user in no more, also where a browser is signed in; doing it again changes nothing.

    Raises:
        MissingError: `unknown_user`.
    """
    statement = (
        sa.update(users)
        .where(users.c.login == login)
        .values(disabled_at=sa.func.coalesce(users.c.disabled_at, sa.bindparam("now", now)))
    )
    if session.connection.execute(statement).rowcount == 0:
        raise MissingError("unknown_user", f"there is no user {login}", key="login", value=login)


def authenticate(session: OperatorSession, login: str, password: str) -> User | None:
    """Return the user whose login and password these are, unless there is none or is disabled.

    Takes as long for a login that is not there. Only reads, so that nobody waits for the ledger
    while a password is hashed; `renew_hash` writes what there is to write.
    """
    row = _find(session, login) if _LOGIN.fullmatch(login) else None
    matches = verify_password(None if row is None else row.password_hash, password)
    if row is None or not matches or row.disabled_at is not None:
        return None
    return _user(row)


def renew_hash(session: OperatorSession, login: str, password: str) -> None:
    """Store a password that was just found right by the parameters of today, if it is not yet."""
    row = _find(session, login)
    if row is not None and needs_rehash(row.password_hash):
        session.connection.execute(
            sa.update(users)
            .where(users.c.login == login)
            .values(password_hash=hash_password(password))
        )


def _find(session: OperatorSession, login: str) -> sa.Row[tuple[object, ...]] | None:
    query = sa.select(users).where(users.c.login == login)
    return session.connection.execute(query).one_or_none()


def _user(row: sa.Row[tuple[object, ...]]) -> User:
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's documented way to read a row by name
    return User(
        login=values["login"],
        role=Role(values["role"]),
        tenant_id=values["tenant_id"],
        created_at=values["created_at"],
        disabled_at=values["disabled_at"],
    )
