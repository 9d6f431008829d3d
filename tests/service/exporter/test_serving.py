"""What servers count, and that nothing of it is lost on its way to the exporter."""

import signal
from collections import Counter as Tally
from collections.abc import Callable, Mapping
from contextlib import closing

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from api.app import create_app
from api.services import Services
from cli.counting import CounterWriter
from exporter.metric import Sample, Spread
from exporter.serving import collect_serving
from ledger.counters import BOUNDS, Counter, CounterKey, Counters, count_request
from ledger.session import operator_session
from tests.builders import NOW, sms
from tests.conftest import Run
from tests.processes import Launcher, Sender, Server
from tests.service.exporter.conftest import Export
from tests.statements import change_schema

STORED = CounterKey(Counter.INTAKE_RESULTS, ("stored",))


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


def taken(services: Services) -> dict[tuple[str, ...], int]:
    """Return requests by route and class of status."""
    requests: Tally[tuple[str, ...]] = Tally()
    for key, times in services.counters.take().items():
        if key.counter is Counter.HTTP_REQUESTS:
            requests[key.labels[:2]] += times
    return requests


@pytest.mark.ledger("sqlite")
def test_requests_are_counted_by_the_route_that_answers_them(
    client: FlaskClient, services: Services
) -> None:
    for path in ("/healthz", "/healthz", "/of/nobody", "/of/somebody", "/api/admin/tenants/acme"):
        client.get(path).close()
    expected = {
        ("/healthz", "2xx"): 2,
        ("none", "4xx"): 2,
        ("/api/admin/tenants/<tenant_id>", "4xx"): 1,
    }
    assert expected == taken(services)


@pytest.mark.ledger("sqlite")
def test_a_request_ends_when_its_answer_was_handed_over(
    client: FlaskClient, services: Services
) -> None:
    answer = client.get("/healthz", buffered=False)
    before = taken(services)
    answer.close()
    assert ({}, {("/healthz", "2xx"): 1}) == (before, taken(services))


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [(0.0, "0.005"), (0.005, "0.005"), (0.0051, "0.01"), (10.0, "10"), (10.1, "+Inf")],
)
def test_a_request_is_counted_under_the_least_bound_that_holds_it(
    seconds: float, bound: str
) -> None:
    counts = count_request("/healthz", 204, seconds)
    assert 1 == counts[CounterKey(Counter.HTTP_REQUESTS, ("/healthz", "2xx", bound))]


Read = Callable[[], Mapping[str, float]]


@pytest.fixture
def read(engine: sa.Engine) -> Read:
    """Return the results of intake by status or reason."""

    def run() -> dict[str, float]:
        with operator_session(engine) as session:
            samples = list(collect_serving(session, NOW))
        return {s.labels[0]: s.value for s in samples if isinstance(s, Sample) and s.value}

    return run


def test_what_two_processes_write_is_added_up(engine: sa.Engine, read: Read) -> None:
    for times in (2, 3):
        counters = Counters()
        counters.add({STORED: times})
        CounterWriter(engine, counters).write()
    assert {"stored": 5} == read()


def test_every_status_is_there_before_the_first_event(engine: sa.Engine) -> None:
    with operator_session(engine) as session:
        samples = [s for s in collect_serving(session, NOW) if isinstance(s, Sample)]
    expected = {"stored": 0, "duplicate": 0, "conflict": 0, "rejected": 0}
    assert expected == {sample.labels[0]: sample.value for sample in samples}


@pytest.mark.ledger(own=True)
def test_what_the_ledger_does_not_take_is_written_later(engine: sa.Engine, read: Read) -> None:
    counters = Counters()
    writer = CounterWriter(engine, counters)
    change_schema(engine, "ALTER TABLE server_counters RENAME TO elsewhere")
    counters.add({STORED: 2})
    writer.write()
    change_schema(engine, "ALTER TABLE elsewhere RENAME TO server_counters")
    writer.write()
    writer.write()
    assert {"stored": 2} == read()


def test_a_histogram_counts_what_is_below_each_bound(engine: sa.Engine) -> None:
    counters = Counters()
    for seconds in (0.001, 0.02, 0.02, 99.0):
        counters.add(count_request("/healthz", 200, seconds))
    CounterWriter(engine, counters).write()
    with operator_session(engine) as session:
        (spread,) = (s for s in collect_serving(session, NOW) if isinstance(s, Spread))
    below = dict(zip(BOUNDS, (1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4), strict=True))
    assert below == spread.counts
    assert pytest.approx(99.041) == spread.total


@pytest.mark.ledger("sqlite")
@pytest.mark.usefixtures("engine")
def test_no_answer_of_a_server_with_several_processes_is_lost_when_it_ends(
    launcher: Launcher, meterline: Run, export: Export
) -> None:
    secret = meterline("key", "create", "--scope", "ingest").stdout.strip()
    server = Server(launcher, "--workers", "2")
    batches = [[sms(f"a{n}"), sms("same"), sms(f"b{n}", direction="up")] for n in range(20)]
    for batch in batches:
        # A connection each, so that both processes get some.
        with closing(Sender(secret, lambda: server.port)) as sender:
            sender.send(batch)
    server.running.signal(signal.SIGTERM)
    server.running.wait()
    found = export().scrape()
    expected = {"stored": 21, "duplicate": 19, "conflict": 0, "rejected": 20}
    results = {name: found[f"meterline_intake_results_total {name}"] for name in expected}
    assert expected == results
    rejections = found["meterline_intake_rejections_total unknown_direction"]
    took = "meterline_http_request_duration_seconds_count /api/v1/events 2xx"
    assert (20, 20) == (rejections, found[took])
