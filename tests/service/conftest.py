"""Fixtures of tests that start processes."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.onlooker import Onlooker, look_at
from tests.processes import Launcher
from tests.servers.influx import Influx, require_influx


@pytest.fixture
def launcher(tmp_path: Path, ledger_url: str) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path / "processes", ledger_url)
    yield launcher
    launcher.close()


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Onlooker]:
    """A connection that only looks."""
    with look_at(ledger_url) as onlooker:
        yield onlooker


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[Influx]:
    """An InfluxDB with the empty database `meterline`."""
    require_influx()
    with closing(Influx(tmp_path / "influx")) as influx:
        influx.query('CREATE DATABASE "meterline"')
        yield influx
