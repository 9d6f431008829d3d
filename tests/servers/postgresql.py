"""PostgreSQL in a temporary folder on a loopback port, with a migrated database to clone."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from cli import schema
from ledger.engine import create_ledger_engine
from ledger.models import BOOKING_SEQUENCE, ONLY_ON, metadata
from tests.processes import free_port
from tests.servers.presence import find_program

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
SUPERUSER = "postgres"
"""Whom no policy binds."""
LOGIN = "meterline"
"""Signs in and owns the databases; neither superuser nor exempt from policies, as in production."""

_START_SECONDS = 60
# In memory, where there is room for it: a server that waits for its disk as in production costs
# nothing there.
_MEMORY = Path("/dev/shm")
_ROOM = 4 * 2**30
_SETTINGS = {
    "deadlock_timeout": "100ms",
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "Asia/Karachi",  # days and instants must not depend on the server's
}
# A language's order by default: only what asks for bytes is compared by bytes.
_LOCALE = ("--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")


class PostgreSql:
    """A server of its own. As root it runs as the user whom the package brings."""

    def __init__(self, *, in_memory: bool = True, **settings: str) -> None:
        self._initdb = find_program("initdb", *DEBIAN)
        self._postgres = find_program("postgres", *DEBIAN)
        self._user = SUPERUSER if os.geteuid() == 0 else None
        self._settings = {**_SETTINGS, **settings}
        has_room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM
        parent = _MEMORY if in_memory and has_room else None
        self._folder = Path(tempfile.mkdtemp(prefix="meterline-postgresql-", dir=parent))
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self.port = free_port()
        self._made = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._make_cluster()
        self.start()
        self.administer(f"CREATE ROLE {LOGIN} LOGIN CREATEROLE")

    def _make_cluster(self) -> None:
        command = (self._initdb, "--no-sync", "--username", SUPERUSER, "--auth", "trust")
        self._run(*command, "--encoding", "UTF8", *_LOCALE, "-D", self._folder / "data")

    def _run(self, *command: str | Path) -> None:
        subprocess.run(command, user=self._user, check=True, capture_output=True, cwd="/")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {**self._settings, "port": str(self.port)}
        options["unix_socket_directories"] = str(self._folder)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._postgres, "-D", self._folder / "data"),
                    *(f"--{name}={value}" for name, value in options.items()),
                ],
                user=self._user,
                cwd="/",
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                return self.administer("SELECT 1")
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    text = (self._folder / "log").read_text(encoding="utf-8")
                    raise AssertionError(f"PostgreSQL did not start:\n{text}") from None
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends sessions, SIGQUIT is a crash from which it recovers."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def stand_by(self) -> None:
        """Start the server anew as a standby, which can be read; made with `wal_level=replica`."""
        self.stop()
        signal_file = self._folder / "data" / "standby.signal"
        signal_file.touch()
        if self._user is not None:
            shutil.chown(signal_file, self._user)
        self.start()

    def close(self) -> None:
        """Stop the server and remove what it kept."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder)

    def address(self, database: str, *, user: str = LOGIN) -> str:
        """Return where a database is, as a driver takes it."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def administer(self, statement: str, *, database: str = SUPERUSER) -> None:
        """Run statements as the superuser, whom no policy binds."""
        with psycopg.connect(self.address(database, user=SUPERUSER), autocommit=True) as session:
            session.execute(statement.encode())

    def look(self, query: str, *, database: str) -> list[tuple[Any, ...]]:
        """Return what the superuser sees."""
        with psycopg.connect(self.address(database, user=SUPERUSER), autocommit=True) as session:
            return session.execute(query.encode()).fetchall()

    def make(self, template: str | None = None) -> "Database":
        """Make a database, empty or as a clone."""
        self._made += 1
        name = f"ledger{self._made}"
        clone = f" TEMPLATE {template} STRATEGY FILE_COPY" if template else ""
        self.administer(f"CREATE DATABASE {name} OWNER {LOGIN}{clone}")
        return Database(self, name)


class Database:
    """One database of a server."""

    def __init__(self, server: PostgreSql, name: str) -> None:
        self.server = server
        self.name = name

    @property
    def url(self) -> str:
        """What METERLINE_DATABASE_URL says."""
        return self.server.address(self.name).replace("postgresql:", "postgresql+psycopg:", 1)

    def migrate(self) -> None:
        """Bring the schema up to date."""
        engine = create_ledger_engine(self.url)
        schema.upgrade(engine)
        engine.dispose()

    def wipe(self) -> None:
        """Take all rows out, in a moment: a clone of the template would take a hundred times it."""
        self.hang_up()
        tables = [t.name for t in metadata.sorted_tables if ONLY_ON not in t.info]
        deletes = "; ".join(f"DELETE FROM {name}" for name in tables)
        restart = f"ALTER SEQUENCE {BOOKING_SEQUENCE} RESTART"
        self.server.administer(f"{deletes}; {restart}", database=self.name)

    def hang_up(self) -> None:
        """End all sessions, as a server does that is started anew."""
        self.server.administer(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{self.name}' AND pid <> pg_backend_pid()"
        )

    def drop(self) -> None:
        """Remove the database, whoever is still in it."""
        with suppress(psycopg.Error):
            self.server.administer(f"DROP DATABASE {self.name} WITH (FORCE)")


def connect_as_driver(url: str) -> psycopg.Connection[Any]:
    """Connect past Meterline, as the login."""
    address = sa.make_url(url).set(drivername="postgresql")
    return psycopg.connect(address.render_as_string(hide_password=False), autocommit=True)
