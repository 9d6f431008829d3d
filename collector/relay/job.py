"""The relay: ships to InfluxDB whatever is booked, costed and not yet shipped.

No transaction is held open over a call to InfluxDB. A tenant is leased in a short one, read in
others, and what arrived is marked in one more, unless the lease was lost: whoever has it then sends
the same points again, which changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from collector.influx.buckets import Buckets
from collector.influx.errors import UncertainError
from collector.influx.target import Target
from collector.influx.transport import Transport
from collector.relay.cargo import Cargo, Posted, Posting, post_cargo, post_retries
from collector.relay.delivery import Delivery, Writes
from collector.relay.holds import hold, lift
from collector.relay.keeping import Keeper
from collector.relay.outcome import Failure, Shipped
from collector.relay.parcels import Delivered, Parcel
from collector.relay.plan import Plan, make_plan
from collector.relay.quarantine import read_retries
from collector.relay.reading import Oldest, read_parcels
from collector.relay.store import CALL_POINTS, mark_shipped
from ledger.clock import Clock
from ledger.errors import ConflictError, MeterlineError, UnavailableError
from ledger.session import TenantSession, insist, operator_session, tenant_session
from ledger.shipping import note_failure, note_recovery, read_health
from ledger.tenant import TenantId

_RETENTION_HOLDS = timedelta(minutes=10)

_MOST_PARCELS = 20
"""How much of a tenant is shipped before it is the next one's turn."""

_STOPPED = "relay_stopped"


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
        call = timedelta(seconds=target.timeout_seconds)
        self._keeper = Keeper(engine, clock=clock, call=call)
        self._oldest: tuple[datetime, Oldest] | None = None
        self._sent: Posting | None = None
        self._aside: dict[TenantId, dict[str, str]] = {}
        self._most = CALL_POINTS
        self._failures = 0
        self._is_well = True
        self._is_stopped: Callable[[], bool] = lambda: False

    def run(
        self, *, only: TenantId | None = None, is_stopped: Callable[[], bool] = lambda: False
    ) -> Shipped:
        """Ship everything that is due now. What goes wrong with InfluxDB ends the run.

        Args:
            only: ship this tenant alone.
            is_stopped: is asked between calls; where it says so the run ends early.

        Raises:
            UnavailableError: `ledger_unavailable`.
        """
        self._is_stopped = is_stopped
        shipped = Shipped()
        with operator_session(self._engine) as session:
            plan = make_plan(session, only=only, now=self._clock())
            known = read_health(session)
        # Whichever relay failed last, and whether it still runs.
        self._is_well = known is None or known.recovered_at is not None
        if plan.due or plan.retries:
            self._ship(plan, shipped)
            self._note_health(shipped)
        for each in plan.waiting:
            shipped.put_aside(each.tenant_id, {each.measurement: each.reason})
        return shipped

    def _ship(self, plan: Plan, shipped: Shipped) -> None:
        try:
            oldest = self._read_oldest()
        except MeterlineError as error:
            shipped.error = error
            return
        self._aside = {}
        try:
            self._retry(plan, shipped)
            if shipped.error is None:
                self._send(self._load(plan, oldest, shipped), plan, shipped)
        except Exception:
            self._await_landing()
            raise
        for tenant_id, reasons in self._aside.items():
            shipped.put_aside(tenant_id, reasons)
        self._keeper.let_go(shipped.error)
        if shipped.error is not None and shipped.error.code == _STOPPED:
            shipped.error = None

    def _retry(self, plan: Plan, shipped: Shipped) -> None:
        """Try refused points again, before what may be newer of them."""
        for tenant_id, most in plan.retries.items():
            if self._is_stopped() or shipped.error is not None:
                return
            if self._keeper.take(tenant_id):
                with tenant_session(self._engine, tenant_id) as session:
                    points = read_retries(session, now=self._clock(), most=most)
                parcel = Parcel(tenant_id=tenant_id, measurements=frozenset(), points=points)
                cargo = Cargo({tenant_id: [parcel]}, len(points), {tenant_id})
                self._sent = Posting(cargo, self._post_retries)
                self._finish(cargo, self._sent.wait(), plan, shipped)

    def _send(self, cargoes: Iterable[Cargo], plan: Plan, shipped: Shipped) -> None:
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
                self._finish(before.cargo, posted, plan, shipped)
        if sent is not None:
            self._finish(sent.cargo, sent.wait(), plan, shipped)

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
            self._keeper.abandon()

    def _load(self, plan: Plan, oldest: Oldest, shipped: Shipped) -> Iterator[Cargo]:
        cargo = Cargo()
        for tenant_id, measurements in plan.due.items():
            if self._is_stopped():
                break
            if not self._keeper.take(tenant_id):
                shipped.busy += 1
                continue
            parcels = self._read(tenant_id, measurements, oldest, shipped)
            for number, parcel in enumerate(islice(parcels, _MOST_PARCELS), start=1):
                if parcel.measurements <= self._aside.get(tenant_id, {}).keys():
                    continue
                cargo.add(parcel)
                shipped.is_more |= number == _MOST_PARCELS
                if cargo.points >= CALL_POINTS:
                    yield cargo
                    cargo = Cargo()
                if self._is_stopped():
                    break
            cargo.last.add(tenant_id)
        if cargo:
            yield cargo

    def _read(
        self, tenant_id: TenantId, of: frozenset[str], oldest: Oldest, shipped: Shipped
    ) -> Iterator[Parcel]:
        try:
            yield from read_parcels(self._engine, tenant_id, oldest, of=of)
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the next tenant is not to wait
            shipped.failures.append(Failure(tenant_id, f"{type(error).__name__}: {error}"))

    def _post(self, cargo: Cargo) -> Posted:
        """Send a cargo; runs in a thread of its own."""
        delivery = self._deliver(cargo)
        try:
            return post_cargo(cargo, delivery, self._target)
        finally:
            self._most = delivery.most

    def _post_retries(self, cargo: Cargo) -> Posted:
        return post_retries(cargo, self._deliver(cargo), self._target)

    def _deliver(self, cargo: Cargo) -> Delivery:
        def keep_leases() -> None:
            if self._is_stopped():
                raise ConflictError("relay_stopped", "the relay is told to stop")
            for tenant_id in cargo.parcels:
                self._keeper.keep(tenant_id)

        return Delivery(self._writer, before_call=keep_leases, most=self._most)

    def _finish(self, cargo: Cargo, posted: Posted, plan: Plan, shipped: Shipped) -> None:
        if posted.error is not None:
            shipped.error = posted.error
            return
        for tenant_id in {**cargo.parcels, **dict.fromkeys(cargo.last)}:
            delivered = posted.delivered.get(tenant_id, Delivered())
            if delivered.held:
                self._aside.setdefault(tenant_id, {}).update(delivered.held)
            parcels = cargo.parcels.get(tenant_id, [])
            is_last = tenant_id in cargo.last
            if self._mark(tenant_id, parcels, delivered, plan, is_last=is_last):
                shipped.add(parcels, delivered, held=self._aside.get(tenant_id, {}).keys())
            elif parcels:
                shipped.busy += 1  # it has been taken over, and may be due still

    def _mark(
        self,
        tenant_id: TenantId,
        parcels: list[Parcel],
        delivered: Delivered,
        plan: Plan,
        *,
        is_last: bool,
    ) -> bool:
        """Mark what arrived of a tenant; tell whether its lease still is ours."""
        now = self._clock()

        def mark() -> tuple[bool, datetime | None]:
            with tenant_session(self._engine, tenant_id, write=True) as session:
                is_ours, until = self._keeper.prolong(session, is_last=is_last, now=now)
                if is_ours and parcels:
                    self._write_marks(session, parcels, delivered, plan, now)
            return is_ours, until

        is_ours, until = insist(mark)
        self._keeper.note(tenant_id, until if is_ours else None)
        return is_ours

    def _write_marks(
        self,
        session: TenantSession,
        parcels: list[Parcel],
        delivered: Delivered,
        plan: Plan,
        now: datetime,
    ) -> None:
        # Of what is held back nothing is marked in this run, also where later points arrived:
        # what was refused before them is due still.
        held = self._aside.get(session.tenant_id, {}).keys()
        mark_shipped(session, parcels, delivered, held=held, now=now)
        if delivered.held:
            hold(session, delivered.held, now=now)
        arrived = frozenset().union(*(parcel.measurements for parcel in parcels)) - held
        lifted = {each for each in arrived if (session.tenant_id, each) in plan.holds}
        if lifted:
            lift(session, lifted)

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
