"""Somebody holds what another one needs: who waits, for how long, and who goes on meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from collector.attribution.job import Attribution
from collector.attribution.routing import Router
from collector.events import Rules
from collector.intake import Intake
from costing.job import Costing
from costing.pricing.flat import FlatMap
from costing.retention import Retention
from costing.store import lock_costing
from ledger.engine import Connecting, create_ledger_engine
from ledger.postgresql import Limits
from ledger.session import tenant_session
from ledger.tenant import TenantId
from tests.builders import NOW, sms
from tests.conftest import Run
from tests.onlooker import Onlooker
from tests.pricing import lay, rate
from tests.processes import wait_until
from tests.servers.postgresql import Database, connect_as_driver
from tests.service.attribution.claims import HASH_KEY
from tests.service.attribution.reports import report

pytestmark = pytest.mark.ledger("postgresql")

ACME = TenantId("acme")
OLD = "2025-06-01T12:00:00Z"
HOLD_COSTING = "SELECT FROM costing_state WHERE tenant_id = 'acme' FOR UPDATE"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid'"

Act = Callable[[sa.Engine, FlatMap], object]


@pytest.fixture
def stranger(
    engine: sa.Engine, intake: Intake, costing: Costing, shared_database: Database
) -> Iterator[psycopg.Connection[Any]]:
    """A session in a transaction, on a ledger where two tenants have costed and new usage."""
    del engine  # its rows go after this session has ended
    tenants = ("acme", "karachi")
    intake.book([sms("a", tenant=t, time=OLD) for t in tenants], only_tenant=None, now=NOW)
    costing.run(clock=lambda: NOW)
    intake.book([sms("b", tenant=t) for t in tenants], only_tenant=None, now=NOW)
    with connect_as_driver(shared_database.url.replace("meterline@", "postgres@")) as session:
        session.execute(b"BEGIN")
        yield session


@pytest.fixture
def connect(ledger_url: str) -> Iterator[Callable[[Limits], sa.Engine]]:
    """Connect to the ledger with other limits."""
    engines: list[sa.Engine] = []

    def connect(limits: Limits) -> sa.Engine:
        engines.append(create_ledger_engine(ledger_url, Connecting(limits=limits)))
        return engines[-1]

    yield connect
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(Limits(lock=100), id="lock limit"),
        pytest.param(Limits(lock=0, statement=200), id="statement limit"),
    ],
)
def test_a_tenant_whose_usage_somebody_holds_keeps_no_other_from_being_costed(
    stranger: psycopg.Connection[Any],
    connect: Callable[[Limits], sa.Engine],
    prices: FlatMap,
    limits: Limits,
) -> None:
    stranger.execute(b"SELECT FROM usage_batches WHERE tenant_id = 'acme' FOR UPDATE")
    outcome = Costing(connect(limits), prices).run(clock=lambda: NOW)
    assert (1, [ACME]) == (outcome.batches, [failure.tenant_id for failure in outcome.failures])


def test_a_tenant_whose_usage_somebody_holds_keeps_no_other_from_being_attributed(
    stranger: psycopg.Connection[Any],
    engine: sa.Engine,
    connect: Callable[[Limits], sa.Engine],
    rules: Rules,
) -> None:
    router = Router(engine, rules, hash_key=HASH_KEY.encode())
    names = ("acme", "karachi")
    router.book([report(f"of-{name}", claims=[]) for name in names], now=NOW)
    stranger.execute(b"INSERT INTO usage_balances (tenant_id, usage_id) VALUES ('acme', 'of-acme')")
    targets = {f"of-{name}": TenantId(name) for name in names}
    done = Attribution(connect(Limits(lock=100))).move(targets, now=NOW)
    assert (1, [ACME]) == (done.usages, [failure.tenant_id for failure in done.failures])


def test_a_tenant_whose_figures_somebody_has_keeps_prices_from_no_other(
    stranger: psycopg.Connection[Any], engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    inbound = {"channel": "email", "direction": "inbound"}
    events = [sms("c", tenant=tenant, **inbound) for tenant in ("acme", "karachi")]
    intake.book(events, only_tenant=None, now=NOW)
    costing.run(clock=lambda: NOW)
    lay(engine, rate("email_recipient", "0.5", date(2026, 1, 1), direction="inbound"))
    stranger.execute(HOLD_COSTING.encode())
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(costing.run, clock=lambda: NOW)
        try:
            meanwhile = running.result(timeout=20)
        finally:
            stranger.execute(b"ROLLBACK")
    then = costing.run(clock=lambda: NOW)
    assert ([(), 1], [(), 1]) == (
        [meanwhile.failures, meanwhile.backpriced],
        [then.failures, then.backpriced],
    )


def work_once(engine: sa.Engine, prices: FlatMap) -> None:
    Costing(engine, prices).run(clock=lambda: NOW, wait=True)


def rebuild(engine: sa.Engine, prices: FlatMap) -> None:
    Costing(engine, prices).rebuild(ACME, clock=lambda: NOW)


def retain(engine: sa.Engine, _prices: FlatMap) -> None:
    retention = Retention(engine, days=90)
    for due in retention.find_due(ACME, now=NOW):
        list(retention.take(due))


def show_limit(engine: sa.Engine, _prices: FlatMap) -> object:
    with tenant_session(engine, ACME, write=True) as session:
        lock_costing(session)
        return session.connection.exec_driver_sql("SHOW lock_timeout").scalar_one()


def is_waited_for(stranger: psycopg.Connection[Any]) -> bool:
    # Within a transaction the sessions that there are would be those of the first look.
    stranger.execute(b"SELECT pg_stat_clear_snapshot()")
    return stranger.execute(WAITING.encode()).fetchone() == (1,)


@pytest.fixture
def outwait(
    stranger: psycopg.Connection[Any], connect: Callable[[Limits], sa.Engine], prices: FlatMap
) -> Callable[[Act], list[object]]:
    """Hold a tenant's costing for longer than others wait for locks; return what came of it."""

    def outwait(act: Act) -> list[object]:
        engine = connect(Limits(lock=100))
        found: list[object] = []

        def run() -> None:
            try:
                found.append(act(engine, prices))
            except Exception as error:  # noqa: BLE001 - the test looks at it
                found.append(error)

        stranger.execute(HOLD_COSTING.encode())
        thread = threading.Thread(target=run)
        thread.start()
        wait_until(lambda: bool(found) or is_waited_for(stranger), "it waits")
        time.sleep(0.3)
        stranger.execute(b"ROLLBACK")
        thread.join()
        return found

    return outwait


@pytest.mark.parametrize("act", [work_once, rebuild, retain])
def test_what_needs_a_tenants_figures_waits_for_whoever_has_them_as_long_as_it_takes(
    outwait: Callable[[Act], list[object]], act: Act
) -> None:
    assert [None] == outwait(act)


def test_other_locks_are_waited_for_no_longer_than_before(
    outwait: Callable[[Act], list[object]],
) -> None:
    assert ["100ms"] == outwait(show_limit)


def test_a_tenant_whose_usage_somebody_holds_keeps_retention_from_no_other(
    stranger: psycopg.Connection[Any], meterline: Run, ledger: Onlooker
) -> None:
    stranger.execute(b"SELECT FROM usage_metrics WHERE tenant_id = 'acme' FOR UPDATE")
    finished = meterline("retention", "run", "--days", "90", METERLINE_DATABASE_LOCK_SECONDS="1")
    taken = ledger.rows("SELECT tenant_id FROM usage_tombstones")
    told = "usage of tenant acme is not taken: " in finished.stderr
    assert (1, [("karachi",)], True) == (finished.returncode, taken, told)


def test_a_worker_costs_no_more_tenants_at_once_than_it_keeps_two_connections_for(
    ledger_url: str, prices: FlatMap, stranger: psycopg.Connection[Any]
) -> None:
    stranger.execute(b"SELECT FROM usage_batches FOR UPDATE")  # each of them waits until it ends
    engine = create_ledger_engine(
        ledger_url, Connecting(pool_size=2, limits=Limits(lock=100, statement=0))
    )
    open_at_once: list[int] = []
    pool = engine.pool
    assert isinstance(pool, sa.QueuePool)
    sa.event.listen(pool, "checkout", lambda *_: open_at_once.append(pool.checkedout()))
    outcome = Costing(engine, prices).run(clock=lambda: NOW)
    engine.dispose()
    assert (2, 2) == (len(outcome.failures), max(open_at_once))
