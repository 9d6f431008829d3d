"""The process: what it serves, whatever goes wrong with the ledger, and how it ends."""

import re
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from cli import schema
from collector.intake import Intake
from costing.job import Costing
from exporter.catalogue import METRICS
from ledger.clock import system_clock
from ledger.engine import create_ledger_engine
from ledger.session import operator_session
from ledger.shipping import note_failure
from tests.builders import NOW, sms
from tests.conftest import Run
from tests.costed import book as book_only
from tests.processes import wait_until
from tests.servers.postgresql import Database, PostgreSql, connect_as_driver
from tests.service.exporter.budgets import spend_a_budget
from tests.service.exporter.conftest import Export, Exporter
from tests.service.exporter.spend import make_busy
from tests.statements import change_schema

INFLUX = {"METERLINE_INFLUX_URL": "http://127.0.0.1:9"}
REASON = "a reason that InfluxDB gave"


def names(found: dict[str, float]) -> set[str]:
    return {name.split()[0] for name in found}


def fail(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        note_failure(session, REASON, failures=1, now=NOW)


def test_the_catalogue_and_what_is_served_are_the_same(
    engine: sa.Engine, intake: Intake, costing: Costing, export: Export
) -> None:
    make_busy(engine, intake, costing, now=system_clock())
    fail(engine)
    spend_a_budget(engine)
    found = names(export(**INFLUX).scrape())
    shown = {re.sub("_(bucket|count|sum)$", "", name) for name in found}
    assert {metric.name for metric in METRICS} == shown


def test_the_text_of_an_error_is_on_no_page(engine: sa.Engine, export: Export) -> None:
    fail(engine)
    assert REASON.encode() not in export(**INFLUX).get().body


@pytest.mark.usefixtures("engine")
def test_without_influxdb_there_are_no_metrics_of_a_relay(export: Export) -> None:
    assert set() == {name for name in export().scrape() if "relay" in name}


@pytest.mark.usefixtures("engine")
def test_a_scrape_shows_what_the_ledger_says_now(intake: Intake, export: Export) -> None:
    exporter = export()
    before = exporter.scrape()["meterline_costing_backlog_events"]
    book_only(intake, sms("a"), sms("b"))
    assert (0, 2) == (before, exporter.scrape()["meterline_costing_backlog_events"])


@pytest.mark.usefixtures("engine")
@pytest.mark.ledger("sqlite")
def test_the_process_itself_is_measured(export: Export) -> None:
    assert b"process_resident_memory_bytes" in export().get().body


@pytest.mark.usefixtures("engine")
@pytest.mark.ledger("sqlite")
def test_another_path_is_not_found(export: Export) -> None:
    assert (404, b"metrics are at /metrics\n") == export().get("/")


@pytest.mark.ledger(own=True)
def test_a_collector_that_fails_takes_no_other_with_it(engine: sa.Engine, export: Export) -> None:
    exporter = export(**INFLUX)
    change_schema(engine, "ALTER TABLE unshipped_batches RENAME TO elsewhere")
    found = exporter.scrape()
    success = "meterline_scrape_collector_success"
    expected = (1, 1, 0, False)
    assert expected == (
        found["meterline_ledger_up"],
        found[f"{success} costing"],
        found[f"{success} relay"],
        "meterline_relay_quarantined_points" in found,
    )


@pytest.mark.ledger(own=True)
def test_a_fault_is_told_once(engine: sa.Engine, export: Export) -> None:
    exporter = export()
    change_schema(engine, "ALTER TABLE usage_batches RENAME TO elsewhere")
    exporter.scrape()
    exporter.scrape()
    assert 1 == exporter.log.count("no metrics of costing: ")


def shown(exporter: Exporter) -> dict[str, float]:
    """Return what a scrape says, without the durations."""
    return {name: n for name, n in exporter.scrape().items() if "duration" not in name}


DOWN = {
    "meterline_ledger_up": 0,
    "meterline_scrape_collector_success costing": 0,
    "meterline_scrape_collector_success prices": 0,
    "meterline_scrape_collector_success relay": 0,
    "meterline_scrape_collector_success serving": 0,
    "meterline_scrape_collector_success spending": 0,
    "meterline_scrape_collector_success burning": 0,
    "meterline_scrape_collector_success budgets": 0,
}


@pytest.mark.ledger("postgresql")
@pytest.mark.usefixtures("engine")
def test_a_scrape_is_answered_while_the_ledger_is_down_and_goes_on_when_it_is_back(
    export: Export, postgresql: PostgreSql
) -> None:
    exporter = export(**INFLUX)
    postgresql.stop()
    try:
        found = shown(exporter)
    finally:
        postgresql.start()
    assert (DOWN, 1) == (found, exporter.scrape()["meterline_ledger_up"])


@pytest.mark.ledger("sqlite")
def test_an_exporter_starts_where_the_ledger_is_down_and_goes_on_when_it_is_there(
    template: Path, export: Export, tmp_path: Path
) -> None:
    folder = tmp_path / "not yet mounted"
    exporter = export(url=f"sqlite:///{folder}/ledger.db", **INFLUX)
    found = shown(exporter)
    folder.mkdir()
    shutil.copy(template, folder / "ledger.db")
    assert (DOWN, 1) == (found, exporter.scrape()["meterline_ledger_up"])


@pytest.mark.ledger("sqlite")
def test_an_exporter_does_not_start_on_a_ledger_that_needs_an_upgrade(
    meterline: Run, tmp_path: Path
) -> None:
    engine = create_ledger_engine(f"sqlite:///{tmp_path}/old.db")
    schema.upgrade(engine, "0006")
    engine.dispose()
    done = meterline("exporter", METERLINE_DATABASE_URL=f"sqlite:///{tmp_path}/old.db")
    assert (1, True) == (done.returncode, "run `meterline db upgrade`" in done.stderr)


@pytest.mark.ledger("sqlite")
@pytest.mark.usefixtures("engine")
def test_a_port_that_is_taken_is_told(meterline: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = meterline("exporter", "--port", str(port))
    text = (
        f"error: cannot listen on port {port} of 127.0.0.1: Address already in use;"
        " choose another by --port or --host\n"
    )
    assert (1, text) == (done.returncode, done.stderr)


@pytest.mark.usefixtures("engine")
def test_scrapes_at_the_same_time_are_all_answered(export: Export) -> None:
    exporter = export()
    with ThreadPoolExecutor(30) as pool:
        found = list(pool.map(lambda _n: exporter.scrape()["meterline_ledger_up"], range(60)))
    assert [1.0] * 60 == found


@pytest.mark.ledger("sqlite")
@pytest.mark.usefixtures("engine")
def test_who_connects_and_says_nothing_keeps_nobody_waiting(export: Export) -> None:
    exporter = export()
    with socket.create_connection(("127.0.0.1", exporter.port)):
        assert 200 == exporter.get(seconds=5).status


@pytest.mark.usefixtures("engine")
def test_sigterm_ends_it_well(export: Export) -> None:
    exporter = export()
    exporter.scrape()
    exporter.terminate()
    assert (0, 1) == (exporter.running.wait(), len(exporter.log.splitlines()))


@pytest.mark.ledger("postgresql", own=True)
@pytest.mark.usefixtures("engine")
def test_a_scrape_that_is_under_way_is_answered_before_it_ends(
    export: Export, database: Database
) -> None:
    exporter = export()
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with connect_as_driver(database.url) as owner, ThreadPoolExecutor(1) as pool:
        owner.execute("BEGIN; LOCK TABLE usage_batches")
        scrape = pool.submit(exporter.get)
        wait_until(lambda: owner.execute(waits).fetchone() == (1,), "the scrape waits")
        exporter.terminate()
        wait_until(lambda: refuses(exporter.port), "it listens no more", seconds=5)
        owner.execute("COMMIT")
        assert (200, 0) == (scrape.result().status, exporter.running.wait())


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return True
    return False
