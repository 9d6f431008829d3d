"""The metrics page over HTTP, on a port of its own."""

import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.registry import Collector

from ledger.errors import UnavailableError

PATH = "/metrics"
_SOCKET_SECONDS = 10.0
_NOT_FOUND = [("Content-Type", "text/plain; charset=utf-8")]

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Handler(WSGIRequestHandler):
    """Answers one request. Who connects and says nothing is left after a while."""

    timeout = _SOCKET_SECONDS

    def handle(self) -> None:
        with suppress(TimeoutError, ConnectionError):
            super().handle()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: a scrape every few seconds is no news."""


class MetricsServer(ThreadingMixIn, WSGIServer):
    """A thread for each request; closing waits for those that are under way."""

    daemon_threads = False
    request_queue_size = 64


class _MetricsServer6(MetricsServer):
    address_family = socket.AF_INET6


def open_server(host: str, port: int, scrape: Collector) -> MetricsServer:
    """Listen, and serve the metrics of a scrape and of this process once `serve_forever` runs.

    Args:
        host: an address of this machine, IPv4 or IPv6, or a name of it.
        port: 0 takes one that is free.
        scrape: what there is to show.

    Raises:
        UnavailableError: `cannot_listen`, such as where the port is taken.
    """
    registry = CollectorRegistry()
    registry.register(scrape)
    ProcessCollector(registry=registry)
    try:
        kind = _MetricsServer6 if ":" in host else MetricsServer
        server = kind((host, port), _Handler)
    except OSError as error:
        raise UnavailableError(
            "cannot_listen",
            f"cannot listen on port {port} of {host}: {error.strerror}; choose another by --port"
            " or --host",
        ) from error
    server.set_app(_at_path(make_wsgi_app(registry)))
    return server


def _at_path(app: App) -> App:
    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == PATH:
            return app(environ, start_response)
        start_response("404 Not Found", _NOT_FOUND)
        return [f"metrics are at {PATH}\n".encode()]

    return serve
