"""A provider's stand-in: a real HTTP server on loopback that answers what a function says."""

import gzip
import json
import sys
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body.startswith(b"{") else {}


class Answer(NamedTuple):
    """What goes back.

    Attributes:
        body: in one piece, or in parts that are sent one by one, as a stream is.
        pause: seconds before each part.
        is_broken: whether the connection ends in the middle, without the end of the body.
    """

    body: bytes | Sequence[bytes] = b""
    status: int = 200
    headers: Mapping[str, str] = {}
    pause: float = 0.0
    is_broken: bool = False


def as_json(value: object, *, status: int = 200, **headers: str) -> Answer:
    """Return an answer of JSON; `x_request_id` names the header `x-request-id`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    body = json.dumps(value, separators=(",", ":")).encode()
    return Answer(body, status, {"content-type": "application/json", **named})


def as_events(events: Sequence[object], *, end: bool = True, **headers: str) -> Answer:
    """Return a stream of events, one in each part; `[DONE]` at the end, if there is one."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    parts = [_event(event) for event in events] + [b"data: [DONE]\n\n"] * end
    return Answer(parts, headers={"content-type": "text/event-stream", **named})


def zipped(answer: Answer) -> Answer:
    """Return the same in gzip; a stream is flushed after each part."""
    headers = {**answer.headers, "content-encoding": "gzip"}
    if isinstance(answer.body, bytes):
        return answer._replace(body=gzip.compress(answer.body), headers=headers)
    pack = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    parts = [pack.compress(part) + pack.flush(zlib.Z_SYNC_FLUSH) for part in answer.body]
    return answer._replace(body=[*parts, pack.flush()], headers=headers)


def _event(event: object) -> bytes:
    data = json.dumps(event, separators=(",", ":"))
    kind = event.get("type") if isinstance(event, dict) else None
    return (f"event: {kind}\n" if kind else "").encode() + f"data: {data}\n\n".encode()


class _Handler(BaseHTTPRequestHandler):
    standin: "StandIn"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("transfer-encoding") == "chunked":
            body = self._read_chunks()
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, body)
        self.standin.asked.append(asked)
        self._send(self.standin.answer(asked))

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 (its names)

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if isinstance(answer.body, bytes):
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for part in answer.body:
                time.sleep(answer.pause)
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
            if not answer.is_broken:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:  # the caller has left
            pass
        self.close_connection = self.close_connection or answer.is_broken

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name)
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a caller that has left; any other fault is the stand-in's."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type] # as it came


class StandIn:
    """A running stand-in; it keeps what it was asked."""

    def __init__(self, answer: Callable[[Asked], Answer]) -> None:
        self.asked: list[Asked] = []
        self.answer = answer
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"standin": self}))
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
