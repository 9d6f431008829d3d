"""The streams that are still open, so that they can be settled when the process ends.

A stream that a caller broke off and kept in a variable says nothing more by itself: its usage is
known, or can be estimated, but nobody closes it. `Meter.close()` and the exit of the interpreter
call `settle_open_streams(sink)` before the sender stops; each open stream then hands its usage to
the sink it was opened with, once, and stays usable for its caller.

Module-level, because hooks live in clients that the host owns: there is no object of ours that
knows them all. Streams are kept by weak references and leave when they are settled. A forked child
does not know its parent's streams: they are the parent's to settle.
"""

import os
from typing import Protocol
from weakref import ref

from meterline.faults import report_fault
from meterline.usage import Sink


class OpenStream(Protocol):
    """Something that owes a usage which is not handed over yet."""

    sink: Sink

    def settle(self) -> None:
        """Hand over what is owed. A second call does nothing."""

    def disown(self) -> None:
        """Owe nothing any more: another process does."""


# Reads and writes of one key, and copies of all values, are atomic, so no lock is needed: one could
# not be taken by a finaliser, nor be left in a sane state by a fork.
_open: dict[int, "ref[OpenStream]"] = {}
_generation = 0


def generation() -> int:
    """Return how often this process was forked off: what began in another is not its own."""
    return _generation


def register(stream: OpenStream) -> None:
    """Remember a stream until it is settled or gone."""
    _open[id(stream)] = ref(stream)


def unregister(stream: OpenStream) -> None:
    """Forget a stream, because it is settled or gone."""
    _open.pop(id(stream), None)


def settle_open_streams(sink: Sink) -> int:
    """Settle every open stream of this sink; return how many there were.

    To be called while the sink still takes usages, from any thread. Raises nothing.
    """
    settled = 0
    for reference in list(_open.values()):
        stream = reference()
        # Equal, not identical: a bound method is another object each time it is looked up.
        if stream is not None and stream.sink == sink:
            settled += 1
            try:
                stream.settle()
            except Exception as fault:  # noqa: BLE001 (the others must be settled too)
                report_fault("settle_open_streams", fault)
    return settled


def _disown_all() -> None:
    global _generation  # noqa: PLW0603 (a fork changes the state of the process)
    _generation += 1
    for reference in list(_open.values()):
        stream = reference()
        if stream is not None:
            stream.disown()
    _open.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_disown_all)
