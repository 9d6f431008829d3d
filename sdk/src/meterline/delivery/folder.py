"""A spool folder on a local disk, shared by any number of processes.

Every process writes segment files of its own and holds an exclusive `flock` on each for as long as
it lives. So a segment that can be locked has nobody any more, and whoever locks it has it. The lock
of the folder is held only while files are made or dead letters are written.

    *.seg                 segments, oldest name first
    dead-letters.ndjson   what the collector refused, see `letterbox`
    lock                  the lock of the folder
"""

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from mmap import PAGESIZE
from pathlib import Path

from meterline.clock import now
from meterline.delivery.files import map_file, write_all
from meterline.delivery.held import Holdings
from meterline.delivery.letterbox import FolderLetters, Letterbox
from meterline.delivery.segment import HEADER, Segment
from meterline.delivery.shelf import Adopted

_SEGMENT = ".seg"
_UNFINISHED = ".new"
_DAMAGED = ".damaged"


class FolderShelf:
    """Keeps segments and dead letters in a folder."""

    def __init__(self, path: str, *, segment_bytes: int) -> None:
        self._path = Path(path).absolute()
        self._segment_bytes = segment_bytes
        self._made = 0
        self._holdings = Holdings(self._path)
        self._letterbox = Letterbox(self._path, self._holdings)

    @property
    def segment_bytes(self) -> int:
        """The size of every segment that is made here."""
        return self._segment_bytes

    @property
    def is_lasting(self) -> bool:
        """True: it survives the process."""
        return True

    def create(self, *, patience: float) -> Segment:
        """Return a new segment whose bytes are allocated and whose pages are in memory.

        A page of a file that is mapped and cannot be allocated kills the process that writes to it.
        So every byte is written first, where a full disk is an error like others.

        Raises:
            OSError: none can be made now.
        """
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._holdings.locked(patience):
            self._made += 1
            name = f"{int(now() * 1e6):016d}-{os.getpid()}-{self._made}-{os.urandom(4).hex()}"
            unfinished = self._path / f"{name}{_UNFINISHED}"
            file = self._holdings.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            try:
                fcntl.flock(file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                write_all(file.descriptor, HEADER.ljust(self._segment_bytes, b"\0"))
                buffer = map_file(unfinished)
                for page in range(0, self._segment_bytes, PAGESIZE):
                    buffer[page] = buffer[page]
                file.rename(unfinished.with_suffix(_SEGMENT))
            except BaseException:
                file.remove()
                raise
        return Segment(buffer, holder=file)

    def used_bytes(self) -> int:
        """Return the bytes of all segments of all processes.

        Raises:
            OSError: the folder cannot be read.
        """
        size = 0
        with os.scandir(self._path) as entries:
            for entry in entries:
                if entry.name.endswith(_SEGMENT):
                    with suppress(FileNotFoundError):  # it was sent while we looked
                        size += entry.stat().st_size
        return size

    def adopt(self, *, most: int) -> Adopted:
        """Take over segments whose process is dead, oldest first."""
        own = self._holdings.names()
        segments: list[Segment] = []
        damaged = 0
        for name in self._names():
            if len(segments) >= most:
                break
            if name in own:
                continue
            if name.endswith(_UNFINISHED):
                self._clear(name)
            else:
                taken = self._adopt(name)
                segments += taken.segments
                damaged += taken.damaged
        return Adopted(segments, damaged)

    def add_letters(self, letters: Sequence[bytes], *, max_bytes: int) -> int:
        """Append what finds room to the file of dead letters; return how many did."""
        return self._letterbox.add(letters, max_bytes=max_bytes)

    def take_letters(self) -> FolderLetters:
        """Return all dead letters; new ones may come meanwhile, and nobody else gets these."""
        return self._letterbox.take()

    def before_fork(self) -> None:
        """Let nothing be amid its opening when the process is forked."""
        self._holdings.before_fork()

    def after_fork(self) -> None:
        """In the parent: go on."""
        self._holdings.after_fork()

    def forget(self) -> None:
        """Close what was inherited from the parent, which would keep its locks when it dies."""
        self._holdings.forget()

    def _names(self) -> list[str]:
        try:
            return sorted(
                name
                for name in os.listdir(self._path)  # noqa: PTH208 - names are all that is needed
                if name.endswith((_SEGMENT, _UNFINISHED))
            )
        except OSError:
            return []

    def _adopt(self, name: str) -> Adopted:
        path = self._path / name
        file = self._holdings.claim(path)
        if file is None:
            return Adopted()
        try:
            segment = Segment(map_file(path), holder=file)
            segment.recover()
        except (OSError, ValueError):  # empty, or no segment at all: kept aside, for people
            with suppress(OSError):
                path.rename(path.with_suffix(_DAMAGED))
            file.release()
            return Adopted(damaged=1)
        if not segment.pending:
            segment.remove()
            return Adopted(damaged=segment.damaged)
        return Adopted([segment], segment.damaged)

    def _clear(self, name: str) -> None:
        """Remove what a process that died had not finished to make."""
        with suppress(OSError), self._holdings.locked(0):
            (self._path / name).unlink()
