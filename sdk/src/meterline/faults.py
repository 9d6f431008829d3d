"""What happens to a fault of our own: it is logged and goes no further.

A provider's call is never broken by metering. A fault is named by its type alone, because the text
of an exception may quote what a customer wrote. It is logged on a thread of its own, because a
handler of the host may be slow, and once for each place and type.
"""

import _thread
from contextlib import suppress

_told: set[tuple[str, str]] = set()


def report_fault(place: str, fault: Exception) -> None:
    """Log a fault, the first time that it happens there."""
    kind = type(fault).__name__
    if (place, kind) in _told:
        return
    _told.add((place, kind))
    with suppress(RuntimeError):  # no thread can be started any more
        _thread.start_new_thread(
            warn, ("metering failed in %s and the call went on without it: %s", place, kind)
        )


def warn(message: str, *values: object) -> None:
    """Log a warning; not on the thread of a call."""
    import logging  # noqa: PLC0415 (the larger part of an import, and rarely needed)

    with suppress(Exception):  # a handler of the host may do anything
        logging.getLogger("meterline").warning(message, *values)
