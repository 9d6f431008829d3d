"""Makes, adopts and removes segments, on background threads: all that looks at the folder.

What is to be done is decided under the lock of the stock; files are touched after it was given up.
"""

from queue import SimpleQueue

from meterline.delivery.segment import Segment
from meterline.delivery.shelf import Adopted, Shelf, create_in_memory
from meterline.delivery.stock import Stock
from meterline.delivery.terms import Wake, WhenFull
from meterline.notices import Notice, Notices

_PATIENCE = 5.0
_PIECE_BYTES = 64 * 1024
"""Of a segment in memory: taken from the heap within microseconds, and room for eight events."""


class Supply:
    """Gives a stock what it needs.

    Attributes:
        keeper: what wakes the thread that calls `provide`.
    """

    def __init__(self, shelf: Shelf, stock: Stock, when_full: WhenFull, notices: Notices) -> None:
        self.keeper: SimpleQueue[Wake] = SimpleQueue()
        self._shelf = shelf
        self._stock = stock
        self._when_full = when_full
        self._notices = notices

    # On any thread, under the lock; in memory alone.

    def create_piece(self) -> Segment | None:
        """Return a segment in memory, if there is room or room may be made for it."""
        size = piece_bytes(self._shelf)
        return create_in_memory(size) if self.make_room(size) else None

    def make_room(self, size: int) -> bool:
        """Drop what is oldest until there is room, where that is asked for."""
        while not self._stock.has_room(size):
            if self._when_full is WhenFull.DROP_NEWEST:
                return False
            dropped = self._stock.take_oldest()
            if dropped is None:
                return False
            self._stock.dropped += dropped.pending
            self._notices.note(Notice.FULL)
        return True

    def wake(self) -> None:
        """Wake the keeper, if it has not been yet."""
        if self.keeper.empty():
            self.keeper.put(Wake.DUE)

    # On background threads.

    def provide(self) -> None:
        """See to it that there is a spare segment and that what is recorded survives a kill."""
        self.clear()
        self._measure()
        stock = self._stock
        with stock.lock:
            if stock.is_closed:
                return
            active, spare = stock.active, stock.spare
        if spare is None or self._is_exposed(spare):
            spare = self._renew_spare(spare)
        if spare is not None and self._is_exposed(active):
            with stock.lock:
                if stock.active is active and stock.spare is spare:
                    stock.spare = None
                    stock.renew_active(spare)
                    self.wake()
        if self.save():
            self.wake()
        self.clear()

    def _is_exposed(self, segment: Segment) -> bool:
        """Whether a segment dies with the process though there is a folder for it."""
        return self._shelf.is_lasting and not segment.is_safe

    def _renew_spare(self, useless: Segment | None) -> Segment | None:
        """Put a new spare segment in the place of none, or of one that is not safe."""
        made = self.create_within_limit()
        stock = self._stock
        with stock.lock:
            is_wanted = not stock.is_closed and stock.spare is useless
            if is_wanted:
                stock.spare = made
            if is_wanted and useless is not None:
                stock.doom(useless)
            elif not is_wanted and made is not None:
                stock.doom(made)
            return stock.spare

    def save(self) -> bool:
        """Copy sealed segments in memory to one file; tell whether there may be more to copy."""
        stock = self._stock
        if not self._shelf.is_lasting:
            return False
        with stock.lock:
            exposed = stock.exposed()
            size = 0
            for count, segment in enumerate(exposed):
                if size + segment.size > self._shelf.segment_bytes:
                    exposed = exposed[:count]
                    break
                size += segment.size
            more = self._shelf.segment_bytes - size
            if not exposed or not stock.has_room(more):
                return False
        file = self.create(_PATIENCE)
        if file is None:
            return False
        with stock.lock:
            stock.begin(file)
        for segment in exposed:
            with stock.lock:  # one by one: each takes microseconds
                if segment in stock.exposed() and file.take_over(segment):
                    stock.replace(segment, file)
        if file.count:
            return True
        with stock.lock:
            stock.doom(file)
        return False

    def adopt(self, *, most: int) -> Adopted:
        """Take over what dead processes left, as long as there are not `most` segments to send."""
        stock = self._stock
        adopted = self._shelf.adopt(most=max(0, most - len(stock.sealed)))
        with stock.lock:
            is_late = stock.is_closed
            if not is_late:
                stock.sealed[:0] = map(stock.begin, adopted.segments)
        if is_late:
            for segment in adopted.segments:
                segment.release()
            return Adopted()
        return adopted

    def create_within_limit(self) -> Segment | None:
        """Make a file; where the spool is full, make room first or make none."""
        with self._stock.lock:
            if not self.make_room(self._shelf.segment_bytes):
                return None
        return self.create(_PATIENCE)

    def create(self, patience: float) -> Segment | None:
        """Make a file, or none where the folder fails."""
        try:
            segment = self._shelf.create(patience=patience)
        except OSError as error:
            self._notices.note(Notice.NO_FOLDER, type(error).__name__)
            return None
        self._notices.over(Notice.NO_FOLDER)
        if segment.holder is not None:
            with self._stock.lock:
                self._stock.used_bytes += segment.size
        return segment

    def clear(self) -> None:
        """Remove what is doomed."""
        with self._stock.lock:
            doomed, self._stock.doomed = self._stock.doomed, []
        for segment in doomed:
            segment.remove()

    def _measure(self) -> None:
        """Look how much the files of all processes take."""
        try:
            used = self._shelf.used_bytes() or 0
        except OSError:
            used = 0
        with self._stock.lock:
            doomed = sum(segment.size for segment in self._stock.doomed)
            self._stock.used_bytes = used - doomed


def piece_bytes(shelf: Shelf) -> int:
    """Return the size of a segment in memory."""
    return min(_PIECE_BYTES, shelf.segment_bytes)
