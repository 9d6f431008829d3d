"""Transactions on the ledger. One reads or writes for one tenant; seeing all is another call."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from ledger import postgresql, sqlite
from ledger.engine import BEGIN, is_postgresql
from ledger.errors import UnavailableError
from ledger.tenant import TenantId, parse_tenant_id

# What PostgreSQL says when it gave one of two transactions up so that the other could go on:
# serialization_failure and deadlock_detected.
_GIVEN_UP = frozenset({"40001", "40P01"})
# What a standby says where a transaction that writes begins: feature_not_supported.
_STANDBY = "0A000"


# What it says when others held something for too long, or a statement took too long:
# lock_not_available and query_canceled.
_HELD_UP = frozenset({"55P03", "57014"})


class BusyError(UnavailableError):
    """The database answers, and this transaction did not get what it needs from it in time."""


class ContentionError(BusyError):
    """The database gave this transaction up in favour of another one: do it again."""


_ATTEMPTS = 5

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class TenantSession:
    """One transaction for one tenant. Cannot be built without the tenant."""

    tenant_id: TenantId
    connection: sa.Connection

    def __post_init__(self) -> None:
        parse_tenant_id(self.tenant_id, reserved=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatorSession:
    """One transaction that may see every tenant. For workers and operators, never for a tenant."""

    connection: sa.Connection


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnerSession:
    """One transaction on the schema, as the owner of the tables. Rows are behind the walls."""

    connection: sa.Connection


@contextmanager
def tenant_session(
    engine: sa.Engine, tenant_id: TenantId, *, write: bool = False
) -> Iterator[TenantSession]:
    """Open a transaction for one tenant; commit at the end, roll back on an error.

    One that only reads sees one snapshot.

    Raises:
        UnavailableError: `ledger_unavailable`, when the database does not answer or stays locked;
            a `BusyError` where others may go through, a `ContentionError` where the same one may
            at once.
    """
    parse_tenant_id(tenant_id, reserved=True)

    def begin(connection: sa.Connection) -> str:
        if is_postgresql(connection):
            return postgresql.begin_tenant(connection, tenant_id, write=write)
        return sqlite.begin(write=write)

    with _transaction(engine, begin) as connection:
        yield TenantSession(tenant_id=tenant_id, connection=connection)


@contextmanager
def operator_session(engine: sa.Engine, *, write: bool = False) -> Iterator[OperatorSession]:
    """Open a transaction over all tenants; commit at the end, roll back on an error.

    One that only reads sees one snapshot. Those that write come one after the other.

    Raises:
        UnavailableError: see `tenant_session`.
    """

    def begin(connection: sa.Connection) -> str:
        if is_postgresql(connection):
            return postgresql.begin_operator(connection, write=write)
        return sqlite.begin(write=write)

    with _transaction(engine, begin) as connection:
        yield OperatorSession(connection=connection)


@contextmanager
def owner_session(engine: sa.Engine, *, write: bool = False) -> Iterator[OwnerSession]:
    """Open a transaction on the schema; commit at the end, roll back on an error.

    Raises:
        UnavailableError: see `tenant_session`.
    """

    def begin(connection: sa.Connection) -> str:
        if is_postgresql(connection):
            return postgresql.begin_owner(connection, write=write)
        return sqlite.begin(write=write)

    with _transaction(engine, begin) as connection:
        yield OwnerSession(connection=connection)


def insist(transaction: Callable[[], _T]) -> _T:
    """Do a whole transaction, again where the database gave it up in favour of another one.

    Raises:
        UnavailableError: what the last attempt raised.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return transaction()
        except ContentionError:
            continue
    return transaction()


@contextmanager
def translate_errors() -> Iterator[None]:
    """Tell that the database does not answer in our own words; bugs stay what they are.

    Raises:
        UnavailableError: see `tenant_session`.
    """
    try:
        yield
    except DBAPIError as error:
        if not _is_without_answer(error):
            raise
        raise _unavailable(error) from error
    except sa.exc.TimeoutError as error:
        raise UnavailableError(
            "ledger_unavailable", "all connections of this process to the ledger are in use"
        ) from error


@contextmanager
def _transaction(
    engine: sa.Engine, begin: Callable[[sa.Connection], str]
) -> Iterator[sa.Connection]:
    with translate_errors(), _begun(engine, begin) as connection:
        yield connection


@contextmanager
def _begun(engine: sa.Engine, begin: Callable[[sa.Connection], str]) -> Iterator[sa.Connection]:
    connection = _open(engine, begin)
    try:
        with connection.get_transaction() or connection.begin():
            yield connection
    finally:
        connection.close()


def _open(engine: sa.Engine, begin: Callable[[sa.Connection], str]) -> sa.Connection:
    """Return a connection in a transaction that has begun.

    A pooled connection can be dead since the server was started anew. As nothing was done yet, a
    fresh one takes its place, and no query is spent on asking.
    """
    try:
        return _try_to_open(engine, begin)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        return _try_to_open(engine, begin)


def _try_to_open(engine: sa.Engine, begin: Callable[[sa.Connection], str]) -> sa.Connection:
    connection = engine.connect()
    try:
        connection = connection.execution_options(**{BEGIN: begin(connection)})
        connection.begin()
    except BaseException:
        connection.close()
        raise
    return connection


def _is_without_answer(error: DBAPIError) -> bool:
    # A damaged SQLite file is told by the plain class; the other subclasses are our bugs, unless
    # the connection went away.
    return (
        type(error) in (OperationalError, DatabaseError)
        or error.connection_invalidated
        or _state(error) == _STANDBY
    )


def _state(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _unavailable(error: DBAPIError) -> UnavailableError:
    message = f"the ledger did not answer: {' '.join(str(error.orig).split())}"
    if _state(error) in _GIVEN_UP:
        return ContentionError("ledger_unavailable", message)
    if _state(error) in _HELD_UP:
        return BusyError("ledger_unavailable", message)
    return UnavailableError("ledger_unavailable", message)
