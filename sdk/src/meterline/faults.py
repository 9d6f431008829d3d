"""What happens to a fault of our own: it is logged and goes no further.

A provider's call is never broken by metering. A fault is named by its type alone, because the text
of an exception may quote what a customer wrote.
"""

import logging

_log = logging.getLogger("meterline")
_told: set[tuple[str, str]] = set()


def report_fault(place: str, fault: Exception) -> None:
    """Log a fault once as a warning for each place and type, and afterwards for debugging only."""
    kind = type(fault).__name__
    level = logging.DEBUG if (place, kind) in _told else logging.WARNING
    _told.add((place, kind))
    _log.log(level, "metering failed in %s and the call went on without it: %s", place, kind)


def warn(message: str, *values: object) -> None:
    """Log a warning about how the hooks are used."""
    _log.warning(message, *values)
