"""Sends points, and finds the ones that InfluxDB refuses among those that it takes."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from collector.influx.errors import RejectedError, TooLargeError
from collector.relay.parcels import Refusal
from collector.relay.points import Point
from collector.relay.store import CALL_POINTS
from ledger.errors import ConflictError, UnavailableError

MOST_REFUSALS = 20
"""More refused points in one call are no poison in the usage but a fault of the whole."""


class Writes(Protocol):
    """What a delivery writes to."""

    def write(self, bucket: str, body: bytes) -> int:
        """Write lines; return how many were too old for the bucket."""


class Sent(NamedTuple):
    """What became of points: those that were refused, and how many the bucket found too old."""

    refusals: list[Refusal]
    expired: int


class Delivery:
    """Sends points in calls of bearable size; sending again is harmless, so it halves and retries.

    Args:
        writer: writes to InfluxDB.
        before_call: is called before each call, and may stop it by raising.
        most: points of one call.

    Attributes:
        most: the same, less where calls were found too large.
    """

    def __init__(
        self, writer: Writes, *, before_call: Callable[[], None], most: int = CALL_POINTS
    ) -> None:
        self._writer = writer
        self._before_call = before_call
        self.most = most

    def send(self, bucket: str, points: Sequence[Point]) -> Sent:
        """Send points to a bucket.

        Raises:
            ConflictError: `influx_rejects_points`, where too many are refused.
            UnavailableError: `influx_unavailable`, also where not even one point is small enough.
            MeterlineError: see `Writer.write`.
        """
        sent = Sent([], 0)
        start = 0
        while start < len(points):
            part = points[start : start + self.most]
            try:
                refusals: list[Refusal] = []
                expired = self._send(bucket, part, refusals)
            except TooLargeError as error:
                self._shrink(len(part), error)
                continue
            sent = Sent(sent.refusals + refusals, sent.expired + expired)
            start += len(part)
        return sent

    def _send(self, bucket: str, points: Sequence[Point], refusals: list[Refusal]) -> int:
        """Send one call; halve it where lines in it are bad, until those are alone."""
        self._before_call()
        try:
            return self._writer.write(bucket, _to_body(points))
        except RejectedError as error:
            if len(points) == 1:
                refusals.append(Refusal(points[0], str(error)))
                _check_refusals(refusals)
                return 0
        middle = len(points) // 2
        return sum(
            self._send(bucket, half, refusals) for half in (points[:middle], points[middle:])
        )

    def _shrink(self, tried: int, error: TooLargeError) -> None:
        if tried == 1:
            raise UnavailableError(
                "influx_unavailable",
                f"InfluxDB, or a proxy before it, finds one point too large: {error}",
            ) from error
        self.most = tried // 2


def _to_body(points: Iterable[Point]) -> bytes:
    return "\n".join([point.line for point in points]).encode()


def _check_refusals(refusals: Sequence[Refusal]) -> None:
    if len(refusals) > MOST_REFUSALS:
        raise ConflictError(
            "influx_rejects_points",
            f"InfluxDB refuses more than {MOST_REFUSALS} points of one call, so none is put aside;"
            f" the first: {refusals[0].reason}",
        )
