"""What is on its way when the ledger fails: nobody sends newer figures before it has landed."""

import threading
import time

import pytest
import sqlalchemy as sa

from collector.influx.target import Target
from collector.influx.writer import Writer
from collector.relay import job, store
from collector.relay.job import Relay
from ledger.clock import system_clock
from ledger.errors import UnavailableError
from tests.builders import sms
from tests.conftest import Book
from tests.service.series.test_verify_series import differences


class SlowWriter:
    """Writes to InfluxDB; the second write takes a while to arrive."""

    def __init__(self, target: Target) -> None:
        self._writer = Writer(target)
        self._calls = 0
        self.is_underway = threading.Event()
        self.has_landed = threading.Event()

    def write(self, bucket: str, body: bytes) -> int:
        self._calls += 1
        if self._calls != 2:
            return self._writer.write(bucket, body)
        self.is_underway.set()
        time.sleep(0.5)
        expired = self._writer.write(bucket, body)
        self.has_landed.set()
        return expired


@pytest.fixture
def writer(target: Target) -> SlowWriter:
    return SlowWriter(target)


@pytest.fixture
def failing(
    engine: sa.Engine, target: Target, writer: SlowWriter, monkeypatch: pytest.MonkeyPatch
) -> Relay:
    """A relay whose first mark fails while its second call is underway."""
    mark = store.mark_shipped

    def fail_once(*_arguments: object, **_options: object) -> None:
        writer.is_underway.wait(10)
        monkeypatch.setattr(job, "mark_shipped", mark)
        raise UnavailableError("ledger_unavailable", "the ledger did not answer")

    monkeypatch.setattr(job, "CALL_POINTS", 3)
    monkeypatch.setattr(job, "mark_shipped", fail_once)
    return Relay(engine, target, writer=writer, clock=system_clock)


def test_a_run_that_the_ledger_stops_waits_for_what_is_underway(
    failing: Relay, writer: SlowWriter, book: Book
) -> None:
    book(sms("a"), sms("k", tenant="karachi"))
    with pytest.raises(UnavailableError):
        failing.run()
    assert writer.has_landed.is_set()


def test_figures_that_were_underway_when_the_ledger_failed_do_not_take_the_place_of_newer_ones(
    engine: sa.Engine, target: Target, failing: Relay, writer: SlowWriter, book: Book
) -> None:
    book(sms("a"), sms("k", tenant="karachi"))
    with pytest.raises(UnavailableError):
        failing.run()
    book(sms("more", tenant="karachi"))
    failing.run()
    writer.has_landed.wait(10)
    assert [] == differences(engine, target)
