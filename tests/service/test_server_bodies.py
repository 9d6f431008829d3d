"""Bodies over real connections: a part of one never passes for the whole."""

import gzip
import http.client
import json
import socket
from collections.abc import Iterator

import pytest

from tests.builders import sms
from tests.conftest import Run
from tests.onlooker import Onlooker
from tests.processes import Launcher, Server

# What a command or a server says does not depend on the database that is behind it.
pytestmark = pytest.mark.ledger("sqlite")

LIMIT = 20_000
EVENTS = [json.dumps(sms(str(n))).encode() + b"\n" for n in range(300)]


@pytest.fixture
def server(launcher: Launcher, monkeypatch: pytest.MonkeyPatch, engine: object) -> Server:
    del engine
    monkeypatch.setenv("METERLINE_MAX_BODY_BYTES", str(LIMIT))
    return Server(launcher, "--workers", "1", "--no-work")


@pytest.fixture
def headers(meterline: Run) -> dict[str, str]:
    secret = meterline("key", "create", "--scope", "ingest").stdout.strip()
    return {"Authorization": f"Bearer {secret}", "Content-Type": "application/x-ndjson"}


def count(ledger: Onlooker) -> int:
    return ledger.count("usage_metrics")


def post(server: Server, body: bytes | Iterator[bytes], headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        # Without a length the body goes out in chunks.
        chunked = not isinstance(body, bytes)
        connection.request("POST", "/api/v1/events", body, headers, encode_chunked=chunked)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_server_takes_no_scheme_from_a_header(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/healthz", headers={"X-Forwarded-Proto": "https"})
    found = connection.getresponse().getheader("Strict-Transport-Security")
    connection.close()
    assert None is found


def test_a_chunked_body_within_the_limit_is_booked_whole(
    server: Server, headers: dict[str, str], ledger: Onlooker
) -> None:
    status = post(server, iter(EVENTS[:100]), {**headers, "Transfer-Encoding": "chunked"})
    assert (200, 100) == (status, count(ledger))


def test_a_chunked_body_over_the_limit_is_413_and_nothing_of_it_is_booked(
    server: Server, headers: dict[str, str], ledger: Onlooker
) -> None:
    status = post(server, iter(EVENTS), {**headers, "Transfer-Encoding": "chunked"})
    assert (413, 0) == (status, count(ledger))


def test_an_announced_body_over_the_limit_is_413(
    server: Server, headers: dict[str, str], ledger: Onlooker
) -> None:
    assert (413, 0) == (post(server, b"".join(EVENTS), headers), count(ledger))


def test_a_body_that_breaks_off_is_refused_and_nothing_of_it_is_booked(
    server: Server, headers: dict[str, str], ledger: Onlooker
) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    start = f"POST /api/v1/events HTTP/1.1\r\nHost: x\r\n{head}Content-Length: 9000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sender:
        sender.sendall(start.encode() + EVENTS[0])
        sender.shutdown(socket.SHUT_WR)
        answer = sender.recv(4096).decode()
    assert (True, 0) == (answer.startswith("HTTP/1.1 400 "), count(ledger))


def test_a_gzip_body_is_booked_whole(
    server: Server, headers: dict[str, str], ledger: Onlooker
) -> None:
    body = gzip.compress(b"".join(EVENTS[:100]))
    status = post(server, body, {**headers, "Content-Encoding": "gzip"})
    assert (200, 100) == (status, count(ledger))


def test_a_gzip_body_that_is_small_only_while_packed_is_413(
    server: Server, headers: dict[str, str], ledger: Onlooker
) -> None:
    body = gzip.compress(EVENTS[0] + b" " * 18_000_000)
    status = post(server, body, {**headers, "Content-Encoding": "gzip"})
    assert (True, 413, 0) == (len(body) < LIMIT, status, count(ledger))


def test_a_gzip_body_that_is_not_whole_is_400_and_nothing_of_it_is_booked(
    server: Server, headers: dict[str, str], ledger: Onlooker
) -> None:
    plain = b"".join(EVENTS[:10])
    whole = gzip.compress(plain)
    bodies = {
        "cut": whole[:-9],
        "garbled": whole[:-6] + b"\0" * 6,
        "followed": whole + whole,
        "empty": b"",
        "plain": plain,
    }
    packed = {**headers, "Content-Encoding": "gzip"}
    found = {name: post(server, body, packed) for name, body in bodies.items()}
    assert (dict.fromkeys(bodies, 400), 0) == (found, count(ledger))
