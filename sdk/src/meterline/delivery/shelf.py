"""Where segments and dead letters are kept: what the spool asks of a place, and memory as one."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from meterline.delivery.segment import HEADER, Segment


class Adopted(NamedTuple):
    """What dead processes left behind.

    Attributes:
        segments: with events that wait.
        damaged: how many stretches, or whole files, could not be read.
    """

    segments: Sequence[Segment] = ()
    damaged: int = 0


class Shelf(Protocol):
    """A place for segments and dead letters. Its calls may block; none is made by a caller."""

    @property
    def segment_bytes(self) -> int:
        """The size of every segment that is made here."""

    @property
    def is_lasting(self) -> bool:
        """Whether what is kept here is meant to survive the process."""

    def create(self, *, patience: float) -> Segment:
        """Return a new segment, written through so that the first copy finds its pages.

        Raises:
            OSError: none can be made now, or others kept the folder locked for `patience` seconds.
        """

    def used_bytes(self) -> int | None:
        """Return what all processes together take; None where only the own segments count."""

    def adopt(self, *, most: int) -> Adopted:
        """Take over segments whose process is dead."""

    def add_letters(self, letters: Sequence[bytes], *, max_bytes: int) -> int:
        """Keep dead letters, one line each; return how many found room.

        Raises:
            OSError: they cannot be written now.
        """

    def take_letters(self) -> "Letters":
        """Take out all dead letters, to be redelivered; nobody else gets them meanwhile.

        Raises:
            OSError: they cannot be read now.
        """

    def before_fork(self) -> None:
        """Before a fork: let nothing be amid its opening."""

    def after_fork(self) -> None:
        """After a fork, in the parent: go on."""

    def forget(self) -> None:
        """After a fork, in the child: let go of what belongs to the parent."""


class Letters(Protocol):
    """Dead letters that were taken out, until it is sure that they are elsewhere."""

    @property
    def lines(self) -> Sequence[bytes]:
        """The letters."""

    def done(self, left: Sequence[bytes]) -> None:
        """Remove the letters but those that are left.

        Raises:
            OSError: what is left cannot be written now; all letters were given back.
        """

    def give_back(self) -> None:
        """Leave all letters to whoever takes them next."""


class MemoryShelf:
    """Keeps everything in memory, where it dies with the process."""

    def __init__(self, *, segment_bytes: int) -> None:
        self._segment_bytes = segment_bytes
        self._letters: deque[bytes] = deque()
        self._letter_bytes = 0

    @property
    def segment_bytes(self) -> int:
        """The size of every segment that is made here."""
        return self._segment_bytes

    @property
    def is_lasting(self) -> bool:
        """False: it dies with the process."""
        return False

    def create(self, *, patience: float = 0) -> Segment:
        """Return a new segment."""
        del patience
        return create_in_memory(self._segment_bytes)

    def used_bytes(self) -> int | None:
        """Return None: there are no other processes here."""
        return None

    def adopt(self, *, most: int) -> Adopted:
        """Return nothing: nobody leaves anything."""
        del most
        return Adopted()

    def add_letters(self, letters: Sequence[bytes], *, max_bytes: int) -> int:
        """Keep what finds room."""
        added = 0
        for letter in letters:
            if self._letter_bytes + len(letter) > max_bytes:
                break
            self._letters.append(letter)
            self._letter_bytes += len(letter)
            added += 1
        return added

    def take_letters(self) -> "Letters":
        """Take out all letters."""
        taken: list[bytes] = []
        while self._letters:
            taken.append(self._letters.popleft())
            self._letter_bytes -= len(taken[-1])
        return _MemoryLetters(self, taken)

    def put_back(self, letters: Sequence[bytes]) -> None:
        """Keep letters that were taken out."""
        self._letters.extend(letters)
        self._letter_bytes += sum(map(len, letters))

    def before_fork(self) -> None:
        """Do nothing: there is nothing that a child would keep."""

    def after_fork(self) -> None:
        """Do nothing."""

    def forget(self) -> None:
        """Leave the parent's letters to the parent."""
        self._letters.clear()
        self._letter_bytes = 0


class _MemoryLetters(NamedTuple):
    shelf: MemoryShelf
    lines: Sequence[bytes]

    def done(self, left: Sequence[bytes]) -> None:
        self.shelf.put_back(left)

    def give_back(self) -> None:
        self.shelf.put_back(self.lines)


def create_in_memory(size: int) -> Segment:
    """Return a segment that dies with the process."""
    buffer = bytearray(size)
    buffer[: len(HEADER)] = HEADER
    return Segment(buffer)
