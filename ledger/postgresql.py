"""The production ledger: roles that see one tenant or all, and transactions that begin as one.

A transaction begins with one message: its isolation, its role, its tenant and its limits. All of
it is `LOCAL`, so it ends with the transaction: a connection that is back in its pool is nobody's.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

from ledger.tenant import TenantId

MIN_VERSION = 15

TENANT_ROLE = "meterline_tenant"
"""Sees the rows of the tenant that the transaction is for, and no others."""
OPERATOR_ROLE = "meterline_operator"
"""Sees the rows of all tenants, by a policy of its own."""
TENANT_SETTING = "meterline.tenant_id"
"""Names the tenant of a transaction to the policies."""

_CONNECT_SECONDS = 5
# A machine that is gone says nothing: half a minute after its last word it is given up, both where
# something was sent to it and where an answer is waited for.
_SILENCE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
_LIMITS = "meterline_limits"
_CITUS = "meterline_citus"
_Cursor = TypeVar("_Cursor", bound=psycopg.Cursor[Any])
# Any fixed number of our own; of advisory locks there is one space a database.
_OPERATOR_LOCK = 0x4D4C_0001

_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How long a transaction may wait or take, in milliseconds; 0: as long as it wants.

    Attributes:
        lock: waiting for a lock.
        statement: one statement.
        idle: doing nothing while others may wait for what a writing transaction holds.
    """

    lock: int = 10_000
    statement: int = 0
    idle: int = 60_000


def create(url: sa.URL, *, pool_size: int, pool_seconds: float) -> sa.Engine:
    """Return an engine whose driver begins no transaction of its own accord."""
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=pool_seconds,
        connect_args={
            "autocommit": True,
            "connect_timeout": _CONNECT_SECONDS,
            **_SILENCE,
            "application_name": "meterline",
        },
    )
    event.listen(engine, "connect", _look_for_citus)
    event.listen(engine, "handle_error", _notice_end)
    return engine


def set_limits(engine: sa.Engine, limits: Limits) -> None:
    """Give every transaction of the engine these limits."""
    engine.update_execution_options(**{_LIMITS: limits})


def begin_tenant(connection: sa.Connection, tenant_id: TenantId, *, write: bool) -> str:
    """Return how a transaction of one tenant begins; a reading one sees one snapshot."""
    tenant = sql.Literal(tenant_id).as_string()
    return _begin(
        connection,
        f"SET LOCAL ROLE {TENANT_ROLE}",
        f"SET LOCAL {TENANT_SETTING} = {tenant}",
        write=write,
    )


def begin_operator(connection: sa.Connection, *, write: bool) -> str:
    """Return how a transaction over all tenants begins; a reading one sees one snapshot.

    Operators write one at a time, as on SQLite: what they check first is still true when they
    write. Bookings and costing are tenants' transactions and wait for none of them.
    """
    alone = [f"SELECT pg_advisory_xact_lock({_OPERATOR_LOCK})"] if write else []
    return _begin(connection, f"SET LOCAL ROLE {OPERATOR_ROLE}", *alone, write=write)


def begin_owner(connection: sa.Connection, *, write: bool) -> str:
    """Return how a transaction on the schema begins: as the role that signed in."""
    alone = [f"SELECT pg_advisory_xact_lock({_OPERATOR_LOCK})"] if write else []
    return _begin(connection, *alone, write=write)


def _begin(connection: sa.Connection, *entering: str, write: bool) -> str:
    limits: Limits = connection.get_execution_options()[_LIMITS]
    settings = [
        f"SET LOCAL lock_timeout = {limits.lock}",
        f"SET LOCAL statement_timeout = {limits.statement}",
    ]
    if write:
        settings.append(f"SET LOCAL idle_in_transaction_session_timeout = {limits.idle}")
    if has_citus(connection):
        # Without it the nodes of a cluster do not learn the role and the tenant.
        settings.append("SET LOCAL citus.propagate_set_commands = 'local'")
    return "; ".join((_WRITING if write else _SNAPSHOT, *settings, *entering))


@contextmanager
def waiting_patiently(connection: sa.Connection) -> Iterator[None]:
    """Wait for locks as long as it takes, and after that no longer than before."""
    limits: Limits = connection.get_execution_options()[_LIMITS]
    connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
    yield
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {limits.lock}")


def has_citus(connection: sa.Connection) -> bool:
    """Whether the database is one of a Citus cluster, as it was when the connection was made."""
    found: bool = connection.info[_CITUS]
    return found


def _look_for_citus(connection: Any, record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')")
        (record.info[_CITUS],) = cursor.fetchone()


def _notice_end(context: ExceptionContext) -> None:
    """Let a session that was idle for too long leave its pool; it alone was ended."""
    if isinstance(context.original_exception, psycopg.errors.IdleInTransactionSessionTimeout):
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False


def find_losses(connection: sa.Connection) -> list[str]:
    """Return by which settings of the server something that was acknowledged could be lost."""
    query = (
        "SELECT name FROM pg_settings WHERE setting = 'off'"
        " AND name IN ('fsync', 'full_page_writes', 'synchronous_commit') ORDER BY name"
    )
    return [
        f"{name} is off: what was acknowledged can be lost in a crash; switch it on"
        for name in connection.exec_driver_sql(query).scalars()
    ]


def open_cursor(connection: sa.Connection) -> AbstractContextManager[psycopg.Cursor[Any]]:
    """Give the driver's own cursor, within the connection's transaction, for what only it can do.

    Raises:
        DBAPIError: what SQLAlchemy would raise; a connection that is dead leaves its pool, and
            so do the others.
    """
    return _open(connection, psycopg.Cursor)


def open_client_cursor(
    connection: sa.Connection,
) -> AbstractContextManager[psycopg.ClientCursor[Any]]:
    """Give what `open_cursor` does, of the kind that puts values into the text of a message."""
    return _open(connection, psycopg.ClientCursor)


@contextmanager
def _open(connection: sa.Connection, kind: type[_Cursor]) -> Iterator[_Cursor]:
    driver: Any = connection.connection.driver_connection
    with kind(driver) as cursor:
        try:
            yield cursor
        except psycopg.Error as error:
            is_dead = driver.closed or driver.broken
            if is_dead:
                connection.invalidate(error)
                connection.engine.dispose()  # those that wait in the pool are as old
            raise DBAPIError.instance(
                None,
                None,
                error,
                psycopg.Error,
                connection_invalidated=is_dead,
                dialect=connection.dialect,
            ) from error
