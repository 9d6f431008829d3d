"""Fixtures of tests that start processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.onlooker import Onlooker, look_at
from tests.processes import Launcher


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
