"""Several writers at once on one ledger file: nothing is lost, nothing counts twice."""

import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.events import Rules
from collector.intake import Intake, Result
from costing.job import Costing
from costing.pricing.flat import FlatMap, build_flat_map
from costing.verify import verify
from ledger.engine import create_ledger_engine
from ledger.event import Status
from ledger.models import price_books, usage_metrics, usage_rollups_daily
from ledger.session import operator_session
from ledger.tenant import TenantId
from tests.builders import NOW, ai, sms
from tests.conftest import Run
from tests.interleaving import at_once, before_statement, before_write
from tests.onlooker import Onlooker
from tests.processes import Launcher, Sender, Server

EVENTS = 1000
WRITERS = 6


def in_chunks(events: Sequence[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(events)
    while chunk := list(islice(iterator, size)):
        yield chunk


def submit(intake: Intake, *events: dict[str, Any], size: int = 5000) -> list[Result]:
    """Book events in requests of `size`."""
    return [
        result
        for chunk in in_chunks(events, size)
        for result in intake.book(chunk, only_tenant=None, now=NOW)
    ]


def count_costed(engine: sa.Engine) -> int:
    with operator_session(engine) as session:
        total = sa.func.coalesce(sa.func.sum(usage_rollups_daily.c["count"]), 0)
        return int(session.connection.execute(sa.select(total)).scalar_one())


def count_booked(engine: sa.Engine) -> int:
    with operator_session(engine) as session:
        query = sa.select(sa.func.count()).select_from(usage_metrics)
        return session.connection.execute(query).scalar_one()


@pytest.fixture
def other_engine(ledger_url: str) -> Iterator[sa.Engine]:
    """A second set of connections to the ledger, as another process has them."""
    other = create_ledger_engine(ledger_url)
    yield other
    other.dispose()


@pytest.fixture
def other_intake(other_engine: sa.Engine, rules: Rules) -> Intake:
    return Intake(other_engine, rules=rules)


@pytest.fixture
def raised_book() -> FlatMap:
    rates = {
        "sms": {"outbound": "0.02"},
        "ai": {"input_per_1k_tokens": "0.004", "output_per_1k_tokens": "0"},
    }
    return build_flat_map({"name": "raised", "currency": "USD", "rates": rates})


def book_everywhere(intake: Intake) -> list[Result]:
    """Let several threads book the same events, each in an order and in chunks of its own."""

    def writer(number: int) -> Callable[[], list[Result]]:
        events = [sms(f"SM{n}") for n in range(EVENTS)]
        random.Random(number).shuffle(events)
        return lambda: submit(intake, *events, size=50 + 90 * number)

    return [
        result for results in at_once([writer(n) for n in range(WRITERS)]) for result in results
    ]


def test_of_many_threads_that_book_an_event_exactly_one_is_told_stored(intake: Intake) -> None:
    results = book_everywhere(intake)
    stored = Counter(result.event_id for result in results if result.status is Status.STORED)
    assert {f"SM{n}": 1 for n in range(EVENTS)} == stored


def test_all_other_threads_that_book_the_event_are_told_duplicate(intake: Intake) -> None:
    statuses = Counter(result.status for result in book_everywhere(intake))
    assert {Status.STORED: EVENTS, Status.DUPLICATE: (WRITERS - 1) * EVENTS} == statuses


def test_processes_that_import_one_file_at_once_store_each_line_once(
    engine: sa.Engine, launcher: Launcher, tmp_path: Path
) -> None:
    file = tmp_path / "usage.ndjson"
    file.write_text("".join(json.dumps(sms(f"SM{n}")) + "\n" for n in range(5 * EVENTS)))
    imports = [launcher.start("import", file) for _ in range(3)]
    codes = [running.wait() for running in imports]
    told = [
        tuple(map(int, match.groups()))
        for running in imports
        for match in re.finditer(r"(\d+) stored, (\d+) duplicate", running.log.read_text())
    ]
    stored, duplicate = (sum(column) for column in zip(*told, strict=True))
    expected = ([0, 0, 0], 5 * EVENTS, 10 * EVENTS, 5 * EVENTS)
    assert expected == (codes, stored, duplicate, count_booked(engine))


@pytest.mark.usefixtures("engine")
def test_requests_that_post_the_same_events_at_once_store_each_once(
    launcher: Launcher, meterline: Run
) -> None:
    secret = meterline("key", "create", "--scope", "ingest").stdout.strip()
    server = Server(launcher, "--workers", "2")

    def post() -> list[str]:
        sender = Sender(secret, lambda: server.port)
        events = [sms(f"SM{n}") for n in range(EVENTS)]
        with closing(sender):
            return [s for chunk in in_chunks(events, 100) for s in sender.send(chunk)]

    answers = Counter(status for statuses in at_once([post] * WRITERS) for status in statuses)
    assert {"stored": EVENTS, "duplicate": (WRITERS - 1) * EVENTS} == answers


def test_two_workers_and_a_rebuild_at_once_tie(
    engine: sa.Engine, other_engine: sa.Engine, intake: Intake, prices: FlatMap
) -> None:
    for start in range(0, EVENTS, 20):
        submit(intake, *((sms, ai)[n % 2](f"E{n}") for n in range(start, start + 20)))
    one, two, three = (Costing(e, prices) for e in (engine, other_engine, engine))
    at_once([partial(work, clock=lambda: NOW) for work in (one.run, two.run, three.rebuild)])
    report = verify(engine, prices)
    assert ((), EVENTS) == (report.differences, sum(total.events for total in report.totals))


def test_workers_that_start_at_once_on_a_new_ledger_register_the_price_book_once(
    engine: sa.Engine, other_engine: sa.Engine, intake: Intake, prices: FlatMap
) -> None:
    submit(intake, sms())
    workers = [Costing(e, prices) for e in (engine, other_engine)]
    at_once([partial(worker.run, clock=lambda: NOW) for worker in workers])
    with operator_session(engine) as session:
        kept = session.connection.execute(sa.select(price_books.c.price_version)).scalars().all()
    assert [prices.price_version] == kept


def test_events_booked_between_claim_and_commit_of_costing_are_costed_next(
    engine: sa.Engine, intake: Intake, other_intake: Intake, costing: Costing
) -> None:
    submit(intake, sms("SM1"))
    late = threading.Thread(target=lambda: submit(other_intake, sms("SM2")))

    def book_meanwhile() -> None:
        late.start()
        late.join(timeout=0.2)  # it waits for the lock that the transaction around us holds

    with before_statement(engine, "DELETE FROM usage_batches", book_meanwhile):
        costing.run(clock=lambda: NOW)
    late.join()
    costing.run(clock=lambda: NOW)
    assert 2 == count_costed(engine)


def test_batches_booked_all_through_costing_are_all_costed(
    engine: sa.Engine, other_intake: Intake, costing: Costing
) -> None:
    done = threading.Event()

    def write() -> None:
        for n in range(EVENTS // 5):
            submit(other_intake, *(sms(f"SM{n}-{k}") for k in range(5)))
        done.set()

    def cost() -> None:
        while not done.is_set():
            costing.run(clock=lambda: NOW)

    at_once([write, cost])
    costing.run(clock=lambda: NOW)
    assert EVENTS == count_costed(engine)


@contextmanager
def booking_before_each(engine: sa.Engine, text: str, intake: Intake) -> Iterator[None]:
    """Book one more event whenever the engine is about to execute `text…`, up to 20 in all."""
    numbers = iter(range(1, 21))

    def on_statement(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith(text) and (number := next(numbers, None)):
            submit(intake, sms(f"SM{number}"))

    sa.event.listen(engine, "before_cursor_execute", on_statement)
    yield
    sa.event.remove(engine, "before_cursor_execute", on_statement)


@pytest.mark.ledger("postgresql")  # on SQLite nobody books while costing writes
@pytest.mark.parametrize("wait", [False, True])
def test_usage_that_comes_while_a_tenant_is_costed_is_for_the_next_pass(
    engine: sa.Engine, intake: Intake, other_intake: Intake, costing: Costing, *, wait: bool
) -> None:
    submit(intake, sms("SM0"))
    with booking_before_each(engine, "DELETE FROM usage_batches", other_intake):
        done = [costing.run(clock=lambda: NOW, wait=wait).batches for _ in range(3)]
    assert [1, 1, 1] == done


@pytest.mark.ledger("postgresql")
def test_a_tenant_that_is_booked_all_the_time_is_rebuilt_nevertheless(
    engine: sa.Engine, intake: Intake, other_intake: Intake, costing: Costing
) -> None:
    submit(intake, sms("SM0"))
    with booking_before_each(engine, "DELETE FROM usage_batches", other_intake):
        costing.rebuild(clock=lambda: NOW)
    assert (2, 3) == (count_costed(engine), count_booked(engine))


@pytest.mark.ledger("postgresql")
def test_a_rebuild_costs_what_has_piled_up_before_it_holds_the_figures(
    engine: sa.Engine, intake: Intake, costing: Costing, ledger: Onlooker
) -> None:
    submit(intake, sms("SM0"))
    seen: list[tuple[Any, ...]] = []
    look = partial(ledger.row, "SELECT count(*) FROM usage_batches")
    with before_statement(engine, "SELECT usage_checkpoints", lambda: seen.append(look())):
        costing.rebuild(TenantId("acme"), clock=lambda: NOW)
    assert [(0,)] == seen


def test_a_worker_goes_on_when_another_rates_by_a_book_that_is_new_to_it(
    engine: sa.Engine,
    other_engine: sa.Engine,
    intake: Intake,
    costing: Costing,
    raised_book: FlatMap,
) -> None:
    submit(intake, sms("SM0", feature="first"))
    costing.run(clock=lambda: NOW)
    submit(intake, sms("SM1"))

    def other_is_faster() -> None:
        Costing(other_engine, raised_book).run(clock=lambda: NOW)
        submit(intake, sms("SM2"))

    with before_write(engine, other_is_faster):
        costing.run(clock=lambda: NOW)
    assert 3 == count_costed(engine)


def test_a_rebuild_keeps_the_price_version_that_another_worker_used_meanwhile(
    engine: sa.Engine,
    other_engine: sa.Engine,
    intake: Intake,
    costing: Costing,
    raised_book: FlatMap,
) -> None:
    submit(intake, sms("SM0", feature="first"))
    costing.run(clock=lambda: NOW)
    submit(intake, sms("SM1"))
    other = Costing(other_engine, raised_book)
    with before_write(engine, lambda: other.run(clock=lambda: NOW)):
        costing.rebuild(clock=lambda: NOW)
    rows = usage_rollups_daily.c
    with operator_session(engine) as session:
        query = sa.select(rows.price_version).where(rows.feature == "broadcast")
        assert raised_book.price_version == session.connection.execute(query).scalar_one()
