"""Whoever changes figures locks them in the order of their keys, rollup rows before days.

So transactions that meet wait for each other and never in a circle. Another session holds the first
of some rows; while somebody waits for it, all the others must be free.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa

from collector.intake import Intake
from collector.relay.parcels import DayMark, Delivered, Parcel, RowMark
from collector.relay.points import TENANT_DAY, USAGE_COST
from collector.relay.resend import EVER, make_due
from collector.relay.store import mark_shipped
from costing.job import Costing
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from ledger.tenants import change_tenant, get_tenant
from tests.builders import NOW, sms
from tests.processes import wait_until
from tests.servers.postgresql import Database, connect_as_driver

pytestmark = pytest.mark.ledger("postgresql")

ACME = TenantId("acme")
LAST = date(2026, 3, 9)
DATES = [LAST - timedelta(days=n) for n in range(4)]  # the newest first, and so they are stored
FEATURES = [f"f{n}" for n in range(10)]

ROWS = "SELECT date, rollup_id FROM usage_rollups_daily ORDER BY date, rollup_id"
DAYS = "SELECT date FROM usage_tenant_days ORDER BY date"
WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
)

Act = Callable[[sa.Engine, Intake, Costing], object]


def book(intake: Intake, name: str, *dates: date) -> None:
    events = [
        sms(f"{name} {day} {feature}", feature=feature, time=f"{day}T12:00:00Z")
        for day in dates
        for feature in FEATURES
    ]
    intake.book(events, only_tenant=None, now=NOW)


@pytest.fixture
def stored_order(engine: sa.Engine, shared_database: Database) -> Iterator[None]:
    """Let statements read rows as they are stored and not in the order of an index."""
    alter = f"ALTER DATABASE {shared_database.name}"
    shared_database.server.administer(f"{alter} SET enable_indexscan = off")
    engine.dispose()
    yield
    shared_database.server.administer(f"{alter} RESET enable_indexscan")


@pytest.fixture
def stranger(
    stored_order: None, intake: Intake, costing: Costing, shared_database: Database
) -> Iterator[psycopg.Connection[Any]]:
    """A session that holds what it is told to, on a ledger with figures of some days."""
    del stored_order
    for day in DATES:
        book(intake, "first", day)
        costing.run(clock=lambda: NOW)
    with connect_as_driver(shared_database.url.replace("meterline@", "postgres@")) as session:
        yield session


def cost(_engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    book(intake, "second", *DATES)
    costing.run(clock=lambda: NOW)


def mark(engine: sa.Engine, _intake: Intake, _costing: Costing) -> None:
    with tenant_session(engine, ACME) as session:
        rows: list[tuple[date, UUID]] = [
            (row[0], row[1]) for row in session.connection.execute(sa.text(ROWS))
        ]
    parcels = [
        Parcel(
            tenant_id=ACME,
            measurements=frozenset({USAGE_COST, TENANT_DAY}),
            points=[],
            rows=tuple(RowMark(*row, 1) for row in reversed(rows) if row[0] == day),
            days=(DayMark(day, 1),),
        )
        for day in DATES
    ]
    with tenant_session(engine, ACME, write=True) as session:
        mark_shipped(session, parcels, Delivered(), held=frozenset(), now=NOW)


def rename(engine: sa.Engine, _intake: Intake, _costing: Costing) -> None:
    with operator_session(engine, write=True) as session:
        change_tenant(session, ACME, name="Acme & Sons", now=NOW)


def resend(engine: sa.Engine, _intake: Intake, _costing: Costing) -> None:
    with operator_session(engine) as session:
        tenant = get_tenant(session, ACME)
    list(make_due(engine, tenant, EVER, now=NOW))


def is_waited_for(stranger: psycopg.Connection[Any]) -> bool:
    # Within a transaction the sessions that there are would be those of the first look.
    stranger.execute(b"SELECT pg_stat_clear_snapshot()")
    return stranger.execute(WAITING.encode()).fetchone() == (1,)


@contextmanager
def waiting_for(
    stranger: psycopg.Connection[Any], table: str, key: tuple[Any, ...], act: Callable[[], object]
) -> Iterator[None]:
    """Hold a row, and let somebody wait for it."""
    thread = threading.Thread(target=act)
    with stranger.transaction():
        lock(stranger, table, [key])
        thread.start()
        wait_until(lambda: is_waited_for(stranger), "somebody waits")
        yield
    thread.join()


def lock(stranger: psycopg.Connection[Any], table: str, keys: list[tuple[Any, ...]]) -> int:
    """Lock rows that must be free; return how many there are."""
    names = ("date", "rollup_id")[: len(keys[0])]
    condition = " AND ".join(f"{name} = %s" for name in names)
    query = f"SELECT FROM {table} WHERE {condition} FOR UPDATE NOWAIT".encode()
    return sum(stranger.execute(query, key).rowcount for key in keys)


@pytest.mark.parametrize("act", [cost, mark])
def test_rollup_rows_are_locked_in_the_order_of_their_keys(
    engine: sa.Engine,
    intake: Intake,
    costing: Costing,
    stranger: psycopg.Connection[Any],
    act: Act,
) -> None:
    first, *others = stranger.execute(ROWS.encode()).fetchall()
    with waiting_for(stranger, "usage_rollups_daily", first, lambda: act(engine, intake, costing)):
        assert 39 == lock(stranger, "usage_rollups_daily", others)


def test_rollup_rows_of_a_day_are_made_due_in_the_order_of_their_keys(
    engine: sa.Engine, intake: Intake, costing: Costing, stranger: psycopg.Connection[Any]
) -> None:
    first, *others = stranger.execute(ROWS.encode()).fetchall()[:10]
    with waiting_for(
        stranger, "usage_rollups_daily", first, lambda: resend(engine, intake, costing)
    ):
        assert 9 == lock(stranger, "usage_rollups_daily", others)


@pytest.mark.parametrize("act", [cost, mark, rename])
def test_days_are_locked_in_their_order(
    engine: sa.Engine,
    intake: Intake,
    costing: Costing,
    stranger: psycopg.Connection[Any],
    act: Act,
) -> None:
    first, *others = stranger.execute(DAYS.encode()).fetchall()
    with waiting_for(stranger, "usage_tenant_days", first, lambda: act(engine, intake, costing)):
        assert 3 == lock(stranger, "usage_tenant_days", others)


@pytest.mark.parametrize("act", [cost, mark])
def test_all_rollup_rows_are_locked_before_any_day(
    engine: sa.Engine,
    intake: Intake,
    costing: Costing,
    stranger: psycopg.Connection[Any],
    act: Act,
) -> None:
    days = stranger.execute(DAYS.encode()).fetchall()
    oldest, *_ = stranger.execute(ROWS.encode()).fetchall()
    with waiting_for(stranger, "usage_rollups_daily", oldest, lambda: act(engine, intake, costing)):
        assert 4 == lock(stranger, "usage_tenant_days", days)
