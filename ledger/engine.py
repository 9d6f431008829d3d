"""Connects to the ledger's database and makes its transactions mean what they say."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from ledger.errors import InvalidError

BEGIN_MODE = "meterline_begin"
"""Connection option that holds the word after BEGIN on SQLite."""

_BUSY_TIMEOUT_MS = 30_000


def create_ledger_engine(url: str) -> sa.Engine:
    """Return an engine for a database URL.

    On SQLite: write-ahead log, `synchronous=FULL` (an acknowledged commit survives a power cut), a
    busy timeout, and transactions that begin when we say so.

    Raises:
        InvalidError: `invalid_database_url`.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise InvalidError(
            "invalid_database_url",
            "not a database URL; the embedded default is sqlite:///meterline.db",
            key="METERLINE_DATABASE_URL",
        ) from None
    if parsed.get_backend_name() != "sqlite":
        raise InvalidError(
            "unsupported_database",
            "this version keeps its ledger in SQLite; use sqlite:///FILE",
            key="METERLINE_DATABASE_URL",
            value=parsed.get_backend_name(),
        )
    if parsed.database in {None, "", ":memory:"}:
        raise InvalidError(
            "invalid_database_url",
            "the ledger needs a file, like sqlite:///meterline.db: what is in memory is not booked",
            key="METERLINE_DATABASE_URL",
        )
    engine = sa.create_engine(parsed, connect_args={"isolation_level": None})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # The busy timeout comes first: switching to the write-ahead log may itself have to wait.
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    mode = connection.get_execution_options().get(BEGIN_MODE, "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
