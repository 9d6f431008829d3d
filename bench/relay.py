"""The relay, against a bare loop that posts the same lines, ready-made, to the same InfluxDB.

The bare side has all its lines in memory, in bodies of as many lines as the relay sends at once. It
reads no ledger, compresses nothing, holds no lease and marks nothing. Both sides go through the
proxy that translates the one path that Debian's InfluxDB lacks, each time into a new database.
"""

import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from bench.booking import ai_event, sms_event
from bench.costing import fill_history
from bench.ledgers import NOW, create_ledger, open_copy, open_engine, open_intake
from bench.memory import KIB_A_MIB, watch_memory
from bench.table import Line
from bench.timing import Side, Work, alternate
from cli.wiring import override_settings
from collector.influx.target import Target
from collector.influx.writer import Writer
from collector.relay.job import Relay
from collector.relay.points import Point
from collector.relay.reading import Oldest, read_parcels
from collector.relay.store import CALL_POINTS, list_due
from costing.job import Costing
from costing.pricing.flat import load_flat_map
from ledger.clock import system_clock
from ledger.session import operator_session
from tests.servers.influx import Influx

EVENTS = 200_000
BACKLOG = 1_000_000
ASKED = 0.6
ASKED_MIB = 150

_NO_CONTENT = 204
_ROUNDS = 3
_REQUEST_EVENTS = 1000
_TENANTS = [f"tenant-{number:02}" for number in range(50)]


def measure() -> list[Line]:
    """Compare throughput, then look at the memory that a large backlog takes."""
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with closing(Influx(folder / "influx")) as influx:
            return [_throughput(folder, influx), _memory(folder, influx)]


def _throughput(folder: Path, influx: Influx) -> Line:
    ledger = _book(folder / "ledger.db")
    databases = (f"run{number}" for number in count())
    bodies = _make_bodies(ledger)
    sides: dict[str, Side] = {
        "ours": partial(_ours, ledger, influx, databases),
        "bare": partial(_bare, bodies, influx, databases),
    }
    taken = alternate(sides, rounds=_ROUNDS)
    name = f"ship {EVENTS:,} events / post their lines, ready-made"
    return Line(name, taken["ours"], taken["bare"], taken["bare"] / taken["ours"], f">= {ASKED}")


def _book(path: Path) -> Path:
    """Make a ledger of usage that came in over HTTP, in requests of many tenants, and is costed."""
    create_ledger(path, _TENANTS)
    with open_engine(path) as engine:
        intake = open_intake(engine)
        for start in range(0, EVENTS, _REQUEST_EVENTS):
            numbers = range(start, start + _REQUEST_EVENTS)
            events = [_event(number) for number in numbers]
            intake.book(events, only_tenant=None, now=NOW)
        Costing(engine, load_flat_map(), ships=True).run(clock=lambda: NOW)
    return path


def _event(number: int) -> dict[str, Any]:
    make = ai_event if number % 2 else sms_event
    tenant = _TENANTS[number // 2 % len(_TENANTS)]
    return {**make(Random(number), number // 2), "tenant": tenant}


@contextmanager
def _ours(ledger: Path, influx: Influx, databases: Iterator[str]) -> Iterator[Work]:
    with _database(influx, databases) as database, open_copy(ledger) as engine:
        target = Target(url=influx.url, bucket=database, usage_bucket=database)
        with closing(Writer(target)) as writer:
            relay = Relay(engine, target, writer=writer, clock=system_clock)
            yield partial(_ship, relay)


def _ship(relay: Relay) -> None:
    shipped = relay.run()
    if shipped.error is not None or shipped.points < EVENTS:
        raise AssertionError(f"not all was shipped: {shipped}")


@contextmanager
def _bare(bodies: list[bytes], influx: Influx, databases: Iterator[str]) -> Iterator[Work]:
    with _database(influx, databases) as database:
        connection = http.client.HTTPConnection("127.0.0.1", influx.port, timeout=60)
        with closing(connection):
            yield partial(
                _post, connection, f"/api/v2/write?bucket={database}&precision=ns", bodies
            )


def _post(connection: http.client.HTTPConnection, path: str, bodies: list[bytes]) -> None:
    for body in bodies:
        connection.request("POST", path, body)
        response = connection.getresponse()
        if response.status != _NO_CONTENT:
            raise AssertionError(f"{response.status}: {response.read()!r}")
        response.read()


@contextmanager
def _database(influx: Influx, names: Iterator[str]) -> Iterator[str]:
    name = next(names)
    influx.query(f'CREATE DATABASE "{name}"')
    yield name
    influx.query(f'DROP DATABASE "{name}"')


def _make_bodies(ledger: Path) -> list[bytes]:
    points: list[Point] = []
    with open_engine(ledger) as engine:
        with operator_session(engine) as session:
            tenants = list_due(session)
        for tenant_id in tenants:
            for parcel in read_parcels(engine, tenant_id, Oldest()):
                points += parcel.points
    lines = [point.line for point in points]
    return [
        "\n".join(lines[start : start + CALL_POINTS]).encode()
        for start in range(0, len(lines), CALL_POINTS)
    ]


def _memory(folder: Path, influx: Influx) -> Line:
    """Let the command ship a large backlog of few tenants, and see what the system says of it."""
    ledger = fill_history(folder / "backlog.db", BACKLOG, ships=True)
    influx.query('CREATE DATABASE "meterline"')
    override_settings(database_url=f"sqlite:///{ledger}", influx_url=influx.url)
    command = [str(Path(sys.executable).parent / "meterline"), "work", "--once"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = watch_memory(process)
    found = influx.value('SELECT count("quantity") FROM "usage"')
    if process.returncode or found != BACKLOG:
        raise AssertionError(f"exit code {process.returncode}, {found} points")
    mib = peak / KIB_A_MIB
    name = f"MiB to ship a backlog of {BACKLOG:,} events / {ASKED_MIB} MiB"
    return Line(name, mib, ASKED_MIB, mib / ASKED_MIB, "<= 1")
