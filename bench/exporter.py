"""A scrape over many tenants, against the bare SQL behind it; and the memory of an exporter.

The bare side sends the statements that a scrape sends, with their values, and fetches all rows.
"""

import http.client
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, generate_latest

from bench.ledgers import NOW, open_driver, open_engine
from bench.memory import KIB_A_MIB, read_peak
from bench.reports import fill_rollups
from bench.table import Line
from bench.timing import Side, Work, alternate
from cli.wiring import override_settings
from exporter.collectors import choose_collectors
from exporter.scrape import Scrape
from exporter.store import start_of_hour
from exporter.watch import Watch
from ledger.money import Nanos

TENANTS = 10_000
ASKED = 1.5
ASKED_MIB = 120

_FEATURES = 4
_SCRAPES = 5
_LISTENS = re.compile(r"http://127\.0\.0\.1:(\d+)/metrics")
# A message costs 0.0089 USD: every tenant is looked at, and has its past looked up where it may.
_WATCH = Watch(tenants=20, ai_share=Fraction(3, 10), ai_amount=Nanos(0), hour_amount=Nanos(1))

_Sent = list[tuple[str, Any]]


def measure() -> list[Line]:
    """Compare a scrape with its statements, then look at the memory of the command."""
    ids = [f"tenant-{number:05}" for number in range(TENANTS)]
    with TemporaryDirectory(prefix="bench-") as folder:
        path = fill_rollups(Path(folder, "ledger.db"), ids, features=_FEATURES)
        _fill_hours(path)
        return [_compare(path), _measure_memory(path)]


def _fill_hours(path: Path) -> None:
    """Give every tenant usage in the hour that runs and in a past one, and AI on half the rows."""
    this = start_of_hour(NOW)
    with open_driver(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "UPDATE usage_rollups_daily SET channel = 'ai' WHERE feature < 'feature_002'"
            " AND date = ?",
            (NOW.date().isoformat(),),
        )
        for hour, days in ((this, 0), (this - timedelta(days=1), 1)):
            connection.execute(
                "INSERT INTO usage_rollups_hourly SELECT tenant_id, date, ?, rollup_id, count,"
                " quantity FROM usage_rollups_daily WHERE date = ?",
                (
                    hour.strftime("%Y-%m-%d %H:%M:%S.%f"),
                    (NOW - timedelta(days=days)).date().isoformat(),
                ),
            )
        connection.execute("COMMIT")


def _compare(path: Path) -> Line:
    with open_engine(path) as engine:
        registry = _register(engine)
        sent = _listen(engine, registry)
    sides: dict[str, Side] = {
        "scrape": partial(_scrape, path),
        "bare": partial(_bare, path, sent),
    }
    taken = alternate(sides)
    ours, other = taken["scrape"], taken["bare"]
    name = f"a scrape with {TENANTS:,} tenants / its {len(sent)} bare statements"
    return Line(name, ours, other, ours / other, f"<= {ASKED}")


def _register(engine: sa.Engine) -> CollectorRegistry:
    registry = CollectorRegistry()
    collectors = choose_collectors(_WATCH, ships=False)
    registry.register(Scrape(engine, collectors, clock=lambda: NOW, tell=_fail))
    return registry


def _fail(fault: str) -> None:
    raise AssertionError(fault)


def _listen(engine: sa.Engine, registry: CollectorRegistry) -> _Sent:
    """Return the queries of one scrape with their values, as the driver gets them."""
    sent: _Sent = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT"):
            sent.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    page = generate_latest(registry).decode()
    sa.event.remove(engine, "before_cursor_execute", note)
    if f"meterline_high_ai_tenants {TENANTS}.0" not in page:
        raise AssertionError("not the page of all tenants")
    return sent


@contextmanager
def _scrape(path: Path) -> Iterator[Work]:
    with open_engine(path) as engine:
        yield partial(generate_latest, _register(engine))


@contextmanager
def _bare(path: Path, sent: _Sent) -> Iterator[Work]:
    with open_driver(path) as connection:
        yield partial(_send, connection, sent)


def _send(connection: sqlite3.Connection, sent: Sequence[tuple[str, Any]]) -> None:
    for statement, parameters in sent:
        connection.execute(statement, parameters).fetchall()


def _measure_memory(path: Path) -> Line:
    """Let the command be scraped, and see what the system says of it.

    Its clock is the real one, so the days of the ledger are moved to it.
    """
    with open_driver(path) as connection:
        connection.execute(
            "UPDATE usage_rollups_daily SET date = date('now') WHERE date = ?",
            (NOW.date().isoformat(),),
        )
    override_settings(
        database_url=f"sqlite:///{path}", alert_ai_usd="0", alert_hour_usd="0.000000001"
    )
    command = [str(Path(sys.executable).parent / "meterline"), "exporter", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        if process.stdout is None:
            raise AssertionError("it was asked to talk to us")
        listens = _LISTENS.search(process.stdout.readline().decode())
        if listens is None:
            raise AssertionError("the exporter does not listen")
        for _ in range(_SCRAPES):
            _get(int(listens[1]))
        peak = read_peak(process.pid)
        process.send_signal(signal.SIGTERM)
    mib = peak / KIB_A_MIB
    name = f"MiB of an exporter after {_SCRAPES} scrapes of {TENANTS:,} tenants / {ASKED_MIB} MiB"
    return Line(name, mib, ASKED_MIB, mib / ASKED_MIB, "<= 1")


def _get(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read()
    connection.close()
    if b"meterline_high_ai_cost_usd{" not in page:
        raise AssertionError("no tenant is on the page")
