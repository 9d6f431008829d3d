"""What is read and sent of one tenant at a time, and what is marked when it has arrived."""

from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple
from uuid import UUID

from collector.relay.points import Point
from ledger.tenant import TenantId


class PartOfBatch(NamedTuple):
    """Events of a large batch in the order of their ids: after one, up to and with another."""

    batch_id: int
    after: str
    until: str


class EndOfBatch(NamedTuple):
    """A large batch has no events after this id: it is shipped, if all were up to it."""

    batch_id: int
    after: str


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
        measurements: of which it has all that is due of its batches or days.
        expired: how many were too old to be sent.
        batches: whole batches of raw usage.
        part: part of one batch, or its end; then there are no whole ones.
        rows: rollup rows.
        days: tenant days.
    """

    tenant_id: TenantId
    measurements: frozenset[str]
    points: list[Point]
    expired: int = 0
    batches: tuple[int, ...] = ()
    part: PartOfBatch | EndOfBatch | None = None
    rows: tuple[RowMark, ...] = ()
    days: tuple[DayMark, ...] = ()


class Refusal(NamedTuple):
    """A point that InfluxDB refused, and why."""

    point: Point
    reason: str


@dataclass
class Delivered:
    """What became of the points of a tenant.

    Attributes:
        refusals: few of them were refused.
        held: measurements most of whose points were refused, or too many to look for, and why.
        expired: how many their bucket found too old.
    """

    refusals: list[Refusal] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    expired: int = 0
