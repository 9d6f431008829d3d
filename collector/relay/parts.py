"""The parts that are compared, ledger with series: what each says of a stretch of time."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from collector.relay.points import TENANT_DAY, USAGE, USAGE_COST
from ledger.measures import MEASURE_COLUMNS

Figures = tuple[float, ...]
"""Figures in the order of `FIELDS`; all are whole but the costs of a tenant's day."""

FIELDS: Mapping[str, tuple[str, ...]] = {
    USAGE: ("points", "count", *MEASURE_COLUMNS),
    USAGE_COST: ("points", "count", *MEASURE_COLUMNS, "cost_nanos", "unpriced"),
    TENANT_DAY: (
        "points",
        "cost",
        "ai_cost",
        "twilio_cost",
        "emails",
        "unpriced",
        "ai_unpriced",
        "twilio_unpriced",
    ),
}
"""What is compared of each measurement."""

WINDOW_SECONDS = {USAGE: 86_400, USAGE_COST: 900, TENANT_DAY: 1}
"""How long a part is. Raw usage is compared by days of UTC, which all versions of InfluxDB cut
alike; the figures of days by the start of the day, which is at a quarter of an hour nearly always.
Any division of time is good to compare by, as long as both sides have the same."""


class Key(NamedTuple):
    """A part: of a measurement, from `start` on (seconds since 1970)."""

    measurement: str
    start: int

    def __str__(self) -> str:
        """Return it as people read it."""
        start = datetime.fromtimestamp(self.start, UTC)
        return f"{self.measurement} of {start:%Y-%m-%d}" + (
            "" if self.measurement == USAGE else f" (from {start:%H:%M} UTC)"
        )


class Part(NamedTuple):
    """What the ledger says of a part; `waiting` points of it are not shipped, or quarantined."""

    figures: Figures
    waiting: int = 0


def key_at(measurement: str, instant: datetime) -> Key:
    """Return the part of a measurement that an instant belongs to."""
    seconds = int(instant.timestamp())
    return Key(measurement, seconds - seconds % WINDOW_SECONDS[measurement])


def differ(key: Key, part: Part | None, found: Figures | None) -> Iterator[tuple[str, str, str]]:
    """Yield field, expected and found of what is not as it has to be; nothing where all is well.

    Points that wait may be there or not: of raw usage then only their number is compared, of
    figures, which may have changed in every way, nothing.
    """
    names = FIELDS[key.measurement]
    expected = (0,) * len(names) if part is None else part.figures
    have = (0,) * len(names) if found is None else found
    if part is not None and part.waiting:
        if key.measurement == USAGE and not expected[0] - part.waiting <= have[0] <= expected[0]:
            yield names[0], f"{expected[0] - part.waiting} to {expected[0]}", str(have[0])
        return
    for name, wanted, there in zip(names, expected, have, strict=True):
        if wanted != there:
            yield name, str(wanted), str(there)
