"""Batches over HTTP into `meterline serve`, against a bare loop of the driver.

The bare side has finished rows. It copies them into a temporary table and inserts them from there,
under the same keys, into a table with the same columns and indexes. It reads no JSON, checks
nothing, and knows no credentials, tenants, walls, tombstones or batches.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any

import psycopg

from bench.booking import TENANT, ai_event, sms_event
from bench.ledgers import FIRST_DAY
from bench.postgresql.client import make_request, post_all
from bench.postgresql.server import make_ingest_key, open_database, open_engine, serve, settle
from bench.table import Line
from bench.timing import Side, Work, alternate
from ledger.models import usage_metrics
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import add_tenant
from tests.servers.postgresql import LOGIN, Database

EVENTS = 50_000
REQUEST_EVENTS = 1000
CLIENTS = 2
ASKED = 0.5

_NAMES = ", ".join(column.name for column in usage_metrics.c)
_TYPES = {
    "BIGINT": "int8",
    "SMALLINT": "int2",
    "BOOLEAN": "bool",
    "DATE": "date",
    "DATETIME": "timestamptz",
    "BLOB": "bytea",
    "JSON": "json",
}
_WIRE = [_TYPES.get(str(column.type), "varchar") for column in usage_metrics.c]

Rows = list[tuple[Any, ...]]


def measure() -> list[Line]:
    """Compare AI events and SMS."""
    with open_database() as database:
        register(database)
        secret = make_ingest_key(database)
        with serve(database) as port:
            return [
                _compare(database, port, secret, name, [event(Random(n), n) for n in range(EVENTS)])
                for name, event in (("AI", ai_event), ("SMS", sms_event))
            ]


def register(database: Database) -> None:
    """Make the tenant, and a table for the bare sides."""
    with open_engine(database) as engine, operator_session(engine, write=True) as session:
        add_tenant(session, TenantId(TENANT), name=TENANT, now=FIRST_DAY)
    database.server.administer(
        f"CREATE TABLE bare (LIKE usage_metrics INCLUDING ALL); GRANT ALL ON bare TO {LOGIN}",
        database=database.name,
    )


def empty(database: Database) -> None:
    """Take all usage out, and what its pages leave to be written."""
    tables = "usage_metrics, usage_batches, bare"
    database.server.administer(f"TRUNCATE {tables}", database=database.name)
    settle(database)


def _compare(
    database: Database, port: int, secret: str, name: str, events: list[dict[str, Any]]
) -> Line:
    parts = [events[n : n + REQUEST_EVENTS] for n in range(0, len(events), REQUEST_EVENTS)]
    requests = [make_request("/api/v1/events", part, secret) for part in parts]
    post_all(port, requests, clients=CLIENTS)
    rows = database.server.look(
        f"SELECT {_NAMES.replace('metadata', 'metadata::text')} FROM usage_metrics ORDER BY id",
        database=database.name,
    )
    if len(rows) != EVENTS:
        raise AssertionError(f"{len(rows)} rows were booked")
    sides: dict[str, Side] = {
        "ours": partial(_ours, database, port, requests),
        "bare": partial(_bare, database, rows),
    }
    taken = alternate(sides)
    return Line(
        f"post {EVENTS:,} {name} events, {REQUEST_EVENTS:,} a request, {CLIENTS} clients"
        " / bare COPY and insert",
        taken["ours"],
        taken["bare"],
        taken["bare"] / taken["ours"],
        f">= {ASKED}",
    )


@contextmanager
def _ours(database: Database, port: int, requests: Sequence[bytes]) -> Iterator[Work]:
    empty(database)
    yield partial(post_all, port, requests, clients=CLIENTS)


@contextmanager
def _bare(database: Database, rows: Rows) -> Iterator[Work]:
    empty(database)
    parts = [rows[n : n + REQUEST_EVENTS] for n in range(0, len(rows), REQUEST_EVENTS)]
    with psycopg.connect(database.server.address(database.name), autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE incoming (LIKE bare) ON COMMIT DELETE ROWS")
        yield partial(_copy, connection, parts)


def _copy(connection: psycopg.Connection[Any], parts: Sequence[Rows]) -> None:
    with connection.cursor() as cursor:
        for rows in parts:
            with connection.transaction():
                with cursor.copy("COPY incoming FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(_WIRE)
                    for row in rows:
                        copy.write_row(row)
                cursor.execute("INSERT INTO bare SELECT * FROM incoming ON CONFLICT DO NOTHING")
                if cursor.rowcount != len(rows):
                    raise AssertionError(f"{cursor.rowcount} rows were inserted")
