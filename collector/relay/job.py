"""The relay: ships to InfluxDB whatever is booked, costed and not yet shipped.

No transaction is held open over a call to InfluxDB. A tenant is leased in a short one, read in
others, and what arrived is marked in one more, unless the lease was lost: whoever has it then sends
the same points again, which changes nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from collector.influx.buckets import Buckets
from collector.influx.errors import UncertainError
from collector.influx.target import Target
from collector.influx.transport import Transport
from collector.relay.cargo import Cargo, Posted, Posting, post_cargo
from collector.relay.delivery import Delivery, Writes
from collector.relay.leases import Leases
from collector.relay.outcome import Failure, Shipped
from collector.relay.parcels import Parcel
from collector.relay.reading import Oldest, read_parcels
from collector.relay.store import CALL_POINTS, list_due_tenants, mark_shipped
from ledger.clock import Clock
from ledger.errors import ConflictError, MeterlineError, UnavailableError
from ledger.session import insist, operator_session, tenant_session
from ledger.shipping import note_failure, note_recovery, read_health
from ledger.tenant import TenantId

_LEASE_CALLS = 4
"""How many calls that take as long as they may a lease lasts. It is prolonged when two are left, so
that a call that nobody waits for any more has that time to come to its end."""

_RETENTION_HOLDS = timedelta(minutes=10)

_MOST_PARCELS = 20
"""How much of a tenant is shipped before it is the next one's turn."""


class Relay:
    """Ships what is due; any number of relays may, each tenant is one's at a time.

    Args:
        engine: of the ledger.
        target: where to.
        writer: writes there.
        clock: for leases and marks.
    """

    def __init__(self, engine: sa.Engine, target: Target, *, writer: Writes, clock: Clock) -> None:
        self._engine = engine
        self._target = target
        self._clock = clock
        self._writer = writer
        self._buckets = Buckets(target, Transport(target))
        self._leases = Leases(engine, owner=uuid4().hex)
        self._call = timedelta(seconds=target.timeout_seconds)
        self._held: dict[TenantId, datetime] = {}
        self._oldest: tuple[datetime, Oldest] | None = None
        self._sent: Posting | None = None
        self._aside: dict[TenantId, MeterlineError] = {}
        self._most = CALL_POINTS
        self._failures = 0
        self._is_well = True

    def run(self) -> Shipped:
        """Ship everything that is due now. What goes wrong with InfluxDB ends the run.

        Raises:
            UnavailableError: `ledger_unavailable`.
        """
        shipped = Shipped()
        with operator_session(self._engine) as session:
            tenants = list_due_tenants(session)
            known = read_health(session)
        # Whichever relay failed last, and whether it still runs.
        self._is_well = known is None or known.recovered_at is not None
        if tenants:
            self._ship(tenants, shipped)
            self._note_health(shipped)
        return shipped

    def _ship(self, tenants: Sequence[TenantId], shipped: Shipped) -> None:
        try:
            oldest = self._read_oldest()
        except MeterlineError as error:
            shipped.error = error
            return
        try:
            self._aside = {}
            self._send(self._load(tenants, oldest, shipped), shipped)
        except Exception:
            self._await_landing()
            raise
        shipped.put_aside(self._aside, of_all=len(tenants))
        self._let_go(shipped.error)

    def _send(self, cargoes: Iterable[Cargo], shipped: Shipped) -> None:
        self._sent = None
        sent: Posting | None = None
        for cargo in cargoes:
            posted = None if sent is None else sent.wait()
            if posted is not None and posted.error is not None:
                break
            # While InfluxDB takes one cargo, the one before is marked and the next one is read.
            before, sent = sent, Posting(cargo, self._post)
            self._sent = sent
            if before is not None and posted is not None:
                self._finish(before.cargo, posted, shipped)
        if sent is not None:
            self._finish(sent.cargo, sent.wait(), shipped)

    def _await_landing(self) -> None:
        """Wait for the cargo underway, so that it does not land after what the next run sends."""
        if self._sent is None:
            return
        try:
            is_certain = not isinstance(self._sent.wait().error, UncertainError)
        except UnavailableError:  # of the ledger, which was asked before the call
            is_certain = True
        except Exception:  # noqa: BLE001 - what stopped the run is told, and this is not it
            is_certain = False
        if not is_certain:
            self._abandon()

    def _load(
        self, tenants: Iterable[TenantId], oldest: Oldest, shipped: Shipped
    ) -> Iterator[Cargo]:
        cargo = Cargo()
        for tenant_id in tenants:
            if not self._take(tenant_id):
                shipped.busy += 1
                continue
            for parcel in islice(self._read(tenant_id, oldest, shipped), _MOST_PARCELS):
                if tenant_id in self._aside:
                    break
                cargo.add(parcel)
                if cargo.points >= CALL_POINTS:
                    yield cargo
                    cargo = Cargo()
            cargo.last.add(tenant_id)
        if cargo:
            yield cargo

    def _read(self, tenant_id: TenantId, oldest: Oldest, shipped: Shipped) -> Iterator[Parcel]:
        try:
            yield from read_parcels(self._engine, tenant_id, oldest)
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the next tenant is not to wait
            shipped.failures.append(Failure(tenant_id, f"{type(error).__name__}: {error}"))

    def _post(self, cargo: Cargo) -> Posted:
        """Send a cargo; runs in a thread of its own."""

        def keep_leases() -> None:
            for tenant_id in cargo.parcels:
                self._keep(tenant_id)

        delivery = Delivery(self._writer, before_call=keep_leases, most=self._most)
        try:
            return post_cargo(cargo, delivery, self._target)
        finally:
            self._most = delivery.most

    def _finish(self, cargo: Cargo, posted: Posted, shipped: Shipped) -> None:
        if posted.error is not None:
            shipped.error = posted.error
            return
        self._aside.update(posted.refused)
        for tenant_id in {**cargo.parcels, **dict.fromkeys(cargo.last)}:
            if tenant_id in posted.refused:
                continue
            is_last = tenant_id in cargo.last
            if self._mark(tenant_id, cargo, posted, is_last=is_last):
                delivered = posted.delivered[tenant_id]
                points = sum(len(parcel.points) for parcel in cargo.parcels[tenant_id])
                skipped = sum(parcel.expired for parcel in cargo.parcels[tenant_id])
                shipped.points += points - len(delivered.refusals) - delivered.expired
                shipped.refused += len(delivered.refusals)
                shipped.expired += skipped + delivered.expired
            elif tenant_id in cargo.parcels:
                shipped.busy += 1  # it has been taken over, and may be due still

    def _mark(self, tenant_id: TenantId, cargo: Cargo, posted: Posted, *, is_last: bool) -> bool:
        """Mark what arrived of a tenant; tell whether there was any and its lease still is ours."""
        now = self._clock()
        until = None if is_last else now + _LEASE_CALLS * self._call
        parcels = cargo.parcels.get(tenant_id, [])

        def mark() -> bool:
            with tenant_session(self._engine, tenant_id, write=True) as session:
                is_ours = self._leases.prolong(session, until=until)
                if is_ours and parcels:
                    mark_shipped(session, parcels, posted.delivered[tenant_id], now)
            return is_ours

        is_ours = insist(mark)
        if is_ours and until is not None:
            self._held[tenant_id] = until
        else:
            self._held.pop(tenant_id, None)
        return is_ours and bool(parcels)

    def _take(self, tenant_id: TenantId) -> bool:
        now = self._clock()
        until = now + _LEASE_CALLS * self._call
        is_ours = self._leases.take(tenant_id, now=now, until=until)
        if is_ours:
            self._held[tenant_id] = until
        return is_ours

    def _keep(self, tenant_id: TenantId) -> None:
        """Make sure that the lease of a tenant outlasts one more call.

        Raises:
            ConflictError: `lease_lost`.
        """
        until = self._held.get(tenant_id)
        if until is not None and until - self._clock() >= _LEASE_CALLS // 2 * self._call:
            return
        if until is None or not self._take(tenant_id):
            raise ConflictError(
                "lease_lost",
                f"another relay has taken over tenant {tenant_id}: this one took too long",
            )

    def _let_go(self, error: MeterlineError | None) -> None:
        """Give back what is leased still: after an error, and of tenants that went wrong."""
        if isinstance(error, UncertainError):
            self._abandon()
            return
        for tenant_id in self._held:
            self._leases.release(tenant_id)
        self._held.clear()

    def _abandon(self) -> None:
        """Leave the leases as they are: what was sent may arrive late, after newer figures.

        So nobody, not even this relay, sends for these tenants before they have ended.
        """
        self._leases = Leases(self._engine, owner=uuid4().hex)
        self._held.clear()

    def _read_oldest(self) -> Oldest:
        now = self._clock()
        if self._oldest is None or now - self._oldest[0] > _RETENTION_HOLDS:
            self._oldest = now, read_oldest(self._buckets, self._target, now=now)
        return self._oldest[1]

    def _note_health(self, shipped: Shipped) -> None:
        if shipped.error is not None:
            self._failures += 1
            now, text = self._clock(), shipped.error.message
            with suppress(IntegrityError), operator_session(self._engine, write=True) as session:
                note_failure(session, text, failures=self._failures, now=now)
        elif not shipped.busy:
            self._failures = 0
            if self._is_well:
                return
            with operator_session(self._engine, write=True) as session:
                note_recovery(session, now=self._clock())


def read_oldest(buckets: Buckets, target: Target, *, now: datetime) -> Oldest:
    """Ask from when on the buckets keep points.

    Raises:
        MeterlineError: see `Buckets.read_retention`.
    """
    flavour = buckets.find_server().flavour
    usage, figures = (
        buckets.read_retention(bucket, flavour) for bucket in (target.usage_bucket, target.bucket)
    )
    return Oldest(
        usage=None if usage is None else now - usage,
        figures=None if figures is None else now - figures,
    )
