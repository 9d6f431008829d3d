"""What a run of the relay did."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from collector.relay.parcels import Delivered, Parcel
from ledger.errors import MeterlineError
from ledger.tenant import TenantId


class Failure(NamedTuple):
    """A tenant whose points could not be made, or are held back; what it has stays due."""

    tenant_id: TenantId
    reason: str


@dataclass
class Shipped:
    """What a run of the relay did.

    Attributes:
        points: how many arrived.
        refused: how many InfluxDB refused; they are quarantined.
        expired: how many were too old for their bucket.
        busy: how many tenants another relay has leased.
        is_more: it took turns, and more of some tenant is due.
        failures: tenants that could not be read, and what is held back of tenants.
        error: what stopped the run, or None.
    """

    points: int = 0
    refused: int = 0
    expired: int = 0
    busy: int = 0
    is_more: bool = False
    failures: list[Failure] = field(default_factory=list)
    error: MeterlineError | None = None

    @property
    def handled(self) -> int:
        """How many points need no more shipping."""
        return self.points + self.refused + self.expired

    def add(
        self, parcels: Iterable[Parcel], delivered: Delivered, *, held: AbstractSet[str]
    ) -> None:
        """Count parcels of a tenant that are marked, all but the measurements that are held."""
        refused = sum(each.point.measurement not in held for each in delivered.refusals)
        sent = sum(point.measurement not in held for each in parcels for point in each.points)
        skipped = sum(each.expired for each in parcels if each.measurements - held)
        self.points += sent - refused - delivered.expired
        self.refused += refused
        self.expired += skipped + delivered.expired

    def put_aside(self, tenant_id: TenantId, reasons: Mapping[str, str]) -> None:
        """Tell measurements of a tenant that are held back, and why."""
        self.failures += [
            Failure(tenant_id, f"{measurement} is held back: {reason}")
            for measurement, reason in sorted(reasons.items())
        ]
