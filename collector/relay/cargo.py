"""Parcels that go out together, and what became of them."""

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from collector.influx.target import Target
from collector.relay.delivery import Delivery, ManyRefusedError
from collector.relay.parcels import Delivered, Parcel
from collector.relay.points import Point, bucket_of
from ledger.errors import MeterlineError
from ledger.tenant import TenantId

MOST_REFUSALS = 100
"""Most refused points of a tenant's measurement that are looked for in one cargo."""


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
    """What became of the points of each tenant; or what stopped all of it."""

    delivered: dict[TenantId, Delivered] = field(default_factory=dict)
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

    Refused points are judged by tenant and measurement. Few of many are poison in the usage, and
    are told one by one; where it is most of them, or too many to look for, the fault is one of the
    whole, such as a field of another type: the measurement is held, and none of it is put aside.

    Raises:
        UnavailableError: `ledger_unavailable`, where the delivery needed the ledger.
    """
    posted = Posted({tenant_id: Delivered() for tenant_id in cargo.parcels})
    try:
        for bucket in target.buckets:
            _send(bucket, _group(cargo, bucket, target), delivery, posted)
    except MeterlineError as error:
        if error.code == "ledger_unavailable":
            raise
        return Posted(error=error)
    return posted


def post_retries(cargo: Cargo, delivery: Delivery, target: Target) -> Posted:
    """Send points that were refused before, and tell which are refused still.

    Raises:
        UnavailableError: see `post_cargo`.
    """
    posted = Posted({tenant_id: Delivered() for tenant_id in cargo.parcels})
    try:
        for bucket in target.buckets:
            for (tenant_id, _), points in _group(cargo, bucket, target).items():
                sifted = delivery.sift(bucket, points, most=len(points))
                posted.delivered[tenant_id].refusals += sifted.refusals
                posted.delivered[tenant_id].expired += sifted.expired
    except MeterlineError as error:
        if error.code == "ledger_unavailable":
            raise
        return Posted(error=error)
    return posted


_Groups = dict[tuple[TenantId, str], list[Point]]


def _group(cargo: Cargo, bucket: str, target: Target) -> _Groups:
    """Return the points for a bucket, by tenant and measurement."""
    groups: defaultdict[tuple[TenantId, str], list[Point]] = defaultdict(list)
    for tenant_id, parcels in cargo.parcels.items():
        for parcel in parcels:
            for point in parcel.points:
                groups[tenant_id, point.measurement].append(point)
    return {key: points for key, points in groups.items() if bucket == bucket_of(key[1], target)}


def _send(bucket: str, groups: _Groups, delivery: Delivery, posted: Posted) -> None:
    """Send points, and once more those of calls that were rejected, group by group."""
    sent = delivery.send(bucket, [point for points in groups.values() for point in points])
    if sent.expired:
        # The bucket does not say which they were; they are counted with the first tenant.
        next(iter(posted.delivered.values())).expired += sent.expired
    start = 0
    for (tenant_id, measurement), points in groups.items():
        suspects = [
            points[place - start]
            for call in sent.rejected
            for place in range(max(call.start, start), min(call.stop, start + len(points)))
        ]
        start += len(points)
        if not suspects:
            continue
        delivered = posted.delivered[tenant_id]
        most = min(MOST_REFUSALS, len(points) // 2)
        try:
            sifted = delivery.sift(bucket, suspects, most=most)
        except ManyRefusedError as error:
            share = f"more than {most} of {len(points)} points"
            delivered.held[measurement] = f"InfluxDB refuses {share}, such as: {error}"
            continue
        delivered.refusals += sifted.refusals
        delivered.expired += sifted.expired
