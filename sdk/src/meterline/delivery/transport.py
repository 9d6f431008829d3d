"""Posts bodies to the collector over one kept connection of the standard library's HTTP client.

`http.client` and `ssl` take more time to import than all the rest of the SDK, so they are imported
when a transport is made. Not later, by the sender's thread: a process that is forked while a thread
imports has that module locked for ever.
"""

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse
    from socket import socket

_PATH = "/api/v1/events"
_MOST_BYTES = 32 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_BOTH_WAYS = 2
"""`socket.SHUT_RDWR`."""

_GRACE_FACTOR = 3
"""A request as a whole may take this much longer than each of its steps."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    retry_after: str | None


class UnansweredError(Exception):
    """No whole answer came; what was sent may have been booked or not."""


class Transport:
    """Where events are posted to.

    Args:
        url: of the collector, with a path where it lives under one.
        api_key: an ingest key.
        timeout: seconds for each step: to connect, to send, to receive.

    Raises:
        ValueError: `url` is no address of a collector.
    """

    def __init__(self, *, url: str, api_key: str, timeout: float) -> None:
        import http.client  # noqa: PLC0415 - late on purpose, see above
        from urllib.parse import urlsplit  # noqa: PLC0415 - as above

        "".encode("idna")  # which imports what the first look-up of a host needs
        self._http = http.client
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must be an http or https address, like https://meter.example")
        self._is_secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._path = parts.path.rstrip("/") + _PATH
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Content-Type": "application/x-ndjson",
            "Accept": "application/json",
            "User-Agent": "meterline-sdk",
        }
        self._timeout = timeout
        self._connection: HTTPConnection | None = None
        self._socket: socket | None = None
        self._overdue_at: float | None = None

    def post(self, body: bytes, *, is_gzip: bool) -> Answer:
        """Post a body and return the answer, whatever its status.

        A kept connection that the other side has closed meanwhile is opened anew, once.

        Raises:
            UnansweredError: the message says what happened, by the name of the error alone.
        """
        headers = self._headers | ({"Content-Encoding": "gzip"} if is_gzip else {})
        self._overdue_at = time.monotonic() + _GRACE_FACTOR * self._timeout
        try:
            if self._connection is not None:
                with suppress(OSError, self._http.HTTPException):
                    return self._exchange(self._connection, body, headers)
                self.close()
            self._connection = self._connect()
            return self._exchange(self._connection, body, headers)
        except (OSError, self._http.HTTPException, ValueError) as error:
            self.close()
            raise UnansweredError(type(error).__name__) from None
        finally:
            self._socket = self._overdue_at = None

    def cut_if_overdue(self) -> None:
        """Break off a request that takes too long as a whole; called from another thread."""
        overdue_at, sock = self._overdue_at, self._socket
        if overdue_at is not None and sock is not None and time.monotonic() > overdue_at:
            with suppress(OSError):
                sock.shutdown(_BOTH_WAYS)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError):
                connection.close()

    def forget(self) -> None:
        """After a fork, in the child: leave the connection to the parent.

        Nothing is closed but the descriptor itself: the parent's thread may have been reading, and
        then holds a lock of the reader that nobody gives up here.
        """
        connection, self._connection = self._connection, None
        sock = self._socket or (None if connection is None else connection.sock)
        self._socket = self._overdue_at = None
        if sock is not None:
            descriptor = sock.detach()
            if descriptor >= 0:
                os.close(descriptor)

    def _connect(self) -> "HTTPConnection":
        kind = self._http.HTTPSConnection if self._is_secure else self._http.HTTPConnection
        return kind(self._host, self._port, timeout=self._timeout)

    def _exchange(
        self, connection: "HTTPConnection", body: bytes, headers: dict[str, str]
    ) -> Answer:
        connection.request("POST", self._path, body, headers)
        self._socket = connection.sock  # which the connection forgets before a last answer is read
        response = connection.getresponse()
        answer = Answer(response.status, _read(response), response.headers.get("Retry-After"))
        if response.will_close:
            self.close()
        return answer


def _read(response: "HTTPResponse") -> bytes:
    """Read an answer of bounded size.

    Raises:
        ValueError: it is longer than any answer of a collector.
    """
    body = bytearray()
    while chunk := response.read(_CHUNK_BYTES):
        body += chunk
        if len(body) > _MOST_BYTES:
            raise ValueError("the answer does not end")
    return bytes(body)
