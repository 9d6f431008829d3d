"""A spool folder on a local disk, shared by any number of processes.

Every process writes segment files of its own and holds an exclusive `flock` on each for as long as
it lives. So a segment that can be locked has nobody any more, and whoever locks it has it. The lock
of the folder is held only while files are made or dead letters are written.

    *.seg                 segments, oldest name first
    dead-letters.ndjson   what the collector refused
    lock                  the lock of the folder
"""

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from mmap import PAGESIZE
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from meterline.clock import now
from meterline.delivery.files import lock_file, lock_within, map_file, write_all
from meterline.delivery.segment import HEADER, Segment
from meterline.delivery.shelf import Adopted

LETTERS = "dead-letters.ndjson"
_LOCK = "lock"
_SEGMENT = ".seg"
_UNFINISHED = ".new"
_DAMAGED = ".damaged"
_PRIVATE = 0o600
_RETRY_SECONDS = 0.002
_TAKING_SECONDS = 5.0


class SegmentFile:
    """The file of a segment and the lock on it."""

    def __init__(self, folder: "FolderShelf", path: Path, descriptor: int) -> None:
        self._folder = folder
        self._path = path
        self._descriptor: int | None = descriptor
        folder.held.add(self)

    @property
    def is_linked(self) -> bool:
        """Whether the file can still be found under its name."""
        if self._descriptor is None:
            return False
        try:
            there = os.stat(self._path)  # noqa: PTH116 - a plain call, made every second
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._descriptor))

    def remove(self) -> None:
        """Remove the file and give up its lock."""
        if self._descriptor is not None:
            with suppress(OSError):
                self._path.unlink()
        self.release()

    def release(self) -> None:
        """Give up the lock and leave the file to whoever adopts it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._folder.held.discard(self)
            os.close(descriptor)


class FolderShelf:
    """Keeps segments and dead letters in a folder.

    Attributes:
        held: the files that this process holds locked.
    """

    def __init__(self, path: str, *, segment_bytes: int) -> None:
        self.held: set[SegmentFile] = set()
        self._path = Path(path).absolute()
        self._segment_bytes = segment_bytes
        self._made = 0
        self._turn = Lock()
        self._lock_descriptor: int | None = None

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
        with self._locked(patience):
            self._made += 1
            name = f"{int(now() * 1e6):016d}-{os.getpid()}-{self._made}-{os.urandom(4).hex()}"
            unfinished = self._path / f"{name}{_UNFINISHED}"
            descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, _PRIVATE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                write_all(descriptor, HEADER.ljust(self._segment_bytes, b"\0"))
                buffer = map_file(unfinished)
                for page in range(0, self._segment_bytes, PAGESIZE):
                    buffer[page] = buffer[page]
                path = unfinished.rename(unfinished.with_suffix(_SEGMENT))
            except BaseException:
                os.close(descriptor)
                with suppress(OSError):
                    unfinished.unlink()
                raise
        return Segment(buffer, holder=SegmentFile(self, path, descriptor))

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
        own = {file._path.name for file in self.held}  # noqa: SLF001 - of the same module
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
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with self._locked(_TAKING_SECONDS):
            descriptor = os.open(self._path / LETTERS, flags, _PRIVATE)
            try:
                size = os.fstat(descriptor).st_size
                text = bytearray()
                added = 0
                for letter in letters:
                    if size + len(text) + len(letter) + 1 > max_bytes:
                        break
                    text += letter + b"\n"
                    added += 1
                try:
                    write_all(descriptor, text)
                except OSError:
                    os.ftruncate(descriptor, size)
                    raise
            finally:
                os.close(descriptor)
        return added

    def take_letters(self) -> "FolderLetters":
        """Return all dead letters; new ones may be appended behind them meanwhile."""
        with self._locked(_TAKING_SECONDS):
            try:
                text = (self._path / LETTERS).read_bytes()
            except FileNotFoundError:
                text = b""
        return FolderLetters(self, len(text), tuple(text.splitlines()))

    def keep_letters(self, left: Sequence[bytes], *, taken_bytes: int) -> None:
        """Put what is left in the place of the first bytes of the file of dead letters."""
        path = self._path / LETTERS
        with self._locked(_TAKING_SECONDS):
            rest = path.read_bytes()[taken_bytes:]
            text = b"".join(line + b"\n" for line in left) + rest
            if not text:
                path.unlink()
                return
            other = path.with_suffix(".rest")
            descriptor = os.open(other, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
            try:
                write_all(descriptor, text)
            finally:
                os.close(descriptor)
            other.replace(path)

    def forget(self) -> None:
        """Close what was inherited from the parent, which would keep its locks when it dies."""
        self._turn = Lock()
        for file in tuple(self.held):
            file.release()
        if self._lock_descriptor is not None:
            os.close(self._lock_descriptor)
            self._lock_descriptor = None

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
        descriptor = lock_file(path)
        if descriptor is None:
            return Adopted()
        file = SegmentFile(self, path, descriptor)
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
        with suppress(OSError), self._locked(0):
            (self._path / name).unlink()

    @contextmanager
    def _locked(self, patience: float) -> Iterator[None]:
        """Hold the lock of the folder.

        It is given up by name and not only by closing: a process that was forked off meanwhile may
        have the descriptor, too.

        Raises:
            OSError: others held it for `patience` seconds, or it cannot be had at all.
        """
        turn = self._turn
        if not turn.acquire(timeout=patience):
            raise BlockingIOError(errno.EWOULDBLOCK, "another thread holds the folder")
        try:
            descriptor = os.open(self._path / _LOCK, os.O_RDWR | os.O_CREAT, _PRIVATE)
            self._lock_descriptor = descriptor
            try:
                lock_within(descriptor, patience)
                try:
                    yield
                finally:
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
            finally:
                self._lock_descriptor = None
                os.close(descriptor)
        finally:
            turn.release()


class FolderLetters(NamedTuple):
    """Dead letters that were read from the start of their file."""

    shelf: FolderShelf
    taken_bytes: int
    lines: Sequence[bytes]

    def done(self, left: Sequence[bytes]) -> None:
        """Remove the letters but those that are left."""
        if self.taken_bytes:
            self.shelf.keep_letters(left, taken_bytes=self.taken_bytes)
