"""Tries what the relay and `verify` do, without a trace: an empty write and a look at names."""

from contextlib import suppress

from collector.influx.query import Reader
from collector.influx.target import Target
from collector.influx.transport import Transport
from ledger.errors import InvalidError


def probe_bucket(transport: Transport, target: Target, bucket: str) -> None:
    """Check that a bucket is there and that the token may write to it and read from it.

    Raises:
        ForbiddenError: `influx_token_refused`.
        MissingError: `influx_bucket_missing`, or `influx_path_missing` before 1.8.
        UnavailableError: `influx_unavailable`.
    """
    parameters = {"bucket": bucket, "org": target.org, "precision": "ns"}
    # 2.x and 3.x may find fault with a body without a line; what matters is decided before.
    with suppress(InvalidError):
        transport.send("POST", "/api/v2/write", parameters)
    Reader(transport).run("SHOW MEASUREMENTS LIMIT 1", bucket=bucket)
