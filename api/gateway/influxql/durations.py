"""Durations as InfluxQL writes them: `90m`, `1h30m`."""

import re

from api.gateway.influxql.errors import refuse

_NANOS = {
    "w": 604_800_000_000_000,
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "u": 1_000,
    "ns": 1,
}
"""Nanoseconds of each unit, the longest first."""

_PART = re.compile(r"([0-9]+)(ns|ms|[uµμsmhdw])", re.ASCII)
_MICRO = str.maketrans("µμ", "uu")
_MOST = 1 << 62


def read_duration(text: str) -> int:
    """Return the nanoseconds of a duration, of which the grammar has seen that it is one.

    Raises:
        InvalidError: `query_refused`; it is longer than InfluxDB can count.
    """
    nanos = sum(int(count) * _NANOS[unit.translate(_MICRO)] for count, unit in _PART.findall(text))
    if nanos >= _MOST:
        raise refuse("a duration is shorter than 146 years")
    return nanos


def write_duration(nanos: int) -> str:
    """Return a duration in the longest unit that divides it."""
    unit = next(name for name, size in _NANOS.items() if nanos % size == 0)
    return f"{nanos // _NANOS[unit]}{unit}" if nanos else "0s"
