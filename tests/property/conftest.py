"""Laws hold on every database."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from collector.events import Rules
from tests.property.ledgers import Ledgers
from tests.servers.postgresql import Database


@pytest.fixture
def ledgers(
    ledger_kind: str, rules: Rules, template: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Ledgers:
    """Empty ledgers in any number, one after the other."""

    @contextmanager
    def open_file() -> Iterator[str]:
        path = Path(shutil.copy(template, tmp_path / "law.db"))
        yield f"sqlite:///{path}"
        path.unlink()

    @contextmanager
    def open_database() -> Iterator[str]:
        database: Database = request.getfixturevalue("shared_database")
        yield database.url
        database.wipe()

    opening: dict[str, Callable[[], AbstractContextManager[str]]] = {
        "sqlite": open_file,
        "postgresql": open_database,
    }
    return Ledgers(opening[ledger_kind], rules)
