"""What the spool and its threads say to each other."""

from enum import Enum, StrEnum
from typing import NamedTuple

from meterline.delivery.segment import Record, Segment


class WhenFull(StrEnum):
    """What is lost when the spool is full."""

    DROP_OLDEST = "drop-oldest"
    DROP_NEWEST = "drop-newest"


class Wake(Enum):
    """Why a background thread is woken."""

    DUE = "there is something to do"
    NOW = "somebody waits for it"


class Batch(NamedTuple):
    """Events of one segment that are sent together."""

    segment: Segment
    records: list[Record]


class Adoption(NamedTuple):
    """What was taken over from dead processes.

    Attributes:
        events: how many.
        damaged: stretches that could not be read.
        may_be_more: whether some were left for want of room.
    """

    events: int
    damaged: int
    may_be_more: bool
