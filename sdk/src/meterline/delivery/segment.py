"""A fixed buffer of events, one after another, each with a checksum and a state of one byte.

The buffer is a memory-mapped file, or plain memory where there is no spool folder. Writing to a
mapped file is a copy in memory: when it is done, the kernel has the event, whatever becomes of the
process. Nothing is moved or rewritten later but the state byte, from pending to done.

    record = mark (2) · state (1) · 0 (1) · length (4) · CRC-32 of the event (4) · the event
"""

from mmap import mmap
from struct import Struct
from typing import NamedTuple, Protocol
from zlib import crc32

HEADER = b"meterline spool 1\n".ljust(32, b"\0")
_RECORD = Struct("<2sBxII")
_MARK = b"\xf5\xff"
"""Two bytes that no UTF-8 text has, so that a search for it finds records alone."""

_STATE_AT = 2
_PENDING = ord("P")
_DONE = ord("D")


class Holder(Protocol):
    """The file that a segment is mapped to, locked as long as the holder is open."""

    @property
    def is_linked(self) -> bool:
        """Whether the file can still be found under its name."""

    def remove(self) -> None:
        """Remove the file and give up its lock."""

    def release(self) -> None:
        """Give up the lock and leave the file to whoever adopts it."""


class Record(NamedTuple):
    """An event in its segment."""

    offset: int
    line: bytes


class Segment:
    """Events in one buffer. One thread appends, under the spool's lock; one other reads and marks.

    Attributes:
        is_parked: whether all of it was held back, and so none is sent before `retry_at`.
        retry_at: when what is held back is tried again, on the monotonic clock.
        refusals: how often what is held back was tried in vain.
        damaged: how many stretches of an adopted buffer could not be read.
        began: the epoch of the stock from which on events may be in it.
    """

    def __init__(self, buffer: mmap | bytearray, *, holder: Holder | None = None) -> None:
        self.holder = holder
        self.is_parked = False
        self.retry_at = 0.0
        self.refusals = 0
        self.damaged = 0
        self.began = 0
        self._buffer = buffer
        self._size = len(buffer)
        self._end = len(HEADER)
        self._offsets: list[int] = []
        self._next = 0
        self._done = 0
        self._settled = 0

    @property
    def pending(self) -> int:
        """How many events wait for their result."""
        return len(self._offsets) - self._done

    @property
    def count(self) -> int:
        """How many events were ever written."""
        return len(self._offsets)

    @property
    def is_safe(self) -> bool:
        """Whether what is written survives the process."""
        return self.holder is not None and self.holder.is_linked

    @property
    def size(self) -> int:
        """Bytes of the buffer."""
        return self._size

    def append(self, line: bytes) -> bool:
        """Copy an event into the buffer; tell whether there was room."""
        start = self._end
        end = start + _RECORD.size + len(line)
        if end > self._size:
            return False
        self._buffer[start:end] = _RECORD.pack(_MARK, _PENDING, len(line), crc32(line)) + line
        self._end = end
        self._offsets.append(start)
        return True

    def is_due(self, now: float) -> bool:
        """Whether there is something to send: what was not tried yet, or is to be tried again."""
        if not self.pending:
            return False
        is_untried = self._next < len(self._offsets) and not (self.is_parked and not self._next)
        return is_untried or self.retry_at <= now

    def read(self, *, most: int, most_bytes: int) -> list[Record]:
        """Return the next pending events, at least one where any is left."""
        if self._next >= len(self._offsets):
            self._next = 0
        records: list[Record] = []
        size = 0
        while self._next < len(self._offsets) and len(records) < most:
            offset = self._offsets[self._next]
            if self._buffer[offset + _STATE_AT] == _PENDING:
                line = self._line(offset)
                size += len(line) + 1
                if records and size > most_bytes:
                    break
                records.append(Record(offset, line))
            self._next += 1
        if self.is_parked and self._next >= len(self._offsets):
            self._next = 0
        return records

    def has_pending_before(self, count: int) -> bool:
        """Whether one of the first `count` events waits for its result; under the spool's lock."""
        offsets = self._offsets
        while self._settled < count:
            if self._buffer[offsets[self._settled] + _STATE_AT] == _PENDING:
                return True
            self._settled += 1
        return False

    def content(self) -> tuple[bytes, list[int], int]:
        """Return what was written, where its events begin, and how many have their result."""
        return bytes(self._buffer[len(HEADER) : self._end]), self._offsets, self._done

    def take_over(self, other: "Segment") -> bool:
        """Copy all of a segment that nobody writes or sends; tell whether there was room."""
        content, offsets, done = other.content()
        end = self._end + len(content)
        if end > self._size:
            return False
        shift = self._end - len(HEADER)
        self._buffer[self._end : end] = content
        self._offsets += [offset + shift for offset in offsets]
        self._done += done
        self._end = end
        self.began = min(self.began, other.began)
        return True

    def rewind(self) -> None:
        """Try everything again that is pending."""
        self._next = 0
        self.retry_at = 0.0

    def mark_done(self, record: Record) -> None:
        """Never send an event again."""
        self._buffer[record.offset + _STATE_AT] = _DONE
        self._done += 1

    def remove(self) -> None:
        """Remove the file below."""
        if self.holder is not None:
            self.holder.remove()

    def release(self) -> None:
        """Leave the file below to whoever adopts it."""
        if self.holder is not None:
            self.holder.release()

    def recover(self) -> None:
        """Find the events that somebody else wrote; what has no valid checksum is skipped.

        Raises:
            ValueError: the buffer is not a segment.
        """
        if self._buffer[: len(HEADER)] != HEADER:
            raise ValueError("not a segment")
        position = len(HEADER)
        while position < self._size:
            found = self._find_valid(position)
            gap = self._buffer[position : self._size if found is None else found]
            if gap if found is not None else bytes(gap).strip(b"\0"):
                self.damaged += 1
            if found is None:
                return
            state = self._buffer[found + _STATE_AT]
            self._offsets.append(found)
            self._done += state == _DONE
            position = self._end = found + _RECORD.size + len(self._line(found))

    def _find_valid(self, position: int) -> int | None:
        while (found := self._buffer.find(_MARK, position)) >= 0:
            if self._is_valid(found):
                return found
            position = found + 1
        return None

    def _is_valid(self, offset: int) -> bool:
        if offset + _RECORD.size > self._size:
            return False
        _, state, length, checksum = _RECORD.unpack_from(self._buffer, offset)
        end = offset + _RECORD.size + length
        if state not in (_PENDING, _DONE) or not length or end > self._size:
            return False
        return bool(crc32(self._line(offset)) == checksum)

    def _line(self, offset: int) -> bytes:
        length: int = _RECORD.unpack_from(self._buffer, offset)[2]
        start = offset + _RECORD.size
        return bytes(self._buffer[start : start + length])
