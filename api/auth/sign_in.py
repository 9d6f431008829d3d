"""Turns a password or a one-time link into a sign-in, always with a token that is new."""

import secrets
from datetime import timedelta
from typing import NamedTuple

from api.services import Services
from ledger.accounts.identity import Identity
from ledger.accounts.links import is_open_link, redeem_link
from ledger.accounts.roles import Role
from ledger.accounts.sign_ins import end_sign_in, start_sign_in
from ledger.accounts.throttle import check_throttle, forget_failures, record_failure
from ledger.accounts.users import authenticate, renew_hash
from ledger.session import OperatorSession, operator_session

FORM_LIFETIME = timedelta(hours=1)

_FORM_BYTES = 32


class Started(NamedTuple):
    """A browser that was just signed in."""

    token: str
    role: Role


def make_form_secret() -> str:
    """Return a new secret for a browser that is about to sign in."""
    return secrets.token_urlsafe(_FORM_BYTES)


def try_password(
    services: Services, login: str, password: str, *, address: str, replaces: str | None
) -> Started | None:
    """Sign in the user with this login and password; None where there is none.

    A try is counted before the password is looked at, so that tries at the same time do not pass
    the limit together. No transaction that writes is open while the password is hashed.

    Args:
        services: the running parts.
        login: as typed.
        password: as typed.
        address: of the client.
        replaces: token of the sign-in that the browser had before; it ends.

    Raises:
        ThrottledError: `too_many_attempts`.
    """
    now = services.clock()
    with operator_session(services.engine, write=True) as session:
        check_throttle(session, login, address, now=now)
        record_failure(session, login, address, now=now)
    with operator_session(services.engine) as session:
        user = authenticate(session, login, password)
    if user is None:
        return None
    person = Identity(subject=user.login, role=user.role, tenant_id=user.tenant_id)
    with operator_session(services.engine, write=True) as session:
        forget_failures(session, login, address)
        renew_hash(session, login, password)
        return _start(session, services, person, login=user.login, replaces=replaces)


def try_link(services: Services, code: str, replaces: str | None) -> Started | None:
    """Sign in the person whom a one-time link is for; None where it is of no use any more.

    Anybody may send any code: only one that looks good takes the lock that writers wait for.
    """
    now = services.clock()
    with operator_session(services.engine) as session:
        if not is_open_link(session, code, now=now):
            return None
    with operator_session(services.engine, write=True) as session:
        person = redeem_link(session, code, now=now)
        if person is None:
            return None
        return _start(session, services, person, login=None, replaces=replaces)


def end(services: Services, token: str | None) -> None:
    """End the sign-in with this token, if there is one."""
    if token is not None:
        with operator_session(services.engine, write=True) as session:
            end_sign_in(session, token)


def _start(
    session: OperatorSession,
    services: Services,
    person: Identity,
    *,
    login: str | None,
    replaces: str | None,
) -> Started:
    if replaces is not None:
        end_sign_in(session, replaces)
    started, token = start_sign_in(
        session,
        subject=person.subject,
        role=person.role,
        tenant_id=person.tenant_id,
        login=login,
        now=services.clock(),
    )
    return Started(token, started.role)
