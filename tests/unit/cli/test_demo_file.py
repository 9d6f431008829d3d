import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cli.demo.file import APPLICATION_ID, make_demo_file
from ledger.errors import ConflictError, InvalidError


@pytest.fixture
def demo_file(tmp_path: Path) -> Path:
    """A demo's file in the write-ahead-log mode of ledgers, with a table."""
    path = tmp_path / "demo.db"
    make_demo_file(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE earlier (x)")
    return path


def tables(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return found


def refused(path: Path) -> str:
    with pytest.raises((ConflictError, InvalidError)) as caught:
        make_demo_file(path)
    return caught.value.code


def test_a_demo_file_carries_the_mark(demo_file: Path) -> None:
    with closing(sqlite3.connect(demo_file)) as connection:
        assert (APPLICATION_ID,) == connection.execute("PRAGMA application_id").fetchone()


def test_a_demo_file_is_made_anew(demo_file: Path) -> None:
    make_demo_file(demo_file)
    assert 0 == tables(demo_file)


def test_a_demo_that_was_killed_is_made_anew(demo_file: Path, tmp_path: Path) -> None:
    killed = tmp_path / "killed.db"
    with closing(sqlite3.connect(demo_file)) as connection:
        connection.execute("CREATE TABLE unfinished (x)")
        for suffix in ("", "-wal", "-shm"):
            shutil.copy(f"{demo_file}{suffix}", f"{killed}{suffix}")
    make_demo_file(killed)
    assert 0 == tables(killed)


def test_a_damaged_demo_is_made_anew(demo_file: Path) -> None:
    content = demo_file.read_bytes()
    demo_file.write_bytes(content[:100] + bytes(len(content) - 100))
    make_demo_file(demo_file)
    assert 0 == tables(demo_file)


def test_the_companions_of_a_damaged_demo_are_taken_away(demo_file: Path) -> None:
    demo_file.write_bytes(demo_file.read_bytes()[:100])
    for suffix in ("-wal", "-shm", "-journal"):
        demo_file.with_name(demo_file.name + suffix).write_bytes(b"left by a crash")
    make_demo_file(demo_file)
    assert [demo_file] == list(demo_file.parent.iterdir())


def test_nothing_is_left_beside_a_demo_that_is_made_anew(demo_file: Path) -> None:
    make_demo_file(demo_file)
    assert [demo_file] == list(demo_file.parent.iterdir())


def test_a_demo_that_is_open_elsewhere_is_refused(demo_file: Path) -> None:
    with closing(sqlite3.connect(demo_file)) as connection:
        connection.execute("SELECT * FROM earlier")
        assert "demo_in_use" == refused(demo_file)


def test_a_demo_that_is_open_elsewhere_is_left_as_it_is(demo_file: Path) -> None:
    with closing(sqlite3.connect(demo_file)) as connection:
        connection.execute("SELECT * FROM earlier")
        refused(demo_file)
    assert 1 == tables(demo_file)


@pytest.mark.parametrize("content", [b"", b"notes\n", b"SQLite format 3\x00", bytes(4096)])
def test_a_file_without_the_mark_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine"
    path.write_bytes(content)
    assert "foreign_file" == refused(path)


def test_a_ledger_that_is_no_demo_is_refused(ledger_path: Path) -> None:
    assert "foreign_file" == refused(ledger_path)


def test_a_file_that_is_refused_is_left_as_it_is(ledger_path: Path) -> None:
    before = ledger_path.read_bytes()
    refused(ledger_path)
    assert before == ledger_path.read_bytes()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "unusable_path" == refused(tmp_path / "nowhere" / "demo.db")
