"""The events of this process between the call that made them and the result from the collector.

A caller's thread copies in memory, under a lock that nobody holds over anything slow. All files are
made and removed by background threads; so are all decisions that need to look at the folder. Where
these are late, as in a burst, the caller writes on in memory and a background thread copies that to
a file as soon as it can.
"""

from collections import deque
from collections.abc import Sequence
from queue import SimpleQueue
from threading import Lock

from meterline.delivery.segment import Record, Segment
from meterline.delivery.shelf import Shelf, create_in_memory
from meterline.delivery.stock import Point, Stock
from meterline.delivery.supply import Supply, piece_bytes
from meterline.delivery.terms import Adoption, Batch, Wake, WhenFull
from meterline.notices import Notice, Notices

_FORK_PATIENCE = 0.1
_PATIENCE = 5.0


class Spool:
    """Keeps events in segments.

    Attributes:
        sender: what wakes the thread that sends.
        recorded: how many events were taken.
    """

    def __init__(
        self, shelf: Shelf, *, max_bytes: int, when_full: WhenFull, notices: Notices
    ) -> None:
        self.max_bytes = max_bytes
        self._shelf = shelf
        self._when_full = when_full
        self._notices = notices
        self.renew()
        self._open(_PATIENCE)

    def renew(self) -> None:
        """Start anew in a forked child; what the parent has stays the parent's.

        There is no file before the first usage: most children never record any.
        """
        nothing = Segment(bytearray())
        size = self._shelf.segment_bytes
        self._stock = Stock(nothing, segment_bytes=size, max_bytes=self.max_bytes)
        self._supply = Supply(self._shelf, self._stock, self._when_full, self._notices)
        self._lock = self._stock.lock
        self._is_writing = False
        self._late: deque[bytes] = deque()
        self._opening = Lock()
        self.sender: SimpleQueue[Wake] = SimpleQueue()
        self.recorded = 0

    def open(self) -> None:
        """Make the first file of a forked child; the first of its threads that comes does so."""
        self._open(_FORK_PATIENCE)

    def _open(self, patience: float) -> None:
        stock = self._stock
        if stock.active.size or stock.is_closed or not self._opening.acquire(blocking=False):
            return
        made = self._supply.create(patience)
        if made is None:
            made = create_in_memory(piece_bytes(self._shelf))
        with stock.lock:
            stock.start(made)

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
            if not self._stock.active.append(line):
                self._write_on(line)
        finally:
            self._is_writing = False

    def _write_on(self, line: bytes) -> None:
        """Take the spare segment into use, or one in memory; drop the event where there is none."""
        stock = self._stock
        fresh, stock.spare = stock.spare, None
        if fresh is None and not stock.is_closed:
            fresh = self._supply.create_piece()
        if fresh is None:
            stock.dropped += 1
            self._notices.note(Notice.CLOSED if stock.is_closed else Notice.FULL)
        else:
            stock.renew_active(fresh)
            fresh.append(line)
            if self.sender.empty():
                self.sender.put(Wake.DUE)
        self._supply.wake()

    # On the keeper's thread.

    @property
    def keeper(self) -> SimpleQueue[Wake]:
        """What wakes the thread that keeps segments ready."""
        return self._supply.keeper

    def provide(self) -> None:
        """See to it that there is a spare segment and that what is recorded survives a kill."""
        self._supply.provide()

    def adopt(self, *, most: int) -> Adoption:
        """Take over what dead processes left, as long as there are not `most` segments to send."""
        room = max(0, most - len(self._stock.sealed))
        adopted = self._supply.adopt(most=room)
        if adopted.damaged:
            self._notices.note(Notice.DAMAGED)
        if adopted.segments:
            self.sender.put(Wake.DUE)
        events = sum(segment.pending for segment in adopted.segments)
        return Adoption(events, adopted.damaged, may_be_more=len(adopted.segments) >= room)

    def save(self) -> None:
        """Copy all that is in memory to files, as far as these can be made."""
        stock = self._stock
        with stock.lock:
            active = stock.active
            if self._shelf.is_lasting and active.holder is None and active.pending:
                stock.renew_active(create_in_memory(piece_bytes(self._shelf)))
        while self._supply.save():
            pass

    # On the sender's thread.

    def take(self, now: float, *, most: int, most_bytes: int) -> Batch | None:
        """Return events that are due, of one segment, or None. Settle or return them next."""
        stock = self._stock
        with stock.lock:
            stock.sending = next((each for each in stock.own() if each.is_due(now)), None)
            sending = stock.sending
        if sending is None:
            return None
        return Batch(sending, sending.read(most=most, most_bytes=most_bytes))

    def settle(self, batch: Batch, done: list[Record]) -> None:
        """Take out events that have their result; the segment goes with the last of them."""
        for record in done:
            batch.segment.mark_done(record)
        stock = self._stock
        with stock.lock:
            stock.sending = None
            is_over = not batch.segment.pending and stock.drop_out(batch.segment)
            if is_over:
                stock.doom(batch.segment)
        if is_over:
            self._supply.clear()
            self._supply.wake()

    def give_back(self, batch: Batch) -> None:
        """Leave events as they were, to be sent again."""
        batch.segment.rewind()
        self._stock.sending = None

    def park(self, line: bytes, *, retry_at: float, began: int = 0) -> bool:
        """Keep an event apart, so that it holds up nobody; tell whether there was room.

        Args:
            line: the event.
            retry_at: when it is tried again, on the monotonic clock.
            began: that of the segment where it was.
        """
        stock = self._stock
        with stock.lock:
            if stock.parked and stock.parked[-1].append(line):
                stock.parked[-1].began = min(began, stock.parked[-1].began)
                return True
        made = self._supply.create_within_limit()
        if made is None or not made.append(line):
            return False
        made.is_parked = True
        made.retry_at = retry_at
        made.began = began
        with stock.lock:
            stock.parked.append(made)
        return True

    def restore(self, lines: Sequence[bytes]) -> int:
        """Take events back that were taken out; return how many found room."""
        restored = 0
        made: Segment | None = None
        for line in lines:
            if made is None or not made.append(line):
                self._seal(made)
                made = self._supply.create_within_limit()
                if made is None or not made.append(line):
                    break
            restored += 1
        self._seal(made)
        self.sender.put(Wake.NOW)
        return restored

    def _seal(self, segment: Segment | None) -> None:
        if segment is not None:
            with self._lock:
                self._stock.seal(self._stock.begin(segment))

    def hurry(self) -> None:
        """Let everything be due now."""
        with self._lock:
            for segment in self._stock.own():
                segment.retry_at = 0.0

    # From anywhere.

    @property
    def dropped(self) -> int:
        """How many events were lost for want of room."""
        return self._stock.dropped

    def pending(self) -> int:
        """Return how many events wait for their result."""
        with self._lock:
            return sum(segment.pending for segment in self._stock.own())

    def held(self) -> int:
        """Return how many events wait until the collector takes them."""
        with self._lock:
            return sum(segment.pending for segment in self._stock.parked)

    def exposed(self) -> int:
        """Return how many events wait in memory, where a kill would lose them."""
        with self._lock:
            own = self._stock.own()
            return sum(segment.pending for segment in own if segment.holder is None)

    @property
    def is_safe(self) -> bool:
        """Whether what is recorded now survives a kill of the process."""
        self.open()
        return self._stock.active.is_safe

    def mark(self) -> Point:
        """Return a point that has been reached when all that is there now has its result."""
        with self._lock:
            return self._stock.mark()

    def is_reached(self, point: Point) -> bool:
        """Whether everything before a point has its result."""
        with self._lock:
            return self._stock.is_reached(point)

    def close(self) -> None:
        """Take no more; leave what is pending to whoever adopts it."""
        self.save()
        stock = self._stock
        with stock.lock:
            left = stock.close()
            lost = sum(segment.pending for segment in left if segment.holder is None)
            stock.dropped += lost
        for segment in left:
            if segment.pending:
                segment.release()
            else:
                segment.remove()
        self._supply.clear()
