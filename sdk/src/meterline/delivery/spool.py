"""The events of this process between the call that made them and the result from the collector.

    active    a caller copies into it                       one segment
    spare     ready to become active when that is full      one or none
    sealed    full, or adopted from a process that died     oldest first
    parked    events of tenants that the collector does not know yet

A caller's thread copies in memory, under a lock that nobody holds over anything slow. All files are
made and removed by background threads; so are all decisions that need to look at the folder.
"""

from collections import deque
from collections.abc import Sequence
from queue import SimpleQueue
from threading import RLock

from meterline.delivery.segment import Record, Segment
from meterline.delivery.shelf import Shelf, create_in_memory
from meterline.delivery.terms import Adoption, Batch, Wake, WhenFull
from meterline.notices import Notice, Notices

FORK_PATIENCE = 0.1
_PATIENCE = 5.0
_OWN_SEGMENTS = 3
"""What a process may have whatever others have: one to write, one spare, one that is sent."""


class Spool:
    """Keeps events in segments.

    Attributes:
        keeper: what wakes the thread that makes segments.
        sender: what wakes the thread that sends.
        recorded, dropped: how many events were taken, and were lost for want of room.
    """

    def __init__(
        self, shelf: Shelf, *, max_bytes: int, when_full: WhenFull, notices: Notices
    ) -> None:
        self.max_bytes = max_bytes
        self._shelf = shelf
        self._when_full = when_full
        self._notices = notices
        self._start(patience=_PATIENCE)

    def _start(self, *, patience: float) -> None:
        self._lock = RLock()
        self._is_writing = False
        self._late: deque[bytes] = deque()
        self.keeper: SimpleQueue[Wake] = SimpleQueue()
        self.sender: SimpleQueue[Wake] = SimpleQueue()
        self.recorded = self.dropped = 0
        self._spare: Segment | None = None
        self._sealed: list[Segment] = []
        self._parked: list[Segment] = []
        self._sending: Segment | None = None
        self._is_closed = False
        self._active = self._create(patience) or create_in_memory(self._shelf.segment_bytes)

    def renew(self) -> None:
        """Start anew in a forked child; what the parent has stays the parent's."""
        self._start(patience=FORK_PATIENCE)

    # On the caller's thread.

    def put(self, line: bytes) -> None:
        """Copy an event into the spool, or count it as dropped where there is no room.

        Python may run a finaliser or a signal handler amid this, and that may record usage, too. On
        the same thread it gets the lock, finds the flag, and leaves its event to whom it broke in
        upon.
        """
        with self._lock:
            if self._is_writing:
                self._late.append(line)
                return
            self._write(line)
            while self._late:
                self._write(self._late.popleft())

    def _write(self, line: bytes) -> None:
        self._is_writing = True
        try:
            self.recorded += 1
            if not self._active.append(line):
                self._write_on(line)
        finally:
            self._is_writing = False

    def _write_on(self, line: bytes) -> None:
        """Take the spare segment into use, or drop the event where there is none."""
        spare = self._spare
        if spare is None or self._is_closed:
            self.dropped += 1
            self._notices.note(Notice.CLOSED if self._is_closed else Notice.FULL)
        else:
            self._sealed.append(self._active)
            self._active, self._spare = spare, None
            spare.append(line)
            self.sender.put(Wake.DUE)
        self.keeper.put(Wake.DUE)

    # On the keeper's thread.

    def provide(self) -> None:
        """See to it that there is a spare segment and that the active one survives a kill."""
        with self._lock:
            if self._is_closed:
                return
            if self._spare is not None and self._is_exposed(self._spare):
                self._spare = None
            has_spare = self._spare is not None
        if not has_spare:
            made = self._create_within_limit(or_in_memory=True)
            with self._lock:
                self._spare = made
        with self._lock:
            spare = self._spare
            if spare is not None and spare.is_safe and self._is_exposed(self._active):
                self._sealed.append(self._active)
                self._active, self._spare = spare, None
                self.keeper.put(Wake.DUE)

    def _is_exposed(self, segment: Segment) -> bool:
        """Whether a segment dies with the process though there is a folder for it."""
        return self._shelf.is_lasting and not segment.is_safe

    def adopt(self, *, most: int) -> Adoption:
        """Take over what dead processes left, as long as there are not `most` segments to send."""
        room = max(0, most - len(self._sealed))
        adopted = self._shelf.adopt(most=room)
        with self._lock:
            self._sealed[:0] = adopted.segments
        if adopted.damaged:
            self._notices.note(Notice.DAMAGED)
        if adopted.segments:
            self.sender.put(Wake.DUE)
        events = sum(segment.pending for segment in adopted.segments)
        return Adoption(events, adopted.damaged, may_be_more=len(adopted.segments) >= room)

    def _create_within_limit(self, *, or_in_memory: bool = False) -> Segment | None:
        """Make a segment; where the spool is full, make room first or make none.

        Args:
            or_in_memory: make one in memory where the folder fails.
        """
        while self._is_full():
            if self._when_full is WhenFull.DROP_NEWEST or not self._drop_oldest():
                return None
        made = self._create(_PATIENCE)
        if made is None and or_in_memory:
            return create_in_memory(self._shelf.segment_bytes)
        return made

    def _is_full(self) -> bool:
        own = self._own()
        if len(own) < _OWN_SEGMENTS:
            return False
        in_memory = sum(segment.size for segment in own if segment.holder is None)
        try:
            used = self._shelf.used_bytes() or 0
        except OSError:
            used = 0
        return used + in_memory + self._shelf.segment_bytes > self.max_bytes

    def _drop_oldest(self) -> bool:
        """Drop the oldest segment that is not being sent; tell whether there was one."""
        with self._lock:
            for kept in (self._sealed, self._parked):
                for segment in kept:
                    if segment is not self._sending:
                        kept.remove(segment)
                        self.dropped += segment.pending
                        self._notices.note(Notice.FULL)
                        segment.remove()
                        return True
        return False

    def _create(self, patience: float) -> Segment | None:
        try:
            segment = self._shelf.create(patience=patience)
        except OSError as error:
            self._notices.note(Notice.NO_FOLDER, type(error).__name__)
            return None
        self._notices.over(Notice.NO_FOLDER)
        return segment

    # On the sender's thread.

    def take(self, now: float, *, most: int, most_bytes: int) -> Batch | None:
        """Return events that are due, of one segment, or None. Settle or return them next."""
        with self._lock:
            mine = (*self._parked, *self._sealed, self._active)
            self._sending = next((each for each in mine if each.is_due(now)), None)
        if self._sending is None:
            return None
        return Batch(self._sending, self._sending.read(most=most, most_bytes=most_bytes))

    def settle(self, batch: Batch, done: list[Record]) -> None:
        """Take out events that have their result; the segment goes with the last of them."""
        for record in done:
            batch.segment.mark_done(record)
        with self._lock:
            self._sending = None
            if batch.segment.pending:
                return
            for kept in (self._sealed, self._parked):
                if batch.segment in kept:
                    kept.remove(batch.segment)
                    batch.segment.remove()
                    self.keeper.put(Wake.DUE)

    def give_back(self, batch: Batch) -> None:
        """Leave events as they were, to be sent again."""
        batch.segment.rewind()
        self._sending = None

    def park(self, line: bytes, *, retry_at: float) -> bool:
        """Keep an event apart, so that it holds up nobody; tell whether there was room."""
        with self._lock:
            if self._parked and self._parked[-1].append(line):
                return True
        made = self._create_within_limit()
        if made is None or not made.append(line):
            return False
        made.is_parked = True
        made.retry_at = retry_at
        with self._lock:
            self._parked.append(made)
        return True

    def restore(self, lines: Sequence[bytes]) -> int:
        """Take events back that were taken out; return how many found room."""
        restored = 0
        made: Segment | None = None
        for line in lines:
            if made is None or not made.append(line):
                self._seal(made)
                made = self._create_within_limit()
                if made is None or not made.append(line):
                    break
            restored += 1
        self._seal(made)
        self.sender.put(Wake.NOW)
        return restored

    def _seal(self, segment: Segment | None) -> None:
        if segment is not None:
            with self._lock:
                self._sealed.append(segment)

    def hurry(self) -> None:
        """Let everything be due now."""
        with self._lock:
            for segment in self._own():
                segment.retry_at = 0.0

    # From anywhere.

    def pending(self) -> int:
        """Return how many events wait for their result."""
        with self._lock:
            return sum(segment.pending for segment in self._own())

    def held(self) -> int:
        """Return how many events wait for their tenant to be known."""
        with self._lock:
            return sum(segment.pending for segment in self._parked)

    @property
    def is_safe(self) -> bool:
        """Whether what is recorded now survives a kill of the process."""
        return self._active.is_safe

    def close(self) -> None:
        """Take no more; leave what is pending to whoever adopts it."""
        with self._lock:
            self._is_closed = True
            for segment in self._own():
                if segment.pending:
                    segment.release()
                else:
                    segment.remove()
                if segment.holder is None:
                    self.dropped += segment.pending
            closed = Segment(bytearray())
            self._active, self._spare = closed, None
            self._sealed, self._parked = [], []

    def _own(self) -> list[Segment]:
        spare = () if self._spare is None else (self._spare,)
        return [*self._parked, *self._sealed, self._active, *spare]
