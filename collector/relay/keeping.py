"""Keeps the leases of one relay: takes them, prolongs them in time, and gives them back."""

from datetime import datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa

from collector.influx.errors import UncertainError
from collector.relay.leases import Leases
from ledger.clock import Clock
from ledger.errors import ConflictError, MeterlineError
from ledger.session import TenantSession
from ledger.tenant import TenantId

_LEASE_CALLS = 4
"""How many calls that take as long as they may a lease lasts. It is prolonged when two are left, so
that a call that nobody waits for any more has that time to come to its end."""


class Keeper:
    """Keeps the leases of one relay.

    Args:
        engine: of the ledger.
        clock: for their ends.
        call: how long a call to InfluxDB may take.
    """

    def __init__(self, engine: sa.Engine, *, clock: Clock, call: timedelta) -> None:
        self._engine = engine
        self._clock = clock
        self._call = call
        self._leases = Leases(engine, owner=uuid4().hex)
        self._held: dict[TenantId, datetime] = {}

    def take(self, tenant_id: TenantId) -> bool:
        """Lease a tenant, or prolong its lease; tell whether it is ours.

        Raises:
            UnavailableError: `ledger_unavailable`.
        """
        now = self._clock()
        until = now + _LEASE_CALLS * self._call
        is_ours = self._leases.take(tenant_id, now=now, until=until)
        if is_ours:
            self._held[tenant_id] = until
        return is_ours

    def keep(self, tenant_id: TenantId) -> None:
        """Make sure that the lease of a tenant outlasts one more call.

        Raises:
            ConflictError: `lease_lost`.
        """
        until = self._held.get(tenant_id)
        if until is not None and until - self._clock() >= _LEASE_CALLS // 2 * self._call:
            return
        if until is None or not self.take(tenant_id):
            raise ConflictError(
                "lease_lost",
                f"another relay has taken over tenant {tenant_id}: this one took too long",
            )

    def prolong(
        self, session: TenantSession, *, is_last: bool, now: datetime
    ) -> tuple[bool, datetime | None]:
        """Prolong a lease inside a transaction that writes, or give it back with the last of it.

        Returns whether it is ours still, and until when: `note` has to hear that when the
        transaction has come to its end.
        """
        until = None if is_last else now + _LEASE_CALLS * self._call
        return self._leases.prolong(session, until=until), until

    def note(self, tenant_id: TenantId, until: datetime | None) -> None:
        """Note until when a tenant is leased; None: no more."""
        if until is None:
            self._held.pop(tenant_id, None)
        else:
            self._held[tenant_id] = until

    def let_go(self, error: MeterlineError | None) -> None:
        """Give back what is leased still: after an error, and of tenants that went wrong."""
        if isinstance(error, UncertainError):
            self.abandon()
            return
        for tenant_id in self._held:
            self._leases.release(tenant_id)
        self._held.clear()

    def abandon(self) -> None:
        """Leave the leases as they are: what was sent may arrive late, after newer figures.

        So nobody, not even this relay, sends for these tenants before they have ended.
        """
        self._leases = Leases(self._engine, owner=uuid4().hex)
        self._held.clear()
