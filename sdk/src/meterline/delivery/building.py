"""Puts the parts of a delivery together, and tells what makes no sense before anything starts."""

import os

from meterline.delivery.delivery import Delivery
from meterline.delivery.shelf import MemoryShelf, Shelf
from meterline.delivery.terms import WhenFull
from meterline.delivery.transport import Transport

MIN_MAX_BYTES = 256 * 1024
_SEGMENTS = 16
_MIN_SEGMENT, _MAX_SEGMENT = 64 * 1024, 1024 * 1024


def build_delivery(  # noqa: PLR0913 - settings, each named
    *,
    url: str,
    api_key: str,
    spool: str | os.PathLike[str] | None,
    max_bytes: int,
    when_full: str,
    interval: float,
    timeout: float,
    exit_timeout: float,
) -> Delivery:
    """Build what the arguments of a `Meter` describe.

    Raises:
        ValueError: one of them makes no sense.
    """
    if not api_key or not api_key.isascii() or not api_key.isprintable():
        raise ValueError("api_key must be a key of the collector, as `key create` printed it")
    if max_bytes < MIN_MAX_BYTES:
        raise ValueError(f"max_bytes must be at least {MIN_MAX_BYTES}")
    if not interval > 0 or not timeout > 0 or not exit_timeout >= 0:
        raise ValueError("interval and timeout must be more than 0 seconds")
    policy = WhenFull(when_full)
    transport = Transport(url=url, api_key=api_key, timeout=timeout)
    segment_bytes = min(_MAX_SEGMENT, max(_MIN_SEGMENT, max_bytes // _SEGMENTS))
    return Delivery(
        _make_shelf(spool, segment_bytes),
        transport,
        max_bytes=max_bytes,
        when_full=policy,
        interval=interval,
        exit_timeout=exit_timeout,
    )


def _make_shelf(spool: str | os.PathLike[str] | None, segment_bytes: int) -> Shelf:
    if spool is None:
        return MemoryShelf(segment_bytes=segment_bytes)
    from meterline.delivery.folder import FolderShelf  # noqa: PLC0415 - needs POSIX, memory does not

    return FolderShelf(os.fspath(spool), segment_bytes=segment_bytes)
