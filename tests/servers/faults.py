"""A proxy that passes requests on to a real server, unless it is told to answer itself."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit

_LOOPBACK = "127.0.0.1"
_HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "server", "date"}


class Request(NamedTuple):
    """What came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    """An answer; one with a delay comes that many seconds late."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0


Rule = Callable[[Request], Reply | None]


class FaultProxy:
    """Stands in front of a server.

    Attributes:
        rule: decides on each request what to answer instead; None passes it on.
        passed: the requests that were passed on.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self.rule: Rule = lambda _request: None
        self.passed: list[Request] = []
        self._stopped = threading.Event()
        self._server = ThreadingHTTPServer((_LOOPBACK, 0), self._make_handler())
        self._server.daemon_threads = True
        self.url = f"http://{_LOOPBACK}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextmanager
    def answering(self, rule: Rule) -> Iterator[None]:
        """Let a rule decide for a while."""
        before, self.rule = self.rule, rule
        yield
        self.rule = before

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        reply = self.rule(request)
        if reply is None:
            self.passed.append(request)
            return self._pass_on(request)
        deadline = time.monotonic() + reply.delay
        while time.monotonic() < deadline and not self._stopped.is_set():
            time.sleep(0.01)
        return reply

    def _pass_on(self, request: Request) -> Reply:
        connection = http.client.HTTPConnection(_LOOPBACK, self._upstream.port or 80, timeout=30)
        try:
            connection.request(request.method, request.path, request.body, request.headers)
            response = connection.getresponse()
            return Reply(response.status, response.read(), tuple(response.getheaders()))
        except (OSError, http.client.HTTPException):
            return Reply(502)
        finally:
            connection.close()

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
                reply = proxy.answer(Request(self.command, self.path, headers, body))
                self.send_response_only(reply.status)
                for name, value in reply.headers:
                    if name.lower() not in _HOP_BY_HOP:
                        self.send_header(name, value)
                if reply.status != 204:
                    self.send_header("Content-Length", str(len(reply.body)))
                with suppress(ConnectionError):  # nobody waits for it any more
                    self.end_headers()
                    self.wfile.write(reply.body)

            do_GET = do_POST = do_PATCH = _handle  # noqa: N815 - names that http.server looks for

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        return Handler


class Drip:
    """A server whose every answer comes byte by byte, headers and all, until it is closed.

    Args:
        whole: the answer, from the status line on.
        pause: seconds before each byte.
    """

    def __init__(self, whole: bytes, *, pause: float) -> None:
        self._whole, self._pause = whole, pause
        self._stopped = threading.Event()
        self._listening = socket.create_server((_LOOPBACK, 0))
        self.url = f"http://{_LOOPBACK}:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and dripping."""
        self._stopped.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            with suppress(OSError):  # closed by whoever asked, or by us
                asked, _ = self._listening.accept()
                with asked:
                    self._drip(asked)

    def _drip(self, asked: socket.socket) -> None:
        asked.recv(65_536)
        for number in range(len(self._whole)):
            if self._stopped.wait(self._pause):
                return
            asked.sendall(self._whole[number : number + 1])
