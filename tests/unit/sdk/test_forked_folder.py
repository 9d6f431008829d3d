"""A process is killed whose child was forked amid work on the folder; what it had is adopted."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meterline.delivery.folder import FolderShelf

SIZE = 65_536
PARENT = """
import os, sys, threading
from meterline.delivery import folder

path, step = sys.argv[1:3]
amid, forked = threading.Event(), threading.Event()
real = getattr(folder, step)

def slow(*arguments):  # as on a disk that is slow
    amid.set()
    forked.wait()
    return real(*arguments)

setattr(folder, step, slow)
shelf = folder.FolderShelf(path, segment_bytes=65536)

def work():
    if step == "write_all":
        segment = shelf.create(patience=1)
        segment.append(b"mine")
    else:
        (segment,) = shelf.adopt(most=1).segments

thread = threading.Thread(target=work, daemon=True)
thread.start()
amid.wait()
if os.fork() == 0:
    shelf.forget()
    sys.stdin.read()
    os._exit(0)
forked.set()
thread.join()
os.kill(os.getpid(), 9)
"""


@contextmanager
def survived_by_its_child(path: Path, step: str) -> Iterator[None]:
    """Run a process that is killed after its child was forked amid a step; the child lives on."""
    command = [sys.executable, "-c", PARENT, str(path), step]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.wait(30)
        yield
        process.communicate(timeout=30)  # the end of its input ends the child


def adopted(path: Path) -> list[bytes]:
    segments = FolderShelf(str(path), segment_bytes=SIZE).adopt(most=9).segments
    return [record.line for each in segments for record in each.read(most=9, most_bytes=10**9)]


def test_a_segment_that_was_being_made_amid_a_fork_is_adopted(tmp_path: Path) -> None:
    with survived_by_its_child(tmp_path, "write_all"):
        assert [b"mine"] == adopted(tmp_path)


def test_a_segment_that_was_being_adopted_amid_a_fork_is_adopted_again(tmp_path: Path) -> None:
    segment = FolderShelf(str(tmp_path), segment_bytes=SIZE).create(patience=1)
    segment.append(b"left")
    segment.release()
    with survived_by_its_child(tmp_path, "map_file"):
        assert [b"left"] == adopted(tmp_path)
