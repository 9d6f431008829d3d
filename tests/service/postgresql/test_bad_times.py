"""The server goes away, gives transactions up, keeps them waiting: nothing is lost or doubled."""

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from collector.events import Rules
from collector.intake import Intake
from costing.export import ExportLine, read_export
from costing.job import Costing
from costing.pricing.flat import FlatMap
from costing.retention import Retention
from costing.verify import verify
from ledger.engine import Connecting, create_ledger_engine
from ledger.errors import UnavailableError
from ledger.postgresql import Limits
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from tests.builders import NOW, ai, sms
from tests.interleaving import at_once, before_statement
from tests.onlooker import Onlooker
from tests.processes import Launcher, Server, wait_until
from tests.servers.postgresql import Database, PostgreSql

pytestmark = pytest.mark.ledger("postgresql")

ACME = TenantId("acme")
EVENTS: list[dict[str, Any]] = [ai(f"E{n}") for n in range(100)]
ROLLUP_EVENTS = "SELECT coalesce(sum(count), 0) FROM usage_rollups_daily"

Act = Callable[[], object]


@pytest.fixture
def crash(postgresql: PostgreSql) -> Act:
    """Let the server die and start again; it recovers what was committed."""

    def crash_and_start() -> None:
        postgresql.stop(signal.SIGQUIT)
        postgresql.start()

    return crash_and_start


def post(intake: Intake, events: list[dict[str, Any]] = EVENTS) -> Counter[str]:
    results = intake.book(events, only_tenant=None, now=NOW)
    return Counter(str(result.status) for result in results)


def differences(engine: sa.Engine, prices: FlatMap) -> list[str]:
    return [difference.where for difference in verify(engine, prices).differences]


def test_a_pool_of_dead_connections_is_noticed_by_nobody(
    engine: sa.Engine, intake: Intake, crash: Act
) -> None:
    with operator_session(engine), operator_session(engine):  # two pooled connections
        pass
    crash()
    assert {"stored": 100} == post(intake)


@pytest.mark.parametrize("statement", ["INSERT INTO usage_batches", "SELECT nextval"])
def test_a_crash_amid_booking_acknowledges_nothing_and_books_nothing(
    engine: sa.Engine, intake: Intake, ledger: Onlooker, crash: Act, statement: str
) -> None:
    with before_statement(engine, statement, crash), pytest.raises(UnavailableError):
        post(intake)
    assert (0, {"stored": 100}) == (ledger.count("usage_metrics"), post(intake))


def test_a_crash_amid_copying_events_is_told_unavailable(
    engine: sa.Engine, intake: Intake, crash: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [ai(f"E{n}") for n in range(1000)]
    # COPY is the driver's own, of which SQLAlchemy tells nobody: let its rows be what crashes.
    set_types = psycopg.Copy.set_types

    def crash_first(copy: Any, types: Any) -> None:
        monkeypatch.undo()
        crash()
        set_types(copy, types)

    monkeypatch.setattr(psycopg.Copy, "set_types", crash_first)
    with pytest.raises(UnavailableError):
        post(intake, events)
    del engine
    assert {"stored": 1000} == post(intake, events)


def test_a_crash_amid_costing_leaves_the_batches_to_the_next_run(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap, crash: Act
) -> None:
    post(intake)
    with (
        before_statement(engine, "INSERT INTO usage_rollups_daily", crash),
        pytest.raises(UnavailableError),
    ):
        costing.run(clock=lambda: NOW)
    done = costing.run(clock=lambda: NOW).batches
    assert (1, []) == (done, differences(engine, prices))


def read_and_act(engine: sa.Engine, act: Act) -> Iterator[ExportLine]:
    with tenant_session(engine, ACME) as session:
        lines = read_export(session)
        yield next(lines)
        act()
        yield from lines


def test_a_crash_amid_an_export_cuts_it_and_the_next_one_is_whole(
    engine: sa.Engine, intake: Intake, costing: Costing, crash: Act
) -> None:
    post(intake, [sms(f"S{n}", feature=f"f{n}") for n in range(1200)])
    costing.run(clock=lambda: NOW)
    with pytest.raises(UnavailableError):
        list(read_and_act(engine, crash))
    with tenant_session(engine, ACME) as session:
        assert 1200 == len(list(read_export(session)))


def test_a_worker_waits_out_a_server_that_refuses_connections(
    postgresql: PostgreSql, launcher: Launcher, intake: Intake, ledger: Onlooker
) -> None:
    worker = launcher.start("work")
    post(intake)
    wait_until(lambda: ledger.row(ROLLUP_EVENTS) == (100,), "the worker costs")
    postgresql.stop()
    wait_until(lambda: "waiting: " in worker.log.read_text(), "the worker says that it waits")
    postgresql.start()
    post(intake, [sms("later")])
    wait_until(lambda: ledger.row(ROLLUP_EVENTS) == (101,), "the worker goes on")
    assert False is worker.has_ended()


def test_an_http_worker_that_starts_while_the_ledger_is_down_answers_when_it_is_back(
    postgresql: PostgreSql, launcher: Launcher
) -> None:
    server = Server(launcher, "--workers", "1", "--no-work")
    (worker,) = (m.pid for m in server.running.members() if m.pid != server.running.pid)
    postgresql.stop()
    server.running.kill_member(worker)
    wait_until(lambda: server.get("/healthz") == 200, "another worker answers")
    down = server.get("/readyz")
    postgresql.start()
    wait_until(lambda: server.get("/readyz") == 200, "the ledger answers")
    assert (503, False) == (down, server.running.has_ended())


def test_intake_of_a_server_that_refuses_connections_is_unavailable_until_it_is_back(
    postgresql: PostgreSql, intake: Intake
) -> None:
    post(intake, [sms("before")])
    postgresql.stop()
    try:
        with pytest.raises(UnavailableError, match="refused"):
            post(intake)
    finally:
        postgresql.start()
    assert {"stored": 100} == post(intake)


@contextmanager
def hanging_up(engine: sa.Engine, database: Database, *, before: int) -> Iterator[list[str]]:
    """End the session of whoever is about to execute the engine's statement of this number."""
    sent: list[str] = []

    def on_statement(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)
        if len(sent) == before:
            database.hang_up()

    sa.event.listen(engine, "before_cursor_execute", on_statement)
    yield sent
    sa.event.remove(engine, "before_cursor_execute", on_statement)


@pytest.mark.parametrize("name", ["booking", "costing", "retention"])
def test_whoever_dies_between_any_two_statements_leaves_a_ledger_that_ties(
    engine: sa.Engine, rules: Rules, prices: FlatMap, shared_database: Database, name: str
) -> None:
    intake, costing = Intake(engine, rules=rules), Costing(engine, prices)
    old = [sms(f"S{n}", time="2025-06-01T12:00:00Z") for n in range(3)]
    if name != "booking":
        post(intake, old)
    if name == "retention":
        costing.run(clock=lambda: NOW)
    retention = Retention(engine, days=90)
    act: Act = {
        "booking": lambda: post(intake, old),
        "costing": lambda: costing.run(clock=lambda: NOW),
        "retention": lambda: [list(retention.take(due)) for due in retention.find_due(now=NOW)],
    }[name]
    for number in count(1):
        with hanging_up(engine, shared_database, before=number) as sent:
            try:
                act()
            except UnavailableError:
                pass
            else:
                if len(sent) < number:
                    break
        assert [] == differences(engine, prices)
    costing.run(clock=lambda: NOW)
    report = verify(engine, prices)
    assert ((), [3, 0]) == (report.differences, [totals.events for totals in report.totals])


def test_two_workers_on_one_batch_cost_it_once_and_the_second_does_not_wait(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap
) -> None:
    post(intake)
    other = create_ledger_engine(engine.url.render_as_string(hide_password=False))
    costed = []
    with before_statement(
        engine,
        "INSERT INTO usage_rollups_daily",
        lambda: costed.append(Costing(other, prices).run(clock=lambda: NOW).batches),
    ):
        costed.append(costing.run(clock=lambda: NOW).batches)
    other.dispose()
    assert ([0, 1], []) == (costed, differences(engine, prices))


def test_sixteen_threads_that_post_the_same_thousand_events_store_each_once(
    engine: sa.Engine, rules: Rules, ledger: Onlooker
) -> None:
    engines = [
        create_ledger_engine(engine.url.render_as_string(hide_password=False)) for _ in range(16)
    ]
    events = [ai(f"E{n}") for n in range(1000)]
    intakes = [Intake(each, rules=rules) for each in engines]
    answers = at_once([partial(post, each, events) for each in intakes])
    for each in engines:
        each.dispose()
    total = sum(answers, Counter())
    assert ({"stored": 1000, "duplicate": 15_000}, 1000) == (total, ledger.count("usage_metrics"))


@pytest.fixture
def stranger(ledger_url: str, shared_database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A session that Meterline knows nothing of, and that no deadlock is blamed on."""
    del ledger_url  # is emptied after this session has ended
    address = shared_database.server.address(shared_database.name, user="postgres")
    with psycopg.connect(address) as connection:
        connection.execute("SET deadlock_timeout = '10min'")
        connection.commit()
        yield connection
        connection.rollback()


CLAIM = (
    "INSERT INTO usage_metrics (tenant_id, event_id, id, batch_id, fingerprint, time, date,"
    " channel, direction, price_class, quantity, derived, provisional)"
    " VALUES ('acme', %s, 0, 0, '', now(), now(), 'sms', 'outbound', 'x', 1, false, false)"
)


def test_booking_that_a_deadlock_ended_is_done_again_and_stored(
    stranger: psycopg.Connection[Any], intake: Intake, engine: sa.Engine, prices: FlatMap
) -> None:
    stranger.execute(CLAIM, ("b",))
    answers: list[Counter[str]] = []
    booking = threading.Thread(target=lambda: answers.append(post(intake, [sms("a"), sms("b")])))
    booking.start()
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid'"
    wait_until(lambda: stranger.execute(waits).fetchone() == (1,), "booking waits for b")
    stranger.execute(CLAIM, ("a",))  # waits for booking, which waits for us: booking is ended
    stranger.rollback()
    booking.join()
    assert ([{"stored": 2}], []) == (answers, differences(engine, prices))


@pytest.fixture
def limited(engine: sa.Engine) -> Iterator[sa.Engine]:
    """An engine whose transactions wait 100 ms for a lock and take 200 ms for a statement."""
    url = engine.url.render_as_string(hide_password=False)
    limits = Limits(lock=100, statement=200)
    limited = create_ledger_engine(url, Connecting(limits=limits))
    yield limited
    limited.dispose()


def test_a_lock_that_is_not_given_back_is_waited_for_so_long_and_no_longer(
    stranger: psycopg.Connection[Any], limited: sa.Engine, rules: Rules
) -> None:
    stranger.execute(CLAIM, ("a",))
    with pytest.raises(UnavailableError, match="lock timeout"):
        post(Intake(limited, rules=rules), [sms("a")])


def test_a_statement_of_a_request_is_ended_in_time(limited: sa.Engine) -> None:
    with pytest.raises(UnavailableError, match="statement timeout"):  # noqa: SIM117 - the session is part of what raises
        with tenant_session(limited, ACME) as session:
            session.connection.execute(sa.text("SELECT pg_sleep(10)"))


def test_operators_write_one_at_a_time(engine: sa.Engine, limited: sa.Engine) -> None:
    with operator_session(engine, write=True), pytest.raises(UnavailableError, match="lock"):  # noqa: SIM117 - as above
        with operator_session(limited, write=True):
            pass


def test_bookings_wait_for_no_operator(engine: sa.Engine, limited: sa.Engine, rules: Rules) -> None:
    with operator_session(engine, write=True):
        assert {"stored": 1} == post(Intake(limited, rules=rules), [sms()])
