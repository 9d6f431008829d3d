"""What a run of the relay did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ledger.errors import MeterlineError
from ledger.tenant import TenantId


class Failure(NamedTuple):
    """A tenant whose points could not be made; what it has stays due."""

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
        failures: tenants that could not be read.
        error: what stopped the run, or None.
    """

    points: int = 0
    refused: int = 0
    expired: int = 0
    busy: int = 0
    failures: list[Failure] = field(default_factory=list)
    error: MeterlineError | None = None

    def put_aside(self, refused: Mapping[TenantId, MeterlineError], *, of_all: int) -> None:
        """Tell tenants of which too much was refused; where it is all, that is what stopped it."""
        if self.error is None and refused and len(refused) == of_all:
            self.error = next(iter(refused.values()))
        else:
            self.failures += [Failure(name, error.message) for name, error in refused.items()]
