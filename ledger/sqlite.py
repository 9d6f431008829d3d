"""The embedded ledger: one file, in write-ahead-log mode, whose writers take turns."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

_BUSY_TIMEOUT_MS = 30_000
_WRITING = "BEGIN IMMEDIATE"
_POLL_MS = 2


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
    return _WRITING if write else "BEGIN DEFERRED"


def execute_begin(connection: sa.Connection, statement: str) -> None:
    """Begin a transaction of a ledger; one that writes waits for its turn."""
    if statement != _WRITING:
        connection.exec_driver_sql(statement)
        return
    with _turn(Path(f"{connection.engine.url.database}-turn")):
        connection.exec_driver_sql(statement)


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Be the next writer: whoever wants to write after us waits until we have begun.

    SQLite lets those who wait for its lock sleep, up to 100 ms at a time, and gives it to whoever
    asks first when it is free: a worker with a transaction after the other has it again at once,
    and a webhook waited for a whole backlog. Here that worker has to wait until the webhook has
    begun. Where the turn cannot be had, SQLite's own way is left.
    """
    try:
        file = path.open("ab")
    except OSError:
        yield
        return
    with file:
        for _ in range(_BUSY_TIMEOUT_MS // _POLL_MS):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_POLL_MS / 1000)
            else:
                break
        yield


def _prepare(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # The busy timeout comes first: switching to the write-ahead log may itself have to wait.
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()
