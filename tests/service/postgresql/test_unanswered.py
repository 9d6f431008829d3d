"""However the database does not answer, it is told as unavailable, and the next one goes on."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import sqlalchemy as sa

from cli.wiring import connect
from collector.events import Rules
from collector.intake import Intake
from ledger.engine import Connecting, create_ledger_engine
from ledger.errors import UnavailableError
from ledger.keys import look_up_key
from ledger.postgresql import Limits, open_cursor
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from ledger.tenants import add_tenant
from tests.builders import NOW, sms
from tests.servers.postgresql import PostgreSql

pytestmark = pytest.mark.ledger("postgresql")

ACME = TenantId("acme")

Act = Callable[[sa.Engine, Rules], object]


def read(engine: sa.Engine, _rules: Rules) -> None:
    with tenant_session(engine, ACME):
        pass


def write(engine: sa.Engine, _rules: Rules) -> None:
    with operator_session(engine, write=True):
        pass


def ask(engine: sa.Engine, _rules: Rules) -> None:
    look_up_key(engine, "none")


def book(engine: sa.Engine, rules: Rules) -> list[str]:
    results = Intake(engine, rules=rules).book([sms()], only_tenant=None, now=NOW)
    return [str(result.status) for result in results]


@pytest.fixture
def small(ledger_url: str) -> Iterator[sa.Engine]:
    """An engine with two connections at most, for which nobody waits long."""
    engine = create_ledger_engine(ledger_url, Connecting(pool_size=1, pool_seconds=0.1))
    yield engine
    engine.dispose()


@pytest.mark.parametrize("act", [read, write, ask, book])
def test_a_pool_whose_connections_are_all_in_use(small: sa.Engine, rules: Rules, act: Act) -> None:
    with ExitStack() as others:
        for _ in range(2):
            others.enter_context(operator_session(small))
        with pytest.raises(UnavailableError, match="in use"):
            act(small, rules)


@pytest.fixture
def impatient(engine: sa.Engine) -> Iterator[sa.Engine]:
    """An engine whose writing transactions are ended when they do nothing for a moment."""
    url = engine.url.render_as_string(hide_password=False)
    impatient = create_ledger_engine(url, Connecting(limits=Limits(idle=50)))
    yield impatient
    impatient.dispose()


def go_on(connection: sa.Connection) -> None:
    time.sleep(0.3)
    connection.execute(sa.text("SELECT 1"))


def commit(_connection: sa.Connection) -> None:
    time.sleep(0.3)


@pytest.mark.parametrize("act", [go_on, commit])
def test_a_transaction_that_did_nothing_for_too_long(
    impatient: sa.Engine, act: Callable[[sa.Connection], None]
) -> None:
    with (
        pytest.raises(UnavailableError, match="idle-in-transaction"),
        tenant_session(impatient, ACME, write=True) as session,
    ):
        act(session.connection)


def test_what_comes_after_a_transaction_that_did_nothing_for_too_long(
    impatient: sa.Engine, rules: Rules
) -> None:
    with pytest.raises(UnavailableError), tenant_session(impatient, ACME, write=True):
        time.sleep(0.3)
    assert ["stored"] == book(impatient, rules)


@pytest.fixture(scope="module")
def standby() -> Iterator[str]:
    """The address of a ledger that can only be read, since its server is a standby."""
    server = PostgreSql(wal_level="replica")
    database = server.make()
    database.migrate()
    engine = create_ledger_engine(database.url)
    with operator_session(engine, write=True) as session:
        add_tenant(session, ACME, name="Acme", now=NOW)
    engine.dispose()
    server.stand_by()
    yield database.url
    server.close()


@pytest.mark.parametrize("act", [write, book])
def test_a_standby_on_which_nothing_can_be_written(standby: str, rules: Rules, act: Act) -> None:
    engine = create_ledger_engine(standby)
    try:
        with pytest.raises(UnavailableError, match="recovery"):
            act(engine, rules)
    finally:
        engine.dispose()


def test_a_statement_that_is_wrong_stays_a_bug(engine: sa.Engine) -> None:
    wrong: Any = pytest.raises(sa.exc.DatabaseError)
    with wrong as raised, tenant_session(engine, ACME) as session:
        session.connection.execute(sa.text("DELETE FROM usage_batches"))
    assert "ReadOnlySqlTransaction" == type(raised.value.orig).__name__


def test_a_server_that_went_silent_is_given_up_by_the_connection(engine: sa.Engine) -> None:
    names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
    with engine.connect() as connection, open_cursor(connection) as cursor:
        descriptor = os.dup(cursor.connection.fileno())
    with socket.socket(fileno=descriptor) as line:
        options = [line.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names]
    assert [10, 5, 4, 30_000] == options


@pytest.mark.parametrize(("for_requests", "seconds"), [(True, "1min"), (False, "10min")])
def test_a_command_may_compute_for_longer_between_two_statements_than_a_request(
    ledger_url: str, *, for_requests: bool, seconds: str
) -> None:
    engine = connect(ledger_url, for_requests=for_requests).engine
    with tenant_session(engine, ACME, write=True) as session:
        query = "SHOW idle_in_transaction_session_timeout"
        found = session.connection.exec_driver_sql(query).scalar_one()
    engine.dispose()
    assert seconds == found
