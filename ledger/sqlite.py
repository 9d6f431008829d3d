"""The embedded ledger: one file, in write-ahead-log mode."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

_BUSY_TIMEOUT_MS = 30_000


def create(url: sa.URL) -> sa.Engine:
    """Return an engine with a write-ahead log, `synchronous=FULL` and a busy timeout.

    An acknowledged commit survives a power cut.
    """
    # The driver must begin nothing of its own accord.
    engine = sa.create_engine(url, connect_args={"isolation_level": None})
    event.listen(engine, "connect", _prepare)
    return engine


def begin(*, write: bool) -> str:
    """Return how a transaction begins.

    One that reads first and writes later fails at once when another writer came between, so
    writers take the lock when they begin.
    """
    return "BEGIN IMMEDIATE" if write else "BEGIN DEFERRED"


def _prepare(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # The busy timeout comes first: switching to the write-ahead log may itself have to wait.
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()
