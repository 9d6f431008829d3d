"""Ends a request when its time is over, however slowly the answer comes.

The timeout of a socket is that of one read. An answer that drips in has a read for each drop, so it
could take a hundred times as long, in its headers alone.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


class Deadline:
    """Begins when it is made. When it passes, the connection that it watches is closed."""

    def __init__(self, seconds: float) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._has_passed = False
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True
        self._timer.start()

    def watch(self, connected: socket.socket) -> None:
        """Close this connection when the time is over."""
        with self._lock:
            self._socket = connected
            if self._has_passed:
                _close(connected)

    def end(self) -> bool:
        """Watch no longer; tell whether the time was over before."""
        self._timer.cancel()
        with self._lock:
            self._socket = None
            return self._has_passed

    @contextmanager
    def current(self) -> Iterator[None]:
        """Watch the connections on which this thread waits for an answer."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def _pass(self) -> None:
        with self._lock:
            self._has_passed = True
            if self._socket is not None:
                _close(self._socket)


def build_pool(connections: int) -> urllib3.PoolManager:
    """Return a pool whose connections are watched by the deadline of who waits for them."""
    pool = urllib3.PoolManager(retries=False, maxsize=connections)
    watch_connections(pool)
    return pool


def watch_connections(pool: urllib3.PoolManager) -> None:
    """Let a pool that somebody else made have such connections, from the next one on."""
    pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def _watch(connected: socket.socket | None) -> None:
    deadline = _current.get()
    if deadline is not None and connected is not None:
        deadline.watch(connected)


def _close(connected: socket.socket) -> None:
    # Not `close`: only this wakes a thread that reads from it. Not the method of a connection with
    # TLS: that would take apart what the other thread uses.
    with suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


class _Http(HTTPConnection):
    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override] # as urllib3 has it
        _watch(self.sock)
        return super().getresponse()


class _Https(HTTPSConnection):
    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override] # as above
        _watch(self.sock)
        return super().getresponse()


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Https
