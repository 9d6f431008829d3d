"""A connection that only looks, past Meterline and its walls, on either database."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa


class Onlooker:
    """Reads what is committed, each time anew."""

    def __init__(self, read: Callable[[str, tuple[object, ...]], Any], *, booked: str) -> None:
        self._read = read
        self._booked = booked

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return all rows; `?` stands for a value."""
        return list(self._read(query, values))

    def row(self, query: str, *values: object) -> tuple[Any, ...]:
        """Return the only row."""
        (row,) = self.rows(query, *values)
        return row

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        return int(self.row(f"SELECT count(*) FROM {table}")[0])

    def last_number(self) -> int:
        """Return the booking number that was taken last."""
        return int(self.row(self._booked)[0])


class _Server:
    """A session that is opened again when the server was gone, since tests let it go."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._session: psycopg.Connection[Any] | None = None

    def read(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """Read, once more where the session turns out to be dead."""
        text = query.replace("?", "%s").encode()
        try:
            return self._open().execute(text, values or None).fetchall()
        except psycopg.OperationalError:
            self.close()
            return self._open().execute(text, values or None).fetchall()

    def _open(self) -> psycopg.Connection[Any]:
        if self._session is None:
            self._session = psycopg.connect(self._address, autocommit=True)
        return self._session

    def close(self) -> None:
        """Close the session, if there is one."""
        if self._session is not None:
            self._session.close()
            self._session = None


@contextmanager
def look_at(url: str) -> Iterator[Onlooker]:
    """Look at a ledger; at one on PostgreSQL as the superuser."""
    address = sa.make_url(url)
    if address.get_backend_name() == "sqlite":
        assert address.database is not None
        with closing(sqlite3.connect(address.database, isolation_level=None)) as connection:
            yield Onlooker(connection.execute, booked="SELECT value FROM sequences")
        return
    login = address.set(drivername="postgresql", username="postgres")
    with closing(_Server(login.render_as_string())) as server:
        yield Onlooker(server.read, booked="SELECT last_value FROM booking_numbers")
