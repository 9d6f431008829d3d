"""The segments of one process, and what is known of the room they may take.

    active    a caller copies into it                       one segment
    spare     ready to become active when that is full      one or none
    sealed    full, or adopted from a process that died     oldest first
    parked    events of tenants that the collector does not know yet
    doomed    done or dropped, to be removed by a background thread

Everything here is done in memory and under the lock, and takes microseconds.
"""

from collections.abc import Iterator
from threading import RLock
from typing import NamedTuple

from meterline.delivery.segment import Segment

_OWN_SEGMENTS = 3
"""What a process may have whatever others have: one to write, one spare, one that is sent."""


class Point(NamedTuple):
    """A moment, and what had been recorded until then."""

    epoch: int
    active: Segment
    written: int


class Stock:
    """Segments by what they are for. `lock` is held by whoever reads or changes them.

    Args:
        active: the first segment.
        segment_bytes: the size of a file.
        max_bytes: how much all processes together may take.

    Attributes:
        used_bytes: what the files of all processes took when a background thread looked.
        sending: the segment that the sender has in hand; it is neither dropped nor moved.
        dropped: how many events were lost for want of room.
        is_closed: whether nothing is taken any more.
    """

    def __init__(self, active: Segment, *, segment_bytes: int, max_bytes: int) -> None:
        self.lock = RLock()
        self.active = active
        self.spare: Segment | None = None
        self.sealed: list[Segment] = []
        self.parked: list[Segment] = []
        self.doomed: list[Segment] = []
        self.sending: Segment | None = None
        self.used_bytes = 0
        self.dropped = 0
        self.is_closed = False
        self._epoch = 0
        self._own_bytes = _OWN_SEGMENTS * segment_bytes
        self._max_bytes = max_bytes

    def own(self) -> Iterator[Segment]:
        """Give all segments that may hold events, in the order in which they are sent."""
        yield from self.parked
        yield from self.sealed
        yield self.active
        if self.spare is not None:
            yield self.spare

    def renew_active(self, fresh: Segment) -> None:
        """Let callers write to another segment from now on."""
        self.seal(self.active)
        fresh.began = self._epoch
        self.active = fresh

    def start(self, first: Segment) -> None:
        """Let callers write to the first segment, if they do not write to another by now."""
        if self.is_closed or self.active.size:
            self.doom(first)
        else:
            self.renew_active(first)

    def seal(self, segment: Segment) -> None:
        """Keep a segment to be sent; one without anything to send is doomed."""
        if segment.pending:
            self.sealed.append(segment)
        else:
            self.doom(segment)

    def begin(self, segment: Segment) -> Segment:
        """Note that what is in a segment, or will be, came now."""
        segment.began = self._epoch
        return segment

    def doom(self, segment: Segment) -> None:
        """Have a segment removed."""
        if segment.holder is not None:
            self.used_bytes -= segment.size
            self.doomed.append(segment)

    def drop_out(self, segment: Segment) -> bool:
        """Take a segment out that is sent or moved; tell whether it was among the kept ones."""
        for kept in (self.sealed, self.parked):
            if segment in kept:
                kept.remove(segment)
                return True
        return False

    def replace(self, segment: Segment, other: Segment) -> None:
        """Put a segment in the place of one whose events it has taken over."""
        at = self.sealed.index(segment)
        self.sealed[at : at + 1] = [] if other in self.sealed else [other]

    def take_oldest(self) -> Segment | None:
        """Take the oldest segment out that is not being sent, if there is one."""
        for segment in (*self.sealed, *self.parked):
            if segment is not self.sending:
                self.drop_out(segment)
                self.doom(segment)
                return segment
        return None

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more are allowed."""
        in_memory = in_all = 0
        for segment in self.own():
            in_all += segment.size
            if segment.holder is None:
                in_memory += segment.size
        if in_all + size <= self._own_bytes:
            return True
        return self.used_bytes + in_memory + size <= self._max_bytes

    def exposed(self) -> list[Segment]:
        """Return the sealed segments that are in memory and nobody has in hand."""
        return [each for each in self.sealed if each.holder is None and each is not self.sending]

    def mark(self) -> Point:
        """Return a point that has been reached when all that is there now has its result."""
        self._epoch += 1
        return Point(self._epoch, self.active, self.active.count)

    def is_reached(self, point: Point) -> bool:
        """Whether everything before a point has its result."""
        for segment in self.own():
            if segment.began >= point.epoch:
                continue
            is_partly = segment is point.active
            if segment.has_pending_before(point.written) if is_partly else segment.pending:
                return False
        return True

    def close(self) -> list[Segment]:
        """Take no more; return what there was."""
        self.is_closed = True
        had = list(self.own())
        self.active, self.spare = Segment(bytearray()), None
        self.sealed, self.parked = [], []
        return had
