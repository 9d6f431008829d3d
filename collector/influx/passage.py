"""Passes queries on to InfluxDB for somebody else: within a time, and up to a size."""

from collector.influx.target import Target
from collector.influx.transport import Transport
from ledger.errors import InvalidError

MAX_ANSWER_BYTES = 8 * 1024 * 1024


class Passage:
    """Asks InfluxDB. The answer comes in parts, so that neither side has to hold a large one."""

    def __init__(self, target: Target, *, connections: int) -> None:
        self._transport = Transport(target, connections=connections)

    def fetch(self, statement: str, *, bucket: str, epoch: str, seconds: float) -> list[bytes]:
        """Run one statement; return the JSON documents that its answer consists of.

        What is not wanted any more is ended: InfluxDB stops a query when its connection closes.

        Args:
            statement: of InfluxQL.
            bucket: where it runs.
            epoch: unit of the times in the answer; empty: they are texts.
            seconds: how long it may take.

        Raises:
            InvalidError: `influx_refused`, or `answer_too_large`.
            UnavailableError: `influx_unavailable`; it took too long, too.
            MeterlineError: see `Transport.send`.
        """
        parameters = {"db": bucket, "chunked": "true"} | ({"epoch": epoch} if epoch else {})
        body = bytearray()
        with self._transport.stream(
            "/query", parameters, {"q": statement}, seconds=seconds
        ) as parts:
            for part in parts:
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    raise InvalidError(
                        "answer_too_large",
                        f"the answer has more than {MAX_ANSWER_BYTES} bytes; ask for longer"
                        " intervals, fewer series or less time",
                    )
        return bytes(body).splitlines()
