"""Connects to the ledger's database and makes its transactions mean what they say."""

from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy import event

from ledger import postgresql, sqlite
from ledger.errors import InvalidError

DEFAULT_URL = "sqlite:///meterline.db"

BEGIN = "meterline_begin"
"""Connection option that holds the statement by which its next transaction begins."""

_SQLITE_DRIVERS = frozenset({"sqlite", "sqlite+pysqlite"})
_POSTGRESQL_DRIVERS = frozenset({"postgresql", "postgresql+psycopg"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Connecting:
    """How processes connect to a server; SQLite has no use for it.

    Attributes:
        pool_size: connections that a process keeps; it opens as many more for a while.
        pool_seconds: how long to wait for one of them.
        limits: how long a transaction may wait or take.
    """

    pool_size: int = 8
    pool_seconds: float = 10
    limits: postgresql.Limits = field(default_factory=postgresql.Limits)


DEFAULT_CONNECTING = Connecting()


def parse_database_url(text: str) -> sa.URL:
    """Check the address of a ledger.

    Raises:
        InvalidError: `invalid_database_url` or `unsupported_database`; the text is not repeated,
            since it can hold a password.
    """
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError:
        raise InvalidError(
            "invalid_database_url", f"not a database URL; the default is {DEFAULT_URL}"
        ) from None
    if url.drivername in _POSTGRESQL_DRIVERS:
        return _check_server(url).set(drivername="postgresql+psycopg")
    if url.drivername not in _SQLITE_DRIVERS:
        raise InvalidError(
            "unsupported_database",
            "the ledger is kept in SQLite or PostgreSQL; use sqlite:///FILE or"
            " postgresql+psycopg://USER@HOST/DATABASE",
            value=url.drivername,
        )
    return _check_file(url)


def _check_server(url: sa.URL) -> sa.URL:
    if not url.database:
        raise InvalidError(
            "invalid_database_url",
            "the address names its database: postgresql+psycopg://USER@HOST/DATABASE",
        )
    return url


def _check_file(url: sa.URL) -> sa.URL:
    if url.host or url.username or url.query:
        raise InvalidError(
            "invalid_database_url", "a file has three slashes and no options: sqlite:///FILE"
        )
    if url.database in {None, "", ":memory:"}:
        raise InvalidError(
            "invalid_database_url",
            f"the ledger needs a file, like {DEFAULT_URL}: what is in memory is not booked",
        )
    return url


def create_ledger_engine(url: str, connecting: Connecting = DEFAULT_CONNECTING) -> sa.Engine:
    """Return an engine for the address of a ledger.

    On both databases we say ourselves how a transaction begins (`ledger.session`): on SQLite so
    that writers take the lock at once, on PostgreSQL so that one message begins it, puts up the
    walls between tenants and sets the limits.

    Raises:
        InvalidError: see `parse_database_url`.
    """
    address = parse_database_url(url)
    if address.get_backend_name() == "sqlite":
        engine = sqlite.create(address)
    else:
        engine = postgresql.create(
            address, pool_size=connecting.pool_size, pool_seconds=connecting.pool_seconds
        )
        postgresql.set_limits(engine, connecting.limits)
    event.listen(engine, "begin", _begin)
    return engine


def is_postgresql(connectable: sa.Engine | sa.Connection) -> bool:
    """Whether the ledger is kept in PostgreSQL; else it is in SQLite."""
    return connectable.dialect.name == "postgresql"


def _begin(connection: sa.Connection) -> None:
    statement: str = connection.get_execution_options()[BEGIN]
    if is_postgresql(connection):
        connection.exec_driver_sql(statement)
    else:
        sqlite.execute_begin(connection, statement)
