"""Connects to the ledger's database and makes its transactions mean what they say."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from ledger.errors import InvalidError

DEFAULT_URL = "sqlite:///meterline.db"

BEGIN_MODE = "meterline_begin"
"""Connection option that holds the word after BEGIN on SQLite."""

_BUSY_TIMEOUT_MS = 30_000


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
    if url.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise InvalidError(
            "unsupported_database",
            "this version keeps its ledger in SQLite; use sqlite:///FILE",
            value=url.drivername,
        )
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


def create_ledger_engine(url: str) -> sa.Engine:
    """Return an engine for the address of a ledger.

    On SQLite: write-ahead log, `synchronous=FULL` (an acknowledged commit survives a power cut), a
    busy timeout, and transactions that begin when we say so.

    Raises:
        InvalidError: see `parse_database_url`.
    """
    engine = sa.create_engine(parse_database_url(url), connect_args={"isolation_level": None})
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
