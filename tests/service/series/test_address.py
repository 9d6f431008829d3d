"""What becomes of what waits for InfluxDB where a command was not told the address of it."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from ledger.models import unshipped_batches
from ledger.session import operator_session
from tests.builders import sms
from tests.commands import Done, run_here
from tests.conftest import Book
from tests.costed import book as book_only
from tests.servers.influx import Influx
from tests.service.series.conftest import Ship

EVENTS = 'SELECT count("quantity") FROM "usage"'

Command = Callable[..., Done]


@pytest.fixture
def untold(ledger_url: str) -> Command:
    """Run a command that knows the ledger alone."""
    return lambda *arguments: run_here(*arguments, METERLINE_DATABASE_URL=ledger_url)


def count_waiting(engine: sa.Engine) -> int:
    with operator_session(engine) as session:
        query = sa.select(sa.func.count()).select_from(unshipped_batches)
        return session.connection.execute(query).scalar_one()


@pytest.mark.parametrize("arguments", [("work", "--once"), ("rebuild", "rollups")])
def test_what_it_costs_is_shipped_all_the_same(  # noqa: PLR0917 - fixtures
    untold: Command, influx: Influx, book: Book, intake: Intake, ship: Ship,
    arguments: tuple[str, ...],
) -> None:  # fmt: skip
    book(sms("a"))
    ship()
    book_only(intake, sms("k", tenant="karachi"))  # nothing of whom was ever shipped
    untold(*arguments)
    ship()
    assert 2 == influx.value(EVENTS)


def test_retention_leaves_what_waits(
    untold: Command, influx: Influx, book: Book, ship: Ship
) -> None:
    book(sms("a"))
    taken = untold("retention", "run", "--days", "30").stdout
    ship()
    assert ("raw rows that became tombstones: 0\n", 1) == (taken, influx.value(EVENTS))


@pytest.mark.usefixtures("influx")
def test_a_worker_says_what_waits(untold: Command, book: Book) -> None:
    book(sms("a"))
    assert "but this ledger ships to InfluxDB: 1 events wait" in untold("work", "--once").stderr


@pytest.mark.usefixtures("influx")
def test_the_doctor_calls_it_wrong(untold: Command, book: Book, ship: Ship) -> None:
    book(sms("a"))
    ship()
    done = untold("doctor")
    expected = (
        "WRONG METERLINE_INFLUX_URL is not set, but this ledger ships to InfluxDB: 0 events wait;"
        " set it, or give InfluxDB up with `meterline influx leave`"
    )
    assert (1, True) == (done.returncode, expected in done.stdout.splitlines())


def test_nothing_waits_after_influxdb_was_given_up(
    untold: Command, engine: sa.Engine, book: Book, ship: Ship, intake: Intake
) -> None:
    book(sms("a"))
    ship()
    book(sms("b"))
    left = untold("influx", "leave").stdout
    book_only(intake, sms("c"))
    told = untold("work", "--once").stderr
    taken = untold("retention", "run", "--days", "30").stdout
    assert "events that waited to be shipped and wait no more: 1\n" == left
    assert ("", 0) == (told, count_waiting(engine))
    assert "raw rows that became tombstones: 3\n" == taken


def test_who_comes_back_to_influxdb_sends_what_the_ledger_has(
    untold: Command, influx: Influx, ledger_url: str, book: Book
) -> None:
    book(sms("a"))
    untold("influx", "leave")
    settings = {"METERLINE_DATABASE_URL": ledger_url, "METERLINE_INFLUX_URL": influx.url}
    run_here("rebuild", "series", **settings)
    assert 1 == influx.value(EVENTS)


def test_nobody_gives_up_the_influxdb_that_the_settings_name(ledger_url: str) -> None:
    settings = {"METERLINE_DATABASE_URL": ledger_url, "METERLINE_INFLUX_URL": "http://localhost:1"}
    done = run_here("influx", "leave", **settings)
    text = "error: unset METERLINE_INFLUX_URL first, here and for all processes\n"
    assert (2, text) == (done.returncode, done.stderr)
