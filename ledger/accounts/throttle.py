"""Counts sign-ins that failed, in the ledger, so that all worker processes share one count.

Check and record in one writing transaction, before the password is looked at, and forget after it
was right: then tries that come at once are counted one after the other.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from uuid import uuid4

import sqlalchemy as sa

from ledger.digest import digest_secret
from ledger.errors import Kind, MeterlineError
from ledger.models import sign_in_failures
from ledger.session import OperatorSession

WINDOW = timedelta(minutes=15)
MAX_OF_LOGIN = 5
"""Most failures of one login from one address within the window."""
MAX_OF_ADDRESS = 20
"""Most failures from one address within the window, whatever the logins."""

_SITE_BITS = 64

_FAILURES = sign_in_failures.c


class ThrottledError(MeterlineError):
    """Too many sign-ins failed; the next may come after `retry_after` seconds."""

    kind = Kind.FORBIDDEN

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "too_many_attempts", f"too many sign-ins failed; try again in {retry_after} seconds"
        )
        self.retry_after = retry_after


def check_throttle(session: OperatorSession, login: str, address: str, *, now: datetime) -> None:
    """Check that this login from this address may try another password.

    Raises:
        ThrottledError: `too_many_attempts`, with when to come again.
    """
    query = (
        sa.select(_FAILURES.login_hash, _FAILURES.failed_at)
        .where(_FAILURES.address_hash == _digest_site(address), _FAILURES.failed_at > now - WINDOW)
        .order_by(_FAILURES.failed_at.desc())
    )
    found = session.connection.execute(query).all()
    wanted = digest_secret(login)
    of_login = [failed_at for login_hash, failed_at in found if login_hash == wanted]
    of_address = [failed_at for _, failed_at in found]
    free_at = max(
        _free_at(of_login, MAX_OF_LOGIN, now=now), _free_at(of_address, MAX_OF_ADDRESS, now=now)
    )
    if free_at > now:
        raise ThrottledError(math.ceil((free_at - now).total_seconds()))


def record_failure(session: OperatorSession, login: str, address: str, *, now: datetime) -> None:
    """Count a failure; those that are older than the window are taken out on the way."""
    session.connection.execute(
        sa.delete(sign_in_failures).where(_FAILURES.failed_at <= now - WINDOW)
    )
    session.connection.execute(
        sa.insert(sign_in_failures).values(
            failure_id=uuid4(),
            address_hash=_digest_site(address),
            login_hash=digest_secret(login),
            failed_at=now,
        )
    )


def forget_failures(session: OperatorSession, login: str, address: str) -> None:
    """Count the failures of this login from this address no more, since its password was right."""
    session.connection.execute(
        sa.delete(sign_in_failures).where(
            _FAILURES.address_hash == _digest_site(address),
            _FAILURES.login_hash == digest_secret(login),
        )
    )


def _free_at(failures: Sequence[datetime], most: int, *, now: datetime) -> datetime:
    """Return when fewer than `most` of the failures, newest first, are in the window."""
    return now if len(failures) < most else failures[most - 1] + WINDOW


def _digest_site(address: str) -> bytes:
    """Condense an address. A site has 2^64 addresses of IPv6, which count as one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return digest_secret(address)
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped or ip_network((parsed, _SITE_BITS), strict=False)[0]
    return digest_secret(str(parsed))
