"""The export is sent while it is read, from one snapshot, and lets go of it in every case."""

import http.client
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from api.services import Services
from ledger.keys import Scope
from ledger.models import usage_rollups_daily
from ledger.session import operator_session
from tests.access import bearer, make_key
from tests.builders import sms
from tests.conftest import Book
from tests.costed import tamper
from tests.processes import Launcher, Server
from tests.statements import change_schema

URL = "/api/billing/usage/export?from=2026-01-01&to=2026-12-31"
FEATURES = 20
DAYS = 300
LAST_DAY = date(2026, 1, 1) + timedelta(days=DAYS - 1)


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


@pytest.fixture
def many_rows(engine: sa.Engine, book: Book) -> int:
    """Rollup rows of 300 days and 20 features: more than one chunk holds."""
    book(sms())
    table = usage_rollups_daily
    with operator_session(engine, write=True) as session:
        (row,) = session.connection.execute(sa.select(table)).mappings()
        session.connection.execute(sa.delete(table))
        rows = [
            {
                **row,
                "date": date(2026, 1, 1) + timedelta(days=number // FEATURES),
                "feature": f"feature_{number % FEATURES}",
                "rollup_id": UUID(int=number),
            }
            for number in range(DAYS * FEATURES)
        ]
        session.connection.execute(sa.insert(table), rows)
    return len(rows)


def start(client: FlaskClient, engine: sa.Engine) -> tuple[TestResponse, Iterator[bytes]]:
    headers = bearer(make_key(engine, Scope.READ, tenant="acme"))
    response = client.get(URL, headers=headers, buffered=False)
    assert isinstance(response.response, Iterator)
    return response, response.response


def open_connections(engine: sa.Engine) -> int:
    pool = engine.pool
    assert isinstance(pool, sa.QueuePool)
    return pool.checkedout()


def test_the_first_bytes_come_while_the_rest_is_still_to_be_read(
    client: FlaskClient, engine: sa.Engine, many_rows: int
) -> None:
    _, chunks = start(client, engine)
    lines = next(chunks).count(b"\n")
    assert (True, 1) == (0 < lines < many_rows, open_connections(engine))


def test_all_lines_come_and_the_snapshot_is_let_go(
    client: FlaskClient, engine: sa.Engine, many_rows: int
) -> None:
    _, chunks = start(client, engine)
    lines = sum(chunk.count(b"\n") for chunk in chunks)
    assert (many_rows + 1, 0) == (lines, open_connections(engine))


def test_what_changes_while_it_is_sent_is_not_in_it(
    client: FlaskClient, engine: sa.Engine, many_rows: int
) -> None:
    _, chunks = start(client, engine)
    lines = next(chunks).count(b"\n")
    with operator_session(engine, write=True) as session:
        session.connection.execute(sa.delete(usage_rollups_daily))
    assert many_rows + 1 == lines + sum(chunk.count(b"\n") for chunk in chunks)


@pytest.mark.usefixtures("many_rows")
def test_a_reader_that_goes_away_leaves_no_transaction(
    client: FlaskClient, engine: sa.Engine
) -> None:
    response, chunks = start(client, engine)
    next(chunks)
    response.close()
    assert 0 == open_connections(engine)


@pytest.mark.usefixtures("many_rows")
def test_a_question_for_the_head_alone_leaves_no_transaction(
    client: FlaskClient, engine: sa.Engine
) -> None:
    headers = bearer(make_key(engine, Scope.READ, tenant="acme"))
    with client.head(URL, headers=headers) as response:
        assert (200, b"") == (response.status_code, response.data)
    assert 0 == open_connections(engine)


@pytest.mark.ledger("sqlite")
def test_a_fault_before_the_first_line_is_a_problem(client: FlaskClient, engine: sa.Engine) -> None:
    headers = bearer(make_key(engine, Scope.READ, tenant="acme"))
    change_schema(engine, "ALTER TABLE usage_rollups_daily RENAME TO elsewhere")
    response = client.get(URL, headers=headers)
    assert (503, "application/problem+json") == (response.status_code, response.mimetype)


@pytest.mark.ledger("sqlite")  # PostgreSQL has no place for a date that is none
@pytest.mark.usefixtures("many_rows")
def test_an_export_that_breaks_midway_does_not_look_complete(
    launcher: Launcher, engine: sa.Engine
) -> None:
    no_day = f"{LAST_DAY:%Y-%m}-99"
    tamper(engine, f"UPDATE usage_rollups_daily SET date = '{no_day}' WHERE date = '{LAST_DAY}'")
    headers = bearer(make_key(engine, Scope.READ, tenant="acme"))
    server = Server(launcher, "--workers", "1", "--no-work")
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        connection.request("GET", URL, headers=headers)
        response = connection.getresponse()
        with response, pytest.raises(http.client.IncompleteRead) as broken:
            response.read()
    assert broken.value.partial.startswith(b"date,channel")
