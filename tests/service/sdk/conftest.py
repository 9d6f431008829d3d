"""Fixtures: a running collector, its key, and meters that are closed at the end."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from api.services import Services
from ledger.clock import system_clock
from ledger.keys import Scope
from meterline import Meter
from tests.access import make_key
from tests.collector import Collector

MakeMeter = Callable[..., Meter]


@pytest.fixture
def services(services: Services) -> Services:
    """The parts of a collector that knows the time, for usage that happens now."""
    return replace(services, clock=system_clock)


@pytest.fixture
def collector(services: Services) -> Iterator[Collector]:
    """A collector that knows the tenants acme and karachi."""
    collector = Collector(services)
    yield collector
    collector.close()


@pytest.fixture
def secret(engine: sa.Engine) -> str:
    """Of a host key that may book events."""
    return make_key(engine, Scope.INGEST)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def make_meter(collector: Collector, secret: str, spool: Path) -> Iterator[MakeMeter]:
    """Make meters with small pauses, on the same spool folder unless another is given."""
    made: list[Meter] = []

    def make(url: str | None = None, api_key: str | None = None, **options: Any) -> Meter:
        defaults: dict[str, Any] = {"spool": spool, "interval": 0.02, "timeout": 2.0}
        meter = Meter(url or collector.url, api_key or secret, **{**defaults, **options})
        made.append(meter)
        return meter

    yield make
    for meter in made:
        meter.close(timeout=0)


@pytest.fixture
def meter(make_meter: MakeMeter) -> Meter:
    return make_meter()


def record_sms(meter: Meter, **changes: Any) -> str:
    """Record one SMS of acme."""
    return meter.record(**{"channel": "sms", "direction": "outbound", "tenant": "acme", **changes})
