"""Sends points, and finds the ones that InfluxDB refuses among those that it takes."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from collector.influx.errors import RejectedError, TooLargeError
from collector.relay.parcels import Refusal
from collector.relay.points import Point
from collector.relay.store import CALL_POINTS
from ledger.errors import UnavailableError


class Writes(Protocol):
    """What a delivery writes to."""

    def write(self, bucket: str, body: bytes) -> int:
        """Write lines; return how many were too old for the bucket."""


class ManyRefusedError(Exception):
    """More points are refused than may be. The text is the reason of one of them."""


class Sent(NamedTuple):
    """What became of points.

    Attributes:
        expired: how many the bucket found too old.
        rejected: the calls, as ranges of the points, in which some were refused.
    """

    expired: int
    rejected: list[range]


class Sifted(NamedTuple):
    """The points that were refused one by one, and how many the bucket found too old."""

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
        """Send points to a bucket. A call that is rejected keeps none of the others back.

        Raises:
            UnavailableError: `influx_unavailable`, also where not even one point is small enough.
            MeterlineError: see `Writer.write`.
        """
        expired, rejected = 0, []
        start = 0
        while start < len(points):
            part = points[start : start + self.most]
            try:
                expired += self._call(bucket, part)
            except TooLargeError as error:
                self._shrink(len(part), error)
                continue
            except RejectedError:
                rejected.append(range(start, start + len(part)))
            start += len(part)
        return Sent(expired, rejected)

    def sift(self, bucket: str, points: Sequence[Point], *, most: int) -> Sifted:
        """Send points some of which are refused; halve until those are alone.

        Args:
            bucket: where to.
            points: the points.
            most: how many may be refused.

        Raises:
            ManyRefusedError: more are refused. The others of them may have been sent or not.
            MeterlineError: see `send`.
        """
        refusals: list[Refusal] = []
        expired = 0
        pending = [points]
        while pending:
            part = pending.pop()
            if len(part) <= self.most:
                try:
                    expired += self._call(bucket, part)
                    continue
                except TooLargeError as error:
                    self._shrink(len(part), error)
                except RejectedError as error:
                    if len(part) == 1:
                        refusals.append(Refusal(part[0], str(error)))
                        if len(refusals) > most:
                            raise ManyRefusedError(str(error)) from error
                        continue
            middle = len(part) // 2
            pending += [part[middle:], part[:middle]]
        return Sifted(refusals, expired)

    def _call(self, bucket: str, points: Sequence[Point]) -> int:
        if not points:
            return 0
        self._before_call()
        return self._writer.write(bucket, _to_body(points))

    def _shrink(self, tried: int, error: TooLargeError) -> None:
        if tried == 1:
            raise UnavailableError(
                "influx_unavailable",
                f"InfluxDB, or a proxy before it, finds one point too large: {error}",
            ) from error
        self.most = tried // 2


def _to_body(points: Iterable[Point]) -> bytes:
    return "\n".join([point.line for point in points]).encode()
