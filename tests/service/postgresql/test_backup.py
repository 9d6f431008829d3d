"""A dump by the documented command holds all rows of all tenants, and comes back as a ledger."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from cli import schema
from costing.job import Costing
from costing.pricing.flat import load_flat_map
from costing.verify import verify
from ledger.engine import create_ledger_engine
from ledger.gaps import find_gaps
from ledger.session import operator_session, owner_session
from tests.builders import NOW, ai, sms
from tests.conftest import Book
from tests.servers.postgresql import DEBIAN, LOGIN, Database, PostgreSql
from tests.servers.presence import find_program

pytestmark = pytest.mark.ledger("postgresql", own=True)

SEEN = (
    "SELECT tenant_id, count(*), (SELECT version_num FROM meterline_version)"
    " FROM usage_metrics GROUP BY tenant_id ORDER BY tenant_id"
)


def run(server: PostgreSql, program: str, *arguments: str | Path) -> None:
    where = ("--host", "127.0.0.1", "--port", str(server.port), "--username", LOGIN)
    command = (find_program(program, *DEBIAN), *where, *arguments)
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "" == finished.stderr


@pytest.fixture
def restored(book: Book, database: Database, tmp_path: Path) -> Iterator[sa.Engine]:
    """A ledger with usage of two tenants, dumped by its login and put into an empty database."""
    book(sms("a"), ai("b"), sms("c", tenant="karachi"))
    server, file = database.server, tmp_path / "meterline.dump"
    as_operator = ("--role", "meterline_operator", "--enable-row-security")
    run(server, "pg_dump", *as_operator, "--format", "custom", "--file", file, database.name)
    empty = server.make()
    run(server, "pg_restore", "--exit-on-error", "--dbname", empty.name, file)
    restored = create_ledger_engine(empty.url)
    schema.upgrade(restored)
    yield restored
    restored.dispose()
    empty.drop()


def test_a_restored_dump_has_the_rows_of_all_tenants(restored: sa.Engine) -> None:
    head = schema.head_revision()
    with operator_session(restored) as session:
        found = session.connection.exec_driver_sql(SEEN).all()
    assert [("acme", 2, head), ("karachi", 1, head)] == [tuple(row) for row in found]


def test_a_restored_ledger_has_its_walls(restored: sa.Engine) -> None:
    with owner_session(restored) as session:
        assert [] == find_gaps(session.connection)


def test_a_restored_ledger_goes_on_and_agrees_with_itself(restored: sa.Engine) -> None:
    prices = load_flat_map()
    Costing(restored, prices).run(clock=lambda: NOW)
    assert [] == list(verify(restored, prices).differences)


def test_a_restored_ledger_gives_numbers_that_are_not_taken(restored: sa.Engine) -> None:
    query = "SELECT nextval('booking_numbers') > max(id) FROM usage_metrics"
    with operator_session(restored, write=True) as session:
        assert session.connection.exec_driver_sql(query).scalar_one()
