"""How long to wait after failures in a row: twice as long each time, up to a most."""

from datetime import timedelta

_MOST_DOUBLINGS = 30


def backoff(failures: int, *, first: timedelta, most: timedelta) -> timedelta:
    """Return how long to wait after so many failures in a row, at least one."""
    return min(first * (1 << min(failures - 1, _MOST_DOUBLINGS)), most)
