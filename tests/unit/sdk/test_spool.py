from pathlib import Path

import pytest

from meterline.delivery.folder import FolderShelf
from meterline.delivery.segment import Record
from meterline.delivery.shelf import MemoryShelf, Shelf
from meterline.delivery.spool import Spool
from meterline.delivery.terms import WhenFull
from meterline.notices import Notices

SIZE = 65_536
LIMIT = 4 * SIZE
LINE = b"x" * 1000
IN_ONE = SIZE // 1012


@pytest.fixture(params=["folder", "memory"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    if request.param == "memory":
        return MemoryShelf(segment_bytes=SIZE)
    return FolderShelf(str(tmp_path / "spool"), segment_bytes=SIZE)


def make_spool(
    shelf: Shelf, when_full: WhenFull = WhenFull.DROP_OLDEST, *, max_bytes: int = LIMIT
) -> Spool:
    spool = Spool(shelf, max_bytes=max_bytes, when_full=when_full, notices=Notices())
    spool.provide()
    return spool


def take_all(spool: Spool) -> list[bytes]:
    lines = []
    while (batch := spool.take(0.0, most=1000, most_bytes=10**9)) is not None:
        lines += [record.line for record in batch.records]
        spool.settle(batch, batch.records)
    return lines


def burst(spool: Spool, count: int) -> list[int]:
    """Put events faster than anybody makes segments; return their numbers."""
    for number in range(count):
        spool.put(f"{number:05}".encode() + LINE[5:])
    return list(range(count))


def numbers(lines: list[bytes]) -> list[int]:
    return sorted(int(line[:5]) for line in lines)


def keep(spool: Spool) -> None:
    """Do what the keeper does until it has nothing left to do."""
    spool.provide()
    while not spool.keeper.empty():
        spool.keeper.get()
        spool.provide()


def fill(spool: Spool, count: int) -> list[bytes]:
    lines = [f"{number:05}".encode() + LINE[5:] for number in range(count)]
    for line in lines:
        spool.put(line)
        spool.provide()
    return lines


def test_what_was_put_is_taken_once(shelf: Shelf) -> None:
    spool = make_spool(shelf)
    lines = fill(spool, 3 * IN_ONE)
    assert (sorted(lines), []) == (sorted(take_all(spool)), take_all(spool))


def test_a_full_spool_drops_the_oldest_and_keeps_the_newest(shelf: Shelf) -> None:
    spool = make_spool(shelf)
    lines = fill(spool, 10 * IN_ONE)
    kept = sorted(take_all(spool))
    assert (lines[-len(kept) :], len(lines)) == (kept, spool.dropped + len(kept))


def test_a_full_spool_drops_the_newest_and_keeps_the_oldest_where_that_is_asked(
    shelf: Shelf,
) -> None:
    spool = make_spool(shelf, WhenFull.DROP_NEWEST)
    lines = fill(spool, 10 * IN_ONE)
    kept = sorted(take_all(spool))
    assert (lines[: len(kept)], len(lines)) == (kept, spool.dropped + len(kept))


@pytest.mark.parametrize("when_full", WhenFull)
def test_a_full_spool_holds_what_the_limit_allows_and_no_more(
    shelf: Shelf, when_full: WhenFull
) -> None:
    spool = make_spool(shelf, when_full)
    fill(spool, 10 * IN_ONE)
    assert 2 * SIZE < spool.pending() * 1012 <= LIMIT


@pytest.mark.parametrize("when_full", WhenFull)
def test_a_spool_that_was_full_takes_usage_again_when_it_was_sent(
    shelf: Shelf, when_full: WhenFull
) -> None:
    spool = make_spool(shelf, when_full)
    fill(spool, 10 * IN_ONE)
    take_all(spool)
    before = spool.dropped
    spool.provide()
    lines = fill(spool, 2 * IN_ONE)
    assert (before, sorted(lines)) == (spool.dropped, sorted(take_all(spool)))


def test_events_that_are_being_sent_are_not_dropped(shelf: Shelf) -> None:
    spool = make_spool(shelf)
    first = fill(spool, 2 * IN_ONE)
    batch = spool.take(0.0, most=5, most_bytes=10**9)
    assert batch is not None
    fill(spool, 10 * IN_ONE)
    spool.settle(batch, batch.records)
    assert first[5] in take_all(spool)


def test_an_unsettled_batch_is_taken_again(shelf: Shelf) -> None:
    spool = make_spool(shelf)
    lines = fill(spool, 3)
    batch = spool.take(0.0, most=9, most_bytes=10**9)
    assert batch is not None
    spool.give_back(batch)
    assert lines == take_all(spool)


def test_a_parked_event_is_pending_and_comes_when_its_time_has_come(shelf: Shelf) -> None:
    spool = make_spool(shelf)
    spool.park(b"held", retry_at=50.0)
    early = spool.take(49.0, most=9, most_bytes=10**9)
    late = spool.take(50.0, most=9, most_bytes=10**9)
    assert (1, None, True) == (spool.held(), early, late is not None)


@pytest.mark.parametrize("when_full", WhenFull)
def test_a_burst_that_nobody_kept_up_with_loses_nothing_as_long_as_there_is_room(
    shelf: Shelf, when_full: WhenFull
) -> None:
    spool = make_spool(shelf, when_full)
    lines = burst(spool, 3 * IN_ONE)
    assert (0, lines) == (spool.dropped, numbers(take_all(spool)))


def test_a_burst_beyond_the_limit_loses_the_oldest(shelf: Shelf) -> None:
    spool = make_spool(shelf)
    lines = burst(spool, 10 * IN_ONE)
    kept = numbers(take_all(spool))
    assert (lines[-len(kept) :], len(lines)) == (kept, spool.dropped + len(kept))


def test_a_burst_beyond_the_limit_loses_the_newest_where_that_is_asked(shelf: Shelf) -> None:
    spool = make_spool(shelf, WhenFull.DROP_NEWEST)
    lines = burst(spool, 10 * IN_ONE)
    kept = numbers(take_all(spool))
    assert (lines[: len(kept)], len(lines)) == (kept, spool.dropped + len(kept))


@pytest.mark.parametrize("when_full", WhenFull)
def test_a_burst_takes_what_the_limit_allows_and_no_more(shelf: Shelf, when_full: WhenFull) -> None:
    spool = make_spool(shelf, when_full)
    burst(spool, 10 * IN_ONE)
    assert 3 * SIZE < spool.pending() * 1012 <= LIMIT


def test_what_a_burst_left_in_memory_is_copied_to_files_and_survives_the_process(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "spool")
    spool = make_spool(FolderShelf(path, segment_bytes=4 * SIZE), max_bytes=64 * SIZE)
    lines = burst(spool, 20 * IN_ONE)
    at_risk = spool.exposed()
    keep(spool)
    safe = (spool.exposed(), spool.is_safe, spool.pending())
    spool._shelf.forget()  # noqa: SLF001 - as when the process dies
    other = make_spool(FolderShelf(path, segment_bytes=4 * SIZE), max_bytes=64 * SIZE)
    other.adopt(most=99)
    assert at_risk > 10 * IN_ONE
    assert ((0, True, 20 * IN_ONE), lines) == (safe, numbers(take_all(other)))


def test_what_is_sent_amid_its_copying_to_a_file_is_sent_once(tmp_path: Path) -> None:
    spool = make_spool(FolderShelf(str(tmp_path / "spool"), segment_bytes=SIZE), max_bytes=2**30)
    expected = burst(spool, 6 * IN_ONE)
    sent: list[bytes] = []
    while (batch := spool.take(0.0, most=9, most_bytes=10**9)) is not None:
        if batch.segment.holder is None:
            keep(spool)
        sent += [record.line for record in batch.records]
        spool.settle(batch, batch.records)
    assert (expected, 0) == (numbers(sent), spool.pending())


def test_the_room_of_what_was_sent_is_given_back(shelf: Shelf) -> None:
    spool = make_spool(shelf, WhenFull.DROP_NEWEST)
    for _ in range(5):
        burst(spool, 3 * IN_ONE)
        take_all(spool)
    assert 0 == spool.dropped


def test_a_point_is_reached_when_all_before_it_has_its_result_whatever_came_after(
    shelf: Shelf,
) -> None:
    spool = make_spool(shelf)
    burst(spool, 3)
    point = spool.mark()
    burst(spool, 3)
    reached = []
    for _ in range(3):
        batch = spool.take(0.0, most=1, most_bytes=10**9)
        assert batch is not None
        reached.append(spool.is_reached(point))
        spool.settle(batch, batch.records)
    assert ([False] * 3, True, 3) == (reached, spool.is_reached(point), spool.pending())


def test_a_point_is_not_reached_while_an_event_from_before_is_held(shelf: Shelf) -> None:
    spool = make_spool(shelf)
    burst(spool, 1)
    point = spool.mark()
    batch = spool.take(0.0, most=9, most_bytes=10**9)
    assert batch is not None
    spool.park(batch.records[0].line, retry_at=50.0, began=batch.segment.began)
    spool.settle(batch, batch.records)
    assert not spool.is_reached(point)


def test_a_point_is_not_reached_by_a_copy_to_a_file(tmp_path: Path) -> None:
    spool = make_spool(FolderShelf(str(tmp_path / "spool"), segment_bytes=SIZE), max_bytes=2**30)
    burst(spool, 4 * IN_ONE)
    point = spool.mark()
    while (batch := spool.take(0.0, most=1000, most_bytes=10**9)) and batch.segment.holder:
        spool.settle(batch, batch.records)
    assert batch is not None
    spool.give_back(batch)
    keep(spool)
    before = spool.is_reached(point)
    take_all(spool)
    assert (False, True) == (before, spool.is_reached(point))


class Interrupting(bytes):
    """An event amid whose writing another is recorded on the same thread, as finalisers do."""

    spool: Spool

    def __radd__(self, head: bytes) -> bytes:
        self.spool.put(b"inner")
        return head + bytes(self)


def test_what_is_recorded_amid_a_recording_on_the_same_thread_is_kept(shelf: Shelf) -> None:
    spool = make_spool(shelf)
    outer = Interrupting(b"outer")
    outer.spool = spool
    spool.put(outer)
    assert [b"outer", b"inner"] == take_all(spool)


def test_a_limit_that_others_use_up_leaves_a_process_its_own_segments(tmp_path: Path) -> None:
    path = str(tmp_path / "spool")
    others = [FolderShelf(path, segment_bytes=SIZE).create(patience=1) for _ in range(6)]
    spool = make_spool(FolderShelf(path, segment_bytes=SIZE))
    lines = fill(spool, 2 * IN_ONE)
    assert (6, 0, lines) == (len(others), spool.dropped, take_all(spool))


def test_a_closed_spool_leaves_what_is_pending_to_others(tmp_path: Path) -> None:
    path = str(tmp_path / "spool")
    spool = make_spool(FolderShelf(path, segment_bytes=SIZE))
    fill(spool, 3)
    spool.close()
    other = make_spool(FolderShelf(path, segment_bytes=SIZE))
    assert 3 == other.adopt(most=9).events


def test_a_closed_spool_without_anything_pending_leaves_no_file(tmp_path: Path) -> None:
    spool = make_spool(FolderShelf(str(tmp_path / "spool"), segment_bytes=SIZE))
    fill(spool, 3 * IN_ONE)
    take_all(spool)
    spool.close()
    assert ["lock"] == [entry.name for entry in (tmp_path / "spool").iterdir()]


def test_more_than_is_wanted_at_once_is_adopted_when_there_is_room(tmp_path: Path) -> None:
    path = str(tmp_path / "spool")
    for _ in range(5):
        dead = make_spool(FolderShelf(path, segment_bytes=SIZE))
        fill(dead, 1)
        dead.close()
    spool = make_spool(FolderShelf(path, segment_bytes=SIZE))
    found = []
    for _ in range(3):
        adoption = spool.adopt(most=2)
        found.append((adoption.events, adoption.may_be_more))
        take_all(spool)
    assert [(2, True), (2, True), (1, False)] == found


def test_marking_survives_what_has_no_result_yet(tmp_path: Path) -> None:
    path = str(tmp_path / "spool")
    spool = make_spool(FolderShelf(path, segment_bytes=SIZE))
    lines = fill(spool, 4)
    batch = spool.take(0.0, most=9, most_bytes=10**9)
    assert batch is not None
    spool.settle(batch, [Record(*batch.records[1])])
    spool.close()
    other = make_spool(FolderShelf(path, segment_bytes=SIZE))
    other.adopt(most=9)
    assert [lines[0], *lines[2:]] == take_all(other)
