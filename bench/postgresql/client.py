"""A client that costs next to nothing: it sends bytes made beforehand and only counts answers.

It runs on the machine of the server; what it takes would hide differences between the two sides.
"""

import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import orjson

_LOOPBACK = "127.0.0.1"
_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_READ = 65_536


def make_request(path: str, body: object, secret: str) -> bytes:
    """Return a whole HTTP request that posts JSON."""
    text = orjson.dumps(body)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {_LOOPBACK}\r\nAuthorization: Bearer {secret}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    )
    return head.encode() + text


def post_all(port: int, requests: Sequence[bytes], *, clients: int) -> list[float]:
    """Post all requests over so many kept connections; return the seconds that each one took.

    Raises:
        AssertionError: an answer other than 200.
    """
    shares = [requests[place::clients] for place in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        taken = list(pool.map(lambda share: _post(port, share), shares))
    return [seconds for share in taken for seconds in share]


def is_up(port: int) -> bool:
    """Whether somebody listens on a port."""
    try:
        socket.create_connection((_LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def _post(port: int, requests: Sequence[bytes]) -> list[float]:
    taken = []
    connection = _connect(port)
    try:
        for request in requests:
            start = time.perf_counter()
            try:
                answer = _ask(connection, request)
            except ConnectionError:
                # A busy server hangs up on a kept connection in the moment in which it is used
                # again. Clients then send again, and that takes its time.
                connection.close()
                connection = _connect(port)
                answer = _ask(connection, request)
            taken.append(time.perf_counter() - start)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise AssertionError(f"refused: {answer[:1000].decode()}")
    finally:
        connection.close()
    return taken


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection((_LOOPBACK, port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _ask(connection: socket.socket, request: bytes) -> bytes:
    connection.sendall(request)
    return _read(connection)


def _read(connection: socket.socket) -> bytes:
    """Return one answer; it says how long it is."""
    answer = b""
    while _END not in answer:
        answer += _receive(connection)
    head, _, body = answer.partition(_END)
    (length,) = (
        int(line[len(_LENGTH) :])
        for line in head.lower().split(b"\r\n")
        if line.startswith(_LENGTH)
    )
    parts, received = [body], len(body)
    while received < length:
        parts.append(_receive(connection))
        received += len(parts[-1])
    return head + b"".join(parts)


def _receive(connection: socket.socket) -> bytes:
    part = connection.recv(_READ)
    if not part:
        raise ConnectionError("the server hung up")
    return part
