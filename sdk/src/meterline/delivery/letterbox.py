"""The dead letters of a spool folder, which any number of processes may write and redeliver.

    dead-letters.ndjson           what the collector refused, a line each
    dead-letters-*.taken          what a process is redelivering, which holds the file locked

Whoever takes letters renames their file first, so that nobody else has them. A taken file that can
be locked was left by a process that died: it is taken over with the others.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from meterline.delivery.files import write_all
from meterline.delivery.held import HeldFile, Holdings

LETTERS = "dead-letters.ndjson"
_TAKEN = ".taken"
_PATIENCE = 5.0


class FolderLetters(NamedTuple):
    """Dead letters that were taken out, until it is sure that they are elsewhere."""

    box: "Letterbox"
    files: Sequence[HeldFile]
    lines: Sequence[bytes]

    def done(self, left: Sequence[bytes]) -> None:
        """Remove the letters but those that are left."""
        try:
            if left:
                self.box.put_back(left)
        except BaseException:
            self.give_back()
            raise
        for file in self.files:
            file.remove()

    def give_back(self) -> None:
        """Leave all letters to whoever takes them next."""
        for file in self.files:
            file.release()


class Letterbox:
    """Keeps the dead letters of a folder."""

    def __init__(self, folder: Path, holdings: Holdings) -> None:
        self._folder = folder
        self._holdings = holdings
        self._path = folder / LETTERS

    def add(self, letters: Sequence[bytes], *, max_bytes: int) -> int:
        """Append what finds room; return how many letters did.

        Raises:
            OSError: they cannot be written now.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._holdings.locked(_PATIENCE):
            return self._append(letters, max_bytes)

    def put_back(self, letters: Sequence[bytes]) -> None:
        """Append letters that were taken out, however many there are.

        Raises:
            OSError: they cannot be written now.
        """
        with self._holdings.locked(_PATIENCE):
            self._append(letters, None)

    def take(self) -> FolderLetters:
        """Take out all letters that nobody else has.

        Raises:
            OSError: they cannot be read now.
        """
        files: list[HeldFile] = []
        lines: list[bytes] = []
        with self._holdings.locked(_PATIENCE):
            try:
                for file in self._claim_all():
                    files.append(file)
                    lines += file.path.read_bytes().splitlines()
            except BaseException:
                for file in files:
                    file.release()
                raise
        return FolderLetters(self, files, lines)

    def _claim_all(self) -> Iterator[HeldFile]:
        for name in sorted(os.listdir(self._folder)):  # noqa: PTH208 - names are all that is needed
            if name.endswith(_TAKEN) and (left := self._holdings.claim(self._folder / name)):
                yield left
        with suppress(FileNotFoundError):
            file = self._holdings.open(self._path, os.O_RDWR)
            try:
                fcntl.flock(file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                stem = self._path.stem
                name = f"{stem}-{os.getpid()}-{os.urandom(4).hex()}{_TAKEN}"
                file.rename(self._path.with_name(name))
            except BaseException:
                file.release()
                raise
            yield file

    def _append(self, letters: Sequence[bytes], max_bytes: int | None) -> int:
        file = self._holdings.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            size = os.fstat(file.descriptor).st_size
            text = bytearray()
            added = 0
            for letter in letters:
                if max_bytes is not None and size + len(text) + len(letter) + 1 > max_bytes:
                    break
                text += letter + b"\n"
                added += 1
            try:
                write_all(file.descriptor, text)
            except OSError:
                os.ftruncate(file.descriptor, size)
                raise
        finally:
            file.release()
        return added
