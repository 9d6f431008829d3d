"""Parcels that go out together, and what became of them."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from collector.influx.target import Target
from collector.relay.delivery import Delivery
from collector.relay.parcels import Delivered, Parcel, Refusal
from collector.relay.points import USAGE, Point
from ledger.errors import ConflictError, MeterlineError
from ledger.tenant import TenantId


@dataclass
class Cargo:
    """Parcels of any number of tenants, about as many points as one call takes.

    Attributes:
        points: how many there are in all parcels.
        last: tenants of which nothing comes after it.
    """

    parcels: dict[TenantId, list[Parcel]] = field(default_factory=dict)
    points: int = 0
    last: set[TenantId] = field(default_factory=set)

    def add(self, parcel: Parcel) -> None:
        """Put one more parcel in."""
        self.parcels.setdefault(parcel.tenant_id, []).append(parcel)
        self.points += len(parcel.points)

    def __bool__(self) -> bool:
        return bool(self.parcels or self.last)


@dataclass
class Posted:
    """What became of the points of each tenant: `refused` too many; or what stopped all of it."""

    delivered: dict[TenantId, Delivered] = field(default_factory=dict)
    refused: dict[TenantId, MeterlineError] = field(default_factory=dict)
    error: MeterlineError | None = None


class Posting:
    """Sends a cargo in a thread of its own, from now on.

    The thread keeps no process alive: what it is in the midst of is sent again by the next relay.
    """

    def __init__(self, cargo: Cargo, post: Callable[[Cargo], Posted]) -> None:
        self.cargo = cargo
        self._post = post
        self._outcome: Posted | Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self) -> Posted:
        """Wait until it is sent, or cannot be.

        Raises:
            UnavailableError: `ledger_unavailable`.
        """
        self._thread.join()
        if isinstance(self._outcome, Posted):
            return self._outcome
        raise self._outcome or AssertionError("a thread that ended has an outcome")

    def _run(self) -> None:
        try:
            self._outcome = self._post(self.cargo)
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            self._outcome = error


def post_cargo(cargo: Cargo, delivery: Delivery, target: Target) -> Posted:
    """Send all points of a cargo, each to its bucket.

    Where too many are refused, each tenant is sent apart, so that no other waits for it.

    Raises:
        UnavailableError: `ledger_unavailable`, where the delivery needed the ledger.
    """
    try:
        refused = _send(cargo, delivery, target)
        if refused.error is None or len(cargo.parcels) == 1:
            return refused if refused.error is None else _refuse(cargo, refused.error)
        posted = Posted()
        for tenant_id, parcels in cargo.parcels.items():
            alone = Cargo({tenant_id: parcels})
            sent = _send(alone, delivery, target)
            sent = sent if sent.error is None else _refuse(alone, sent.error)
            posted.delivered.update(sent.delivered)
            posted.refused.update(sent.refused)
    except MeterlineError as error:
        if error.code == "ledger_unavailable":
            raise
        return Posted(error=error)
    return posted


def _refuse(cargo: Cargo, error: MeterlineError) -> Posted:
    return Posted(refused=dict.fromkeys(cargo.parcels, error))


def _send(cargo: Cargo, delivery: Delivery, target: Target) -> Posted:
    """Send a cargo; its error, if any, is that too many points are refused."""
    posted = Posted({tenant_id: Delivered() for tenant_id in cargo.parcels})
    for bucket in target.buckets:
        points = [
            point
            for parcels in cargo.parcels.values()
            for parcel in parcels
            for point in parcel.points
            if bucket == (target.usage_bucket if point.measurement == USAGE else target.bucket)
        ]
        try:
            sent = delivery.send(bucket, points)
        except ConflictError as error:
            if error.code != "influx_rejects_points":
                raise
            return Posted(error=error)
        _share_out(posted, cargo, sent.refusals)
        if sent.expired:
            # The bucket does not say which they were; they are counted with the first tenant.
            next(iter(posted.delivered.values())).expired += sent.expired
    return posted


def _share_out(posted: Posted, cargo: Cargo, refusals: Iterable[Refusal]) -> None:
    """Give each tenant its refused points."""
    for refusal in refusals:
        for tenant_id, parcels in cargo.parcels.items():
            if any(_holds(parcel.points, refusal.point) for parcel in parcels):
                posted.delivered[tenant_id].refusals.append(refusal)


def _holds(points: Iterable[Point], wanted: Point) -> bool:
    return any(point is wanted for point in points)
