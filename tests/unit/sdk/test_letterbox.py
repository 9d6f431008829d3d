from pathlib import Path

import pytest

from meterline.delivery.folder import FolderShelf
from meterline.delivery.letterbox import LETTERS
from meterline.delivery.shelf import MemoryShelf


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def shelf_at(path: Path) -> FolderShelf:
    return FolderShelf(str(path), segment_bytes=65_536)


def filled(path: Path, *letters: bytes) -> FolderShelf:
    shelf = shelf_at(path)
    shelf.add_letters(letters, max_bytes=1000)
    return shelf


def test_letters_come_back_as_they_were_put(path: Path) -> None:
    shelf = shelf_at(path)
    shelf.add_letters([b"1", b"2"], max_bytes=1000)
    shelf.add_letters([b"3"], max_bytes=1000)
    assert (b"1", b"2", b"3") == tuple(shelf.take_letters().lines)


def test_letters_that_come_while_others_are_taken_out_are_kept(path: Path) -> None:
    shelf = shelf_at(path)
    shelf.add_letters([b"1", b"2"], max_bytes=1000)
    taken = shelf.take_letters()
    shelf.add_letters([b"3"], max_bytes=1000)
    taken.done([b"2"])
    assert b"3\n2\n" == (path / LETTERS).read_bytes()


def test_letters_beyond_the_limit_are_not_kept(path: Path) -> None:
    assert 2 == shelf_at(path).add_letters([b"1234", b"1234", b"1234"], max_bytes=12)


def test_letters_are_taken_by_one_and_not_by_two(path: Path) -> None:
    first, second = filled(path, b"1", b"2"), shelf_at(path)
    taken = first.take_letters()
    assert ([b"1", b"2"], []) == (list(taken.lines), list(second.take_letters().lines))


def test_letters_that_one_restores_are_not_removed_by_another_who_took_later(path: Path) -> None:
    first, second = filled(path, b"1", b"2"), shelf_at(path)
    taken = first.take_letters()
    second.add_letters([b"3"], max_bytes=1000)
    later = second.take_letters()
    taken.done([b"1", b"2"])
    later.done([])
    assert b"1\n2\n" == (path / LETTERS).read_bytes()


def test_letters_whose_taker_died_are_taken_by_the_next(path: Path) -> None:
    dead = filled(path, b"1", b"2")
    dead.take_letters()
    dead.forget()
    next_one = filled(path, b"3")
    assert {b"1", b"2", b"3"} == set(next_one.take_letters().lines)


def test_nothing_is_left_behind_when_all_letters_are_elsewhere(path: Path) -> None:
    filled(path, b"1").take_letters().done([])
    assert ["lock"] == [entry.name for entry in path.iterdir()]


def test_a_letter_box_that_is_no_file_is_left_where_it_is(path: Path) -> None:
    (path / LETTERS).mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        shelf_at(path).take_letters()
    assert (path / LETTERS).is_dir()


def test_letters_that_could_not_be_put_back_are_taken_again(path: Path) -> None:
    shelf = filled(path, b"1", b"2")
    taken = shelf.take_letters()
    (path / LETTERS).mkdir()
    with pytest.raises(IsADirectoryError):
        taken.done([b"2"])
    (path / LETTERS).rmdir()
    assert [b"1", b"2"] == list(shelf.take_letters().lines)


def test_letters_in_memory_that_come_while_others_are_taken_out_are_kept() -> None:
    shelf = MemoryShelf(segment_bytes=65_536)
    shelf.add_letters([b"1", b"2"], max_bytes=1000)
    taken = shelf.take_letters()
    shelf.add_letters([b"3"], max_bytes=1000)
    taken.done([b"2"])
    assert [b"3", b"2"] == list(shelf.take_letters().lines)
