import os
import subprocess
import sys
from pathlib import Path

import pytest

from meterline.delivery.folder import FolderShelf
from meterline.delivery.segment import Segment

SIZE = 65_536


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def shelf_at(path: Path) -> FolderShelf:
    return FolderShelf(str(path), segment_bytes=SIZE)


def lines(segments: list[Segment]) -> list[bytes]:
    return [
        record.line for segment in segments for record in segment.read(most=1000, most_bytes=10**9)
    ]


def names(path: Path, end: str) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.name.endswith(end))


def leave(path: Path, *events: bytes) -> Path:
    """Let a process die that has written these events."""
    segment = shelf_at(path).create(patience=1)
    for event in events:
        segment.append(event)
    segment.release()
    return path / names(path, ".seg")[-1]


def test_the_bytes_of_a_segment_are_allocated_and_not_a_hole(path: Path) -> None:
    shelf_at(path).create(patience=1)
    found = (path / names(path, ".seg")[0]).stat()
    assert SIZE <= found.st_blocks * 512


def test_only_its_owner_may_read_what_is_in_the_folder(path: Path) -> None:
    shelf = shelf_at(path)
    shelf.create(patience=1)
    shelf.add_letters([b"{}"], max_bytes=1000)
    modes = {oct(entry.stat().st_mode & 0o777) for entry in path.iterdir()}
    assert ({"0o600"}, 0o700) == (modes, path.stat().st_mode & 0o777)


def test_the_segment_of_a_living_process_is_not_adopted(path: Path) -> None:
    segment = shelf_at(path).create(patience=1)
    segment.append(b"mine")
    assert [] == list(shelf_at(path).adopt(most=9).segments)


def test_the_segments_of_dead_processes_are_adopted_oldest_first(path: Path) -> None:
    leave(path, b"1", b"2")
    leave(path, b"3")
    assert [b"1", b"2", b"3"] == lines(list(shelf_at(path).adopt(most=9).segments))


def test_a_segment_is_adopted_by_one(path: Path) -> None:
    leave(path, b"1")
    first, second = shelf_at(path), shelf_at(path)
    held = first.adopt(most=9)
    assert (1, 0) == (len(held.segments), len(second.adopt(most=9).segments))


def test_no_more_is_adopted_than_asked_for(path: Path) -> None:
    for _ in range(3):
        leave(path, b"1")
    assert 2 == len(shelf_at(path).adopt(most=2).segments)


def test_a_segment_without_anything_to_send_is_removed(path: Path) -> None:
    leave(path)
    shelf_at(path).adopt(most=9)
    assert [] == names(path, ".seg")


@pytest.mark.parametrize("content", [b"", b"garbage", b"\0" * 5000, b"\xf5\xffP" * 9000])
def test_a_file_that_is_no_segment_is_put_aside_and_counted_once(
    path: Path, content: bytes
) -> None:
    path.mkdir()
    (path / "0001.seg").write_bytes(content)
    found = [shelf_at(path).adopt(most=9).damaged for _ in range(2)]
    assert ([1, 0], ["0001.damaged"]) == (found, names(path, ".damaged"))


def test_what_a_process_had_not_finished_to_make_is_removed(path: Path) -> None:
    path.mkdir()
    (path / "0001.new").write_bytes(b"half")
    shelf_at(path).adopt(most=9)
    assert [] == names(path, ".new")


def test_a_file_that_is_only_named_like_a_segment_by_a_folder_is_left_alone(path: Path) -> None:
    (path / "0001.seg").mkdir(parents=True)
    assert 0 == len(shelf_at(path).adopt(most=9).segments)


def test_a_truncated_segment_gives_what_is_whole(path: Path) -> None:
    file = leave(path, b"first", b"second")
    os.truncate(file, 32 + 12 + len(b"first") + 12 + 3)
    adopted = shelf_at(path).adopt(most=9)
    assert ([b"first"], 1) == (lines(list(adopted.segments)), adopted.damaged)


def test_a_segment_whose_folder_was_removed_is_not_safe(path: Path) -> None:
    segment = shelf_at(path).create(patience=1)
    was_safe = segment.is_safe
    for entry in path.iterdir():
        entry.unlink()
    path.rmdir()
    assert (True, False) == (was_safe, segment.is_safe)


def test_a_segment_that_was_replaced_by_another_file_is_not_safe(path: Path) -> None:
    segment = shelf_at(path).create(patience=1)
    (file,) = [path / name for name in names(path, ".seg")]
    file.unlink()
    file.write_bytes(b"another")
    assert not segment.is_safe


def test_a_folder_that_somebody_keeps_locked_is_an_error_after_a_while(path: Path) -> None:
    path.mkdir()
    code = (
        "import fcntl, sys; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX);"
        "print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(BlockingIOError):
            shelf_at(path).create(patience=0.01)
        other.communicate()
    assert shelf_at(path).create(patience=1).is_safe
