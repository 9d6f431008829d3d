"""The real Prometheus scrapes a real exporter, and the real InfluxDB goes away and comes back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.job import Costing
from costing.pricing.flat import FlatMap
from exporter.catalogue import METRICS
from ledger.clock import system_clock
from tests.builders import NOW, sms
from tests.conftest import Book
from tests.costed import book as book_only
from tests.processes import Launcher, wait_until
from tests.servers.influx import Influx
from tests.servers.prometheus import Prometheus, check_metrics
from tests.service.exporter.budgets import spend_a_budget
from tests.service.exporter.conftest import Export, Exporter
from tests.service.exporter.spend import make_busy
from tests.service.exporter.test_exporter import INFLUX, fail

Watch = Callable[[Exporter], Prometheus]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """Let a Prometheus scrape an exporter."""
    started: list[Prometheus] = []

    def start(exporter: Exporter) -> Prometheus:
        started.append(Prometheus(tmp_path / "prometheus", target=exporter.port))
        return started[-1]

    yield start
    for prometheus in started:
        prometheus.close()


@pytest.fixture
def costing(engine: sa.Engine, prices: FlatMap) -> Costing:
    return Costing(engine, prices, ships=True)


def test_prometheus_sees_the_backlog_of_costing_come_and_go(
    intake: Intake, costing: Costing, export: Export, watch: Watch
) -> None:
    book_only(intake, sms("a"), sms("b"), sms("k", tenant="karachi"))
    prometheus = watch(export())
    waiting = "meterline_costing_backlog_events"
    wait_until(lambda: prometheus.value(waiting) == 3, "Prometheus has the backlog")
    costing.run(clock=lambda: NOW)
    wait_until(lambda: prometheus.value(waiting) == 0, "it sees that the backlog is gone")
    since = f"{waiting} == 0 and meterline_costing_last_run_timestamp_seconds"
    assert 1 == len(prometheus.query(since))


@pytest.mark.ledger("sqlite")
def test_prometheus_knows_the_type_of_every_metric(
    engine: sa.Engine, intake: Intake, costing: Costing, export: Export, watch: Watch
) -> None:
    make_busy(engine, intake, costing, now=system_clock())
    fail(engine)
    spend_a_budget(engine)
    prometheus = watch(export(**INFLUX))
    wait_until(lambda: prometheus.value("up") == 1, "Prometheus has scraped")
    found = {name: kind for name, kind in prometheus.types().items() if "meterline" in name}
    # OpenMetrics, which Prometheus asks for, names the type of a counter without its ending.
    assert {metric.name.removesuffix("_total"): metric.kind for metric in METRICS} == found


@pytest.mark.ledger("sqlite")
def test_promtool_finds_nothing_wrong(
    engine: sa.Engine, intake: Intake, costing: Costing, export: Export
) -> None:
    make_busy(engine, intake, costing, now=system_clock())
    fail(engine)
    spend_a_budget(engine)
    assert "" == check_metrics(export(**INFLUX).get().body)


def test_the_backlog_of_the_relay_comes_when_influxdb_is_down_and_goes_when_it_is_back(  # noqa: PLR0917 - fixtures
    influx: Influx, book: Book, export: Export, watch: Watch, tmp_path: Path, ledger_url: str
) -> None:
    settings = {"METERLINE_INFLUX_URL": influx.url, "METERLINE_INFLUX_TIMEOUT_SECONDS": "0.5"}
    prometheus = watch(export(**settings))
    waiting = "meterline_relay_backlog_events and meterline_relay_failing == "
    influx.kill()
    book(sms("a"), sms("b"))
    launcher = Launcher(tmp_path / "worker", ledger_url, **settings)
    try:
        launcher.start("work")
        wait_until(lambda: prometheus.value(f"{waiting} 1") == 2, "Prometheus sees two events wait")
        influx.start()
        wait_until(lambda: prometheus.value(f"{waiting} 0") == 0, "it sees that none waits")
    finally:
        launcher.close()
    assert 1 == len(prometheus.query("meterline_relay_last_failure_timestamp_seconds"))
