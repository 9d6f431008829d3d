"""Fixtures: a proxy before InfluxDB, a ledger whose costing hands on to the relay, and a relay."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from collector.influx.target import Target
from collector.influx.writer import Writer
from collector.relay.job import Relay
from costing.job import Costing
from costing.pricing.flat import FlatMap
from ledger.clock import system_clock
from tests.servers.faults import FaultProxy
from tests.servers.influx import Influx

Ship = Callable[[], int]


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 10, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def faults(influx: Influx) -> Iterator[FaultProxy]:
    """A proxy in front of that InfluxDB, which can be told to fail."""
    with closing(FaultProxy(influx.url)) as proxy:
        yield proxy


@pytest.fixture
def target(influx: Influx) -> Target:
    return Target(url=influx.url, timeout_seconds=5)


@pytest.fixture
def costing(engine: sa.Engine, prices: FlatMap) -> Costing:
    return Costing(engine, prices, ships=True)


def make_relay(engine: sa.Engine, target: Target, clock: Any = system_clock) -> Relay:
    return Relay(engine, target, writer=Writer(target), clock=clock)


@pytest.fixture
def relay(engine: sa.Engine, target: Target) -> Relay:
    return make_relay(engine, target)


@pytest.fixture
def ship(relay: Relay) -> Ship:
    """Ship what is due, and return how many points that were; nothing may go wrong."""

    def ship_all() -> int:
        shipped = relay.run()
        faults = (shipped.error, shipped.failures, shipped.busy)
        assert (None, [], 0) == faults
        return shipped.points

    return ship_all
