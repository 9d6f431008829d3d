"""What `meterline doctor` finds."""

from datetime import timedelta
from typing import NamedTuple

STALE_AFTER = timedelta(minutes=5)
"""From when on what waits is wrong."""


class Finding(NamedTuple):
    """One thing that was looked at. `ok` None: not wrong, but worth knowing."""

    ok: bool | None
    text: str
