"""Takes usages from any thread of a process and gets each to the collector.

Two daemon threads, one that keeps segments ready and one that sends, are started with the first
usage of a process and again with the first in a forked child.
"""

import _thread
import atexit
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread
from time import monotonic, sleep
from weakref import WeakMethod

from meterline.delivery.answers import Fate
from meterline.delivery.event import encode_usage
from meterline.delivery.keeper import Keeper
from meterline.delivery.sender import Sender
from meterline.delivery.shelf import Shelf
from meterline.delivery.spool import Spool
from meterline.delivery.terms import WhenFull
from meterline.delivery.transport import Transport
from meterline.notices import Notice, Notices
from meterline.stats import Stats
from meterline.usage import Usage

_POLL_SECONDS = 0.005
_JOIN_SECONDS = 1.0


class Delivery:
    """A spool with the threads that empty it."""

    def __init__(  # noqa: PLR0913 - settings, each named
        self,
        shelf: Shelf,
        transport: Transport,
        *,
        max_bytes: int,
        when_full: WhenFull,
        interval: float,
        exit_timeout: float,
    ) -> None:
        self.notices = Notices()
        self._shelf = shelf
        self._transport = transport
        self._exit_timeout = exit_timeout
        self._spool = Spool(shelf, max_bytes=max_bytes, when_full=when_full, notices=self.notices)
        self._sender = Sender(self._spool, shelf, transport, self.notices, interval)
        self._keeper = Keeper(self._spool, transport, self.notices)
        self._is_closed = False
        self._start()
        if not shelf.is_lasting:
            self.notices.note(Notice.IN_MEMORY)
        self.notices.publish()
        self._at_exit = _weakly(self._leave)
        atexit.register(self._at_exit)
        os.register_at_fork(
            before=_weakly(shelf.before_fork),
            after_in_parent=_weakly(shelf.after_fork),
            after_in_child=_weakly(self._renew),
        )

    def _start(self) -> None:
        self._counting = Lock()
        self._launching = Lock()
        self._is_launched = False
        self._is_alone = False
        """No thread could be started: there are too many, or the interpreter is about to end."""
        self._threads: tuple[Thread, ...] = ()
        self._refused = self._withheld = 0

    # On the caller's thread: no exception, nothing that waits for others, and no I/O but for the
    # first file of a forked child.

    def take(self, usage: Usage) -> None:
        """Take a usage."""
        try:
            if not self._is_launched:
                self._spool.open()
            try:
                encoded = encode_usage(usage)
            except Exception as error:  # noqa: BLE001 - a usage may hold anything
                self._refused += 1
                self.notices.note(Notice.REFUSED, f"{type(error).__name__}")
                return
            self._spool.put(encoded.line)
            if encoded.withheld:
                self._withheld += encoded.withheld
                self.notices.note(Notice.WITHHELD)
        except Exception as error:  # noqa: BLE001 - the application is never disturbed
            self.notices.note(Notice.BROKEN, type(error).__name__)
        finally:
            if not self._is_launched:
                self._launch()

    def _launch(self) -> None:
        """Start the threads, by a thread: to start one waits until it runs."""
        if not self._launching.acquire(blocking=False):
            return
        self._is_launched = True
        try:
            _thread.start_new_thread(self._start_threads, ())
        except RuntimeError:
            self._is_alone = True
        with suppress(Exception):
            self._flush_with_worker()

    def _flush_with_worker(self) -> None:
        """See to a flush at the end of a worker of `multiprocessing`, which runs no `atexit`."""
        process = sys.modules.get("multiprocessing.process")
        util = sys.modules.get("multiprocessing.util")
        if process is not None and util is not None and process.parent_process() is not None:
            util.Finalize(None, self._at_exit, exitpriority=0)

    # On threads of our own.

    def _start_threads(self) -> None:
        if self._is_closed:
            self.notices.publish()
            return
        threads = (
            Thread(target=self._keeper.run, name="meterline-keeper", daemon=True),
            Thread(target=self._sender.run, name="meterline-sender", daemon=True),
        )
        try:
            for thread in threads:
                thread.start()
        except RuntimeError:
            self._is_alone = True
        self._threads = threads

    # By those who look after the meter.

    def flush(self, timeout: float) -> bool:
        """Wait until everything that was taken before has its result; tell whether it has."""
        deadline = monotonic() + timeout
        if self._is_closed:
            return self._spool.pending() == 0
        if not self._is_launched:
            self._launch()
        point = self._spool.mark()
        ticket = self._sender.ask()
        while not self._spool.is_reached(point):
            if self._sender.has_answered(ticket):
                return self._spool.is_reached(point)
            if monotonic() >= deadline:
                return False
            if self._is_alone:
                self._sender.drain()
            sleep(_POLL_SECONDS)
        return True

    def tell_unhooked(self, client: object, error: Exception) -> None:
        """Log that a client goes unmetered; never what the error says, which may quote anything."""
        what = f"{type(client).__name__}: {type(error).__name__}"
        self.notices.tell(Notice.UNHOOKED, what)

    def redeliver(self) -> int:
        """Put the dead letters back; return how many."""
        return 0 if self._is_closed else self._sender.redeliver()

    def close(self, timeout: float) -> bool:
        """Flush, then stop; tell whether everything has its result."""
        if self._is_closed:
            return True
        self._settle_streams()
        is_flushed = self.flush(timeout)
        self._is_closed = True
        self._keeper.stop()
        self._sender.stop()
        for thread in self._threads:
            with suppress(RuntimeError):  # it was never started
                thread.join(_JOIN_SECONDS)
        self._spool.close()
        self._transport.close()
        self.notices.publish()
        self._launching = Lock()
        self._is_launched = False  # so that what comes after the end is told once
        atexit.unregister(self._at_exit)
        return is_flushed

    def stats(self) -> Stats:
        """Return what became of the usage of this process."""
        tally = self._sender.tally()
        return Stats(
            recorded=self._spool.recorded,
            adopted=self._keeper.adopted,
            redelivered=tally.redelivered,
            stored=tally.fates[Fate.STORED],
            duplicates=tally.fates[Fate.DUPLICATE],
            dead=tally.fates[Fate.DEAD],
            dropped=self._spool.dropped,
            pending=self._spool.pending(),
            held=self._spool.held(),
            exposed=self._spool.exposed(),
            refused=self._refused,
            withheld=self._withheld,
            damaged=self._keeper.damaged,
            letters_lost=tally.letters_lost,
            failures=tally.failures,
            last_failure=tally.last_failure,
            is_safe=self._spool.is_safe,
        )

    def _settle_streams(self) -> None:
        """Take what streams owe that somebody broke off and kept."""
        streams = sys.modules.get("meterline.streams")
        if streams is not None:
            streams.settle_open_streams(self.take)

    def _leave(self) -> None:
        """At the end of the interpreter: send what can be sent soon; a spool folder keeps the rest.

        The segments stay where they are, since other handlers may still record usage.
        """
        with suppress(Exception):
            self._settle_streams()
            if self._is_launched or self._spool.pending():
                self.flush(self._exit_timeout)
                self._spool.save()
            self.notices.publish()

    def _renew(self) -> None:
        """Start anew in a forked child, with segments, locks and threads of its own."""
        if self._is_closed:
            return
        with suppress(Exception):
            self._shelf.forget()
            self._start()
            self._spool.renew()
            self._sender.renew()
            self._keeper.renew()


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Return a call of a method that does not keep its object alive."""
    reference = WeakMethod(method)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive()

    return call
