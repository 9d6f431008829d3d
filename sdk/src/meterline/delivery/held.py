"""The files of a spool folder that a process holds open, and the locks on them.

A child that is forked has every descriptor that its parent had, and with it the parent's locks, for
as long as it lives. So each descriptor is known from its first moment on, and the child closes all.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, RLock

from meterline.delivery.files import lock_within

PRIVATE = 0o600
_LOCK = "lock"
_CLOSED = -1
_FORK_PATIENCE = 0.1


class HeldFile:
    """An open file, with the lock on it if there is one.

    Attributes:
        path: where it is.
        descriptor: of the open file; -1 when it was given up.
    """

    def __init__(self, holdings: "Holdings", path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self._holdings = holdings

    @property
    def is_linked(self) -> bool:
        """Whether the file can still be found under its name."""
        try:
            there = os.stat(self.path)  # noqa: PTH116 - a plain call, made every second
            return os.path.samestat(there, os.fstat(self.descriptor))
        except OSError:
            return False

    def rename(self, path: Path) -> None:
        """Give the file another name; the lock stays.

        Raises:
            OSError: it cannot be renamed.
        """
        self.path = self.path.rename(path)

    def remove(self) -> None:
        """Remove the file and give up its lock."""
        if self.descriptor != _CLOSED:
            with suppress(OSError):
                self.path.unlink()
        self.release()

    def release(self) -> None:
        """Give up the lock and leave the file where it is."""
        with self._holdings.changing:
            descriptor, self.descriptor = self.descriptor, _CLOSED
            if descriptor != _CLOSED:
                self._holdings.files.discard(self)
                os.close(descriptor)


class Holdings:
    """All files that this process holds open in a folder, and the lock of the folder itself.

    Attributes:
        files: what is open.
        changing: held while a file is opened or closed, and by a fork.
    """

    def __init__(self, folder: Path) -> None:
        self.files: set[HeldFile] = set()
        self._folder = folder
        self._turn = Lock()
        self.changing = RLock()

    def open(self, path: Path, flags: int) -> HeldFile:
        """Open a file; no fork comes between that and its being known.

        Raises:
            OSError: it cannot be opened.
        """
        with self.changing:
            file = HeldFile(self, path, os.open(path, flags, PRIVATE))
            self.files.add(file)
        return file

    def claim(self, path: Path) -> HeldFile | None:
        """Open and lock a file; None where its process lives or it has just been removed."""
        try:
            file = self.open(path, os.O_RDWR)
        except OSError:
            return None
        with suppress(OSError):
            fcntl.flock(file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file.is_linked:
                return file
        file.release()
        return None

    def names(self) -> frozenset[str]:
        """Return the names of all files that are held."""
        return frozenset(file.path.name for file in tuple(self.files))

    @contextmanager
    def locked(self, patience: float) -> Iterator[None]:
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
            file = self.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT)
            try:
                lock_within(file.descriptor, patience)
                try:
                    yield
                finally:
                    fcntl.flock(file.descriptor, fcntl.LOCK_UN)
            finally:
                file.release()
        finally:
            turn.release()

    def before_fork(self) -> None:
        """Let no file be amid its opening or closing when the process is forked."""
        self.changing.acquire(timeout=_FORK_PATIENCE)

    def after_fork(self) -> None:
        """In the parent: let files be opened and closed again."""
        with suppress(RuntimeError):  # it could not be had in time
            self.changing.release()

    def forget(self) -> None:
        """In the child: close what was inherited, which would keep the parent's locks."""
        self._turn = Lock()
        self.changing = RLock()
        for file in tuple(self.files):
            file.release()
