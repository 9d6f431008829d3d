"""The file of a demo ledger, which carries a mark, so that no other file is ever replaced.

The mark is SQLite's `application_id`, four bytes of the file's header. It is written before
anything else and outside the write-ahead log, so a demo that was stopped at any instant is known
again; no ledger made by `meterline db upgrade` has it; and reading it needs no database connection,
which could itself change the file.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from ledger.errors import ConflictError, InvalidError

APPLICATION_ID = 0x4D_54_4C_44
"""The letters MTLD."""

_MAGIC = b"SQLite format 3\x00"
_MARK = slice(68, 72)
_HEADER_BYTES = 100


def make_demo_file(path: Path) -> None:
    """Make an empty, marked database file; replace one that an earlier demo made.

    Raises:
        ConflictError: `foreign_file`, when the file was not made by a demo; `demo_in_use`.
        InvalidError: `unusable_path`.
    """
    try:
        if path.exists():
            if not _is_demo(path):
                raise ConflictError(
                    "foreign_file",
                    f"{path} was not made by a demo and is left as it is; name another --path",
                )
            _remove(path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    except (OSError, sqlite3.Error) as error:
        raise InvalidError(
            "unusable_path", f"{path} cannot hold a ledger: {error}", key="path"
        ) from error


def _is_demo(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    return header.startswith(_MAGIC) and int.from_bytes(header[_MARK], "big") == APPLICATION_ID


def _remove(path: Path) -> None:
    """Remove a demo ledger that nobody has open, even a damaged one."""
    try:
        with closing(sqlite3.connect(path, timeout=0)) as connection:
            # Leaving the write-ahead log is granted only to one who is alone with the file.
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise ConflictError(
                "demo_in_use", f"{path} is in use; stop what serves it, or name another --path"
            ) from error
    # SQLite takes away what a crash left beside a file that it then makes anew.
    path.unlink()
