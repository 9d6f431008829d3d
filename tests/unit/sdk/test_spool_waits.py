"""A caller's thread waits for no file, however slow the folder is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from meterline.delivery.folder import FolderShelf
from meterline.delivery.segment import Holder, Segment
from meterline.delivery.spool import Spool
from meterline.delivery.terms import WhenFull
from meterline.notices import Notices

SIZE = 65_536
LINE = b"x" * 1000


class SlowFile:
    """The file of a segment on a disk that stops."""

    def __init__(self, holder: Holder, disk: "SlowShelf") -> None:
        self._holder = holder
        self._disk = disk

    @property
    def is_linked(self) -> bool:
        self._disk.work()
        return self._holder.is_linked

    def remove(self) -> None:
        self._disk.work()
        self._holder.remove()

    def release(self) -> None:
        self._disk.work()
        self._holder.release()


class SlowShelf(FolderShelf):
    """A folder whose disk stops when told so, until it is told to go on."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), segment_bytes=SIZE)
        self.is_stopped = False
        self.is_waited_for = Event()
        self.goes_on = Event()

    def work(self) -> None:
        if self.is_stopped:
            self.is_waited_for.set()
            self.goes_on.wait()

    def create(self, *, patience: float) -> Segment:
        self.work()
        segment = super().create(patience=patience)
        assert segment.holder is not None
        segment.holder = SlowFile(segment.holder, self)
        return segment


@pytest.fixture
def shelf(tmp_path: Path) -> SlowShelf:
    return SlowShelf(tmp_path / "spool")


@pytest.fixture
def spool(shelf: SlowShelf) -> Spool:
    spool = Spool(shelf, max_bytes=5 * SIZE, when_full=WhenFull.DROP_OLDEST, notices=Notices())
    spool.provide()
    return spool


@contextmanager
def stuck(shelf: SlowShelf, work: Callable[[], object]) -> Iterator[None]:
    """Have a background thread stuck in work on the disk."""
    shelf.is_stopped = True
    thread = Thread(target=work, daemon=True)
    thread.start()
    assert shelf.is_waited_for.wait(30)
    try:
        yield
    finally:
        shelf.goes_on.set()
        thread.join()


def returns(call: Callable[[], object]) -> bool:
    """Whether a call comes to its end though the disk has stopped."""
    thread = Thread(target=call, daemon=True)
    thread.start()
    thread.join(5)
    return not thread.is_alive()


def put_many(spool: Spool, count: int) -> None:
    for _ in range(count):
        spool.put(LINE)


def test_a_caller_does_not_wait_while_the_files_are_looked_at(
    spool: Spool, shelf: SlowShelf
) -> None:
    with stuck(shelf, spool.provide):
        assert returns(lambda: put_many(spool, 150))


def test_a_caller_does_not_wait_while_a_file_is_removed_that_was_sent(
    spool: Spool, shelf: SlowShelf
) -> None:
    put_many(spool, 100)
    batch = spool.take(0.0, most=1000, most_bytes=10**9)
    assert batch is not None
    with stuck(shelf, lambda: spool.settle(batch, batch.records)):
        assert returns(lambda: spool.put(LINE))


def test_a_caller_does_not_wait_while_files_are_removed_to_make_room(
    spool: Spool, shelf: SlowShelf
) -> None:
    for _ in range(250):
        spool.put(LINE)
        spool.provide()
    with stuck(shelf, spool.provide):
        assert returns(lambda: put_many(spool, 1000))


def test_a_caller_does_not_wait_while_a_spool_is_closed(spool: Spool, shelf: SlowShelf) -> None:
    put_many(spool, 10)
    with stuck(shelf, spool.close):
        assert returns(lambda: spool.put(LINE))
