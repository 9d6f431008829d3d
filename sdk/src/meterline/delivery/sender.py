"""Ships what is in the spool to the collector, again and again until each event has its result."""

import zlib
from collections import Counter
from queue import Empty
from threading import Lock
from time import monotonic
from typing import NamedTuple

from meterline.delivery.answers import (
    FUTURE_TIME,
    Fate,
    Later,
    Outcome,
    Plain,
    Settled,
    Split,
    Verdict,
    judge,
)
from meterline.delivery.backoff import delay_of
from meterline.delivery.letters import read_letter, write_letter
from meterline.delivery.segment import Record
from meterline.delivery.shelf import Shelf
from meterline.delivery.spool import Spool
from meterline.delivery.terms import Batch, Wake
from meterline.delivery.transport import Transport, UnansweredError
from meterline.notices import Notice, Notices

MOST_EVENTS = 1000
MOST_BYTES = 1024 * 1024
_GZIP_BITS = 31
_GZIP_LEVEL = 1
_FIRST_DELAY, _LONGEST_DELAY = 0.25, 30.0
_FIRST_HOLD, _LONGEST_HOLD = 1.0, 60.0


class Tally(NamedTuple):
    """What the sender has counted."""

    fates: Counter[Fate]
    failures: int
    last_failure: str
    redelivered: int
    letters_lost: int


class Sender:
    """Sends batches, one at a time; a failure as a whole is followed by a growing pause."""

    def __init__(
        self, spool: Spool, shelf: Shelf, transport: Transport, notices: Notices, interval: float
    ) -> None:
        self._spool = spool
        self._shelf = shelf
        self._transport = transport
        self._notices = notices
        self._interval = interval
        self._is_gzip = True
        from random import random  # noqa: PLC0415 - takes long, and is not left to a thread

        self._random = random
        self._start()

    def _start(self) -> None:
        self._turn = Lock()
        self._is_stopping = False
        self._asked = self._answered = 0
        self._most = MOST_EVENTS
        self._failures_in_a_row = 0
        self._resume_at = 0.0
        self._fates: Counter[Fate] = Counter()
        self._failures = self._redelivered = self._letters_lost = 0
        self._last_failure = ""

    def renew(self) -> None:
        """Start anew in a forked child."""
        self._transport.forget()
        self._start()

    def run(self) -> None:
        """Send whenever something is due, until stopped."""
        while not self._is_stopping:
            self._pause()
            try:
                self.drain()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next round is a new try
                self._notices.note(Notice.BROKEN, type(error).__name__)
                self._resume_at = monotonic() + _FIRST_DELAY
            self._notices.publish()

    def stop(self) -> None:
        """Let `run` come to its end after the request under way."""
        self._is_stopping = True
        self._spool.sender.put(Wake.NOW)

    def ask(self) -> int:
        """Ask for everything to be tried now; return a number for `has_answered`."""
        self._spool.hurry()
        self._asked += 1
        ticket = self._asked
        self._spool.sender.put(Wake.NOW)
        return ticket

    def has_answered(self, ticket: int) -> bool:
        """Whether everything was tried since it was asked for, and the collector answered."""
        return self._answered >= ticket

    def drain(self) -> None:
        """Send until nothing is due or a request fails as a whole."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            while monotonic() >= self._resume_at and not self._is_stopping:
                ticket = self._asked
                batch = self._spool.take(monotonic(), most=self._most, most_bytes=MOST_BYTES)
                if batch is None:
                    self._answered = max(self._answered, ticket)
                    return
                self._send(batch)
        finally:
            self._turn.release()

    def redeliver(self) -> int:
        """Put the dead letters back into the spool; return how many events.

        What finds no room stays among the dead letters, and so does what cannot be read. A process
        that is killed amid this leaves events in both places; the collector books them once.
        """
        letters = self._shelf.take_letters()
        try:
            read = [(line, read_letter(line)) for line in letters.lines]
            restored = self._spool.restore([event for _, event in read if event is not None])
        except BaseException:
            letters.give_back()
            raise
        unread = [line for line, event in read if event is None]
        readable = [line for line, event in read if event is not None]
        letters.done([*unread, *readable[restored:]])
        self._redelivered += restored
        return restored

    def tally(self) -> Tally:
        """Return what was counted so far."""
        return Tally(
            self._fates.copy(),
            self._failures,
            self._last_failure,
            self._redelivered,
            self._letters_lost,
        )

    def _pause(self) -> None:
        """Wait until it is time to send; somebody who waits for a flush ends a pause early."""
        until = max(self._resume_at, monotonic() + self._interval)
        while (left := until - monotonic()) > 0:
            try:
                wake = self._spool.sender.get(timeout=left)
            except Empty:
                return
            if wake is Wake.NOW:
                self._resume_at = 0.0
            if monotonic() >= self._resume_at:
                return

    def _send(self, batch: Batch) -> None:
        try:
            outcome = self._post([record.line for record in batch.records])
            self._apply(batch, outcome)
        except BaseException:
            self._spool.give_back(batch)
            raise

    def _post(self, lines: list[bytes]) -> Outcome:
        body = b"\n".join(lines)
        if self._is_gzip:
            packer = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_BITS)
            body = packer.compress(body) + packer.flush()
        try:
            answer = self._transport.post(body, is_gzip=self._is_gzip)
        except UnansweredError as error:
            return Later(str(error))
        return judge(answer.status, answer.body, count=len(lines), retry_after=answer.retry_after)

    def _apply(self, batch: Batch, outcome: Outcome) -> None:
        match outcome:
            case Settled(verdicts):
                self._most = min(MOST_EVENTS, self._most * 2)
                self._failures_in_a_row = 0
                self._settle(batch, list(verdicts))
                self._notices.over(Notice.UNDELIVERED)
            case Plain() if self._is_gzip:
                self._is_gzip = False
                self._spool.give_back(batch)
            case Plain(reason):
                self._fail(batch, reason, 0)
            case Split(verdict, reason) if len(batch.records) == 1:
                if verdict is None:
                    self._fail(batch, reason, 0)
                else:
                    self._settle(batch, [verdict])
            case Split():
                self._most = max(1, len(batch.records) // 2)
                self._spool.give_back(batch)
            case Later(reason, retry_after):
                self._fail(batch, reason, retry_after)

    def _fail(self, batch: Batch, reason: str, retry_after: float) -> None:
        self._spool.give_back(batch)
        self._failures += 1
        self._failures_in_a_row += 1
        self._last_failure = reason
        self._notices.note(Notice.UNDELIVERED, reason)
        pause = self._delay(self._failures_in_a_row, _FIRST_DELAY, _LONGEST_DELAY)
        self._resume_at = monotonic() + max(pause, retry_after)

    def _settle(self, batch: Batch, verdicts: list[Verdict]) -> None:
        dead = [
            (record, verdict)
            for record, verdict in zip(batch.records, verdicts, strict=True)
            if verdict.fate is Fate.DEAD
        ]
        are_buried = self._bury(dead)
        done: list[Record] = []
        for record, verdict in zip(batch.records, verdicts, strict=True):
            is_held = verdict.fate is Fate.HELD
            is_dead = verdict.fate is Fate.DEAD
            if self._hold(batch, record, verdict) if is_held else are_buried or not is_dead:
                done.append(record)
                if not is_held:
                    self._fates[verdict.fate] += 1
        if len(done) < len(batch.records):
            batch.segment.refusals += 1
            pause = self._delay(batch.segment.refusals, _FIRST_HOLD, _LONGEST_HOLD)
            batch.segment.retry_at = monotonic() + pause
        self._spool.settle(batch, done)

    def _hold(self, batch: Batch, record: Record, verdict: Verdict) -> bool:
        """Put an event apart that is taken later; tell whether it is now elsewhere."""
        self._notices.note(Notice.AHEAD if verdict.code == FUTURE_TIME else Notice.HELD)
        if batch.segment.is_parked:
            return False
        retry_at = monotonic() + _FIRST_HOLD
        return self._spool.park(record.line, retry_at=retry_at, began=batch.segment.began)

    def _bury(self, dead: list[tuple[Record, Verdict]]) -> bool:
        """Write dead letters; tell whether the events may go."""
        if not dead:
            return True
        self._notices.note(Notice.DEAD, dead[0][1].code)
        letters = [write_letter(record.line, verdict) for record, verdict in dead]
        try:
            kept = self._shelf.add_letters(letters, max_bytes=self._spool.max_bytes)
        except OSError:
            return False
        if kept < len(letters):
            self._letters_lost += len(letters) - kept
            self._notices.note(Notice.LETTERS_FULL)
        return True

    def _delay(self, failures: int, first: float, longest: float) -> float:
        chance = self._random()
        return delay_of(failures, first=first, longest=longest, chance=chance)
