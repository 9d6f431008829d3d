"""Fixtures of tests that start processes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes import Launcher


@pytest.fixture
def launcher(tmp_path: Path, ledger_url: str) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path / "processes", ledger_url)
    yield launcher
    launcher.close()


@pytest.fixture
def ledger(ledger_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only looks."""
    with closing(sqlite3.connect(ledger_path, isolation_level=None)) as connection:
        yield connection
