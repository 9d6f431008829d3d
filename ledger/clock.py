"""The one place that reads the clock. Everything else takes `now` as an argument."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the current instant as an aware datetime in UTC."""


def system_clock() -> datetime:
    """Return the current instant of this machine, aware, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the one place that may
