"""The PostgreSQL server of a bench: as in production, but for its place and its name."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa

from bench.ledgers import FIRST_DAY, ZONE
from ledger.engine import create_ledger_engine
from ledger.keys import Scope, create_key
from ledger.session import operator_session
from tests.processes import Launcher, Running, Server, wait_until
from tests.servers.postgresql import Database, PostgreSql

# fsync, full_page_writes and synchronous_commit are on, as they are when nobody says otherwise. The
# rest is what a small machine gets: a part of its memory, and checkpoints that come seldom.
_SETTINGS = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "deadlock_timeout": "1s",
    "wal_level": "replica",
    "max_wal_senders": "10",
}
ROOT = Path(__file__).parents[2]


@contextmanager
def open_database() -> Iterator[Database]:
    """Start a server whose files are on disk, with one migrated, empty ledger in it."""
    try:
        server = PostgreSql(in_memory=False, **_SETTINGS)
    except pytest.skip.Exception as absent:
        raise SystemExit(str(absent)) from None
    try:
        database = server.make()
        database.migrate()
        yield database
    finally:
        server.close()


@contextmanager
def open_engine(database: Database) -> Iterator[sa.Engine]:
    """Connect to a ledger as the server does."""
    engine = create_ledger_engine(database.url)
    try:
        yield engine
    finally:
        engine.dispose()


def make_ingest_key(database: Database) -> str:
    """Return the secret of a host's key that books for all tenants."""
    with open_engine(database) as engine, operator_session(engine, write=True) as session:
        scopes = frozenset({Scope.INGEST})
        return create_key(session, scopes=scopes, label="bench", tenant_id=None, now=FIRST_DAY)[1]


def add_tenants(database: Database, count: int) -> None:
    """Register `tenant-00001` and so on, in one statement for all."""
    database.server.administer(
        f"INSERT INTO tenants SELECT 'tenant-' || lpad(n::text, 5, '0'), 'Tenant ' || n, now()"
        f" FROM generate_series(1, {count}) n;"
        f" INSERT INTO tenant_periods SELECT tenant_id, '1970-01-01Z', 'Pro', '{ZONE}' FROM tenants"
        " ON CONFLICT DO NOTHING;"
        " INSERT INTO costing_state SELECT tenant_id FROM tenants ON CONFLICT DO NOTHING",
        database=database.name,
    )


def settle(database: Database) -> None:
    """Write out what is left to be written, so that no run pays for the one before it."""
    database.server.administer("CHECKPOINT")


@contextmanager
def serve(database: Database) -> Iterator[int]:
    """Run `meterline serve` and tell its port.

    Without the costing worker, which on PostgreSQL is a process of its own, wherever one wants it.
    """
    with TemporaryDirectory(prefix="bench-") as folder:
        launcher = Launcher(Path(folder, "processes"), database.url)
        try:
            yield Server(launcher, "--no-work").port
        finally:
            launcher.close()


@contextmanager
def run_module(name: str, *arguments: str, is_ready: Callable[[], bool]) -> Iterator[None]:
    """Run one of our modules as a process while the block runs."""
    command: Sequence[str] = (sys.executable, "-m", name, *arguments)
    with TemporaryDirectory(prefix="bench-") as folder:
        running = Running(command, folder=Path(folder), PYTHONPATH=str(ROOT))
        try:
            wait_until(lambda: running.has_ended() or is_ready(), f"{name} answers")
            if running.has_ended():
                raise AssertionError(f"{name} ended: {running.log.read_text()}")
            yield
        finally:
            running.kill()
