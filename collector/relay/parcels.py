"""What is read and sent of one tenant at a time, and what is marked when it has arrived."""

from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple
from uuid import UUID

from collector.relay.points import Point
from ledger.tenant import TenantId


class PartOfBatch(NamedTuple):
    """Events of a large batch, in the order of their ids, up to and with this one."""

    batch_id: int
    until: str


class RowMark(NamedTuple):
    """A rollup row at the revision that was read."""

    date: date
    rollup_id: UUID
    revision: int


class DayMark(NamedTuple):
    """A tenant's day at the revision that was read."""

    date: date
    revision: int


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """Points of one tenant, and what has been shipped once they are there.

    Attributes:
        expired: how many were too old to be sent.
        batches: whole batches of raw usage.
        part: part of one batch; then there are no whole ones.
        rows: rollup rows.
        days: tenant days.
    """

    tenant_id: TenantId
    points: list[Point]
    expired: int = 0
    batches: tuple[int, ...] = ()
    part: PartOfBatch | None = None
    rows: tuple[RowMark, ...] = ()
    days: tuple[DayMark, ...] = ()


class Refusal(NamedTuple):
    """A point that InfluxDB refused, and why."""

    point: Point
    reason: str


@dataclass
class Delivered:
    """What became of the points of a parcel."""

    refusals: list[Refusal] = field(default_factory=list)
    expired: int = 0
