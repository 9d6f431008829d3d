"""Writers of an embedded ledger take turns: a worker with much to do leaves it to others."""

import fcntl
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from ledger.session import tenant_session
from ledger.tenant import TenantId
from tests.processes import wait_until

ACME = TenantId("acme")
pytestmark = pytest.mark.ledger("sqlite")


@pytest.fixture
def turn(ledger_path: Path) -> Path:
    return ledger_path.with_name(f"{ledger_path.name}-turn")


@contextmanager
def writing(engine: sa.Engine) -> Iterator[None]:
    with tenant_session(engine, ACME, write=True):
        yield


def is_taken(turn: Path) -> bool:
    with turn.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.parametrize("race", range(3))
def test_who_waits_to_write_is_next_however_often_another_writes(
    engine: sa.Engine, turn: Path, race: int
) -> None:
    del race
    order: list[str] = []

    def wait() -> None:
        with writing(engine):
            order.append("who waits")

    waiting = threading.Thread(target=wait)
    with writing(engine):
        waiting.start()
        wait_until(lambda: is_taken(turn), "the other one waits")
        order.append("worker")
    for _ in range(20):
        with writing(engine):
            order.append("worker")
    waiting.join(timeout=30)
    assert ["worker", "who waits"] == order[:2]


def test_nobody_has_the_turn_while_nobody_waits(engine: sa.Engine, turn: Path) -> None:
    with writing(engine):
        assert not is_taken(turn)


def test_reading_takes_no_turn(engine: sa.Engine, turn: Path) -> None:
    with turn.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with tenant_session(engine, ACME) as session:
            assert 2 == session.connection.scalar(sa.text("SELECT 2"))


@pytest.mark.parametrize("kind", ["folder", "missing"])
def test_a_ledger_is_written_where_there_can_be_no_turn(
    engine: sa.Engine, turn: Path, kind: str
) -> None:
    turn.unlink()
    if kind == "folder":
        turn.mkdir()
    with writing(engine):
        pass
    assert stat.S_ISDIR(turn.stat().st_mode) is (kind == "folder")
