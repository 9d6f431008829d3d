"""Maps, locks and writes files, each as a whole or not at all."""

import errno
import fcntl
import os
import time
from mmap import ACCESS_WRITE, mmap
from pathlib import Path

_RETRY_SECONDS = 0.002


def map_file(path: Path) -> mmap:
    """Map a file by a descriptor of its own.

    A mapping keeps a copy of its descriptor, and a lock lasts until the last copy is closed.
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        return mmap(descriptor, 0, access=ACCESS_WRITE)
    finally:
        os.close(descriptor)


def lock_within(descriptor: int, patience: float) -> None:
    """Lock a file.

    Raises:
        OSError: others held it for `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EINTR) or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def write_all(descriptor: int, data: bytes | bytearray) -> None:
    """Write all of the data.

    Raises:
        OSError: the disk is full, or whatever else is wrong; a part may be written.
    """
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
