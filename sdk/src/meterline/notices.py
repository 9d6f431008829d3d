"""What is logged, each kind once until it is over, and never on the caller's thread.

Logging is I/O and may be slow or fail, so a caller's thread only leaves a note. `logging` is
imported when notices are made, since it is a large part of what an `import meterline` would take.
"""

from contextlib import suppress
from enum import Enum


class Notice(Enum):
    """Something that people should know. Its text never has a value of an event in it."""

    IN_MEMORY = "no spool folder: usage waits in memory and is lost when the process is killed"
    NO_FOLDER = "the spool folder cannot be used; usage waits in memory and may be lost at a kill"
    FULL = "the spool is full: usage is being dropped; see when_full and max_bytes"
    REFUSED = "usage was refused: its id, tenant or count is invalid"
    WITHHELD = "metadata, a source or a feature was left out: content, personal, or not small"
    DAMAGED = "spool files were damaged; what has no valid checksum was skipped"
    DEAD = "the collector refused usage: it is among the dead letters, see Meter.redeliver"
    LETTERS_FULL = "no room for dead letters: refused usage is lost"
    HELD = "the collector does not know a tenant; its usage waits and is tried again"
    AHEAD = "this host's clock is ahead of the collector's; usage waits until its time has come"
    UNDELIVERED = "usage cannot be delivered now; it waits and is tried again"
    CLOSED = "usage came after the meter was closed and is lost"
    UNHOOKED = "a client could not be wrapped and is not metered"
    CONTEXT = "the tenant and feature of a request could not be told; usage has none"
    BROKEN = "metering failed inside; the application was not disturbed"


class Notices:
    """Collects notes from any thread and logs them from a background one."""

    def __init__(self) -> None:
        import logging  # noqa: PLC0415 - late on purpose, see above

        self._logger = logging.getLogger("meterline")
        self._noted: dict[Notice, str] = {}
        self._logged: set[Notice] = set()

    def note(self, notice: Notice, detail: str = "") -> None:
        """Leave a note; the first detail of a kind is kept."""
        if notice not in self._logged:
            self._noted.setdefault(notice, detail)

    def over(self, notice: Notice) -> None:
        """Say that something has ended; when it comes again it is logged again."""
        if notice in self._logged:
            self._logged.discard(notice)
            self._log("over: %s", notice.value)

    def publish(self) -> None:
        """Log what was noted since; only from a background thread."""
        while self._noted:
            notice, detail = self._noted.popitem()
            self._logged.add(notice)
            self.tell(notice, detail)

    def tell(self, notice: Notice, detail: str = "") -> None:
        """Log at once and every time; not while a call is metered."""
        self._log("%s%s", notice.value, f" ({detail})" if detail else "")

    def _log(self, text: str, *values: str) -> None:
        with suppress(Exception):  # a handler of the host may do anything
            self._logger.warning(text, *values)
