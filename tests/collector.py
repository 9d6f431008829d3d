"""The collector on a loopback port, in threads of the test: the real application over real HTTP."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from werkzeug.serving import WSGIRequestHandler, make_server

from api.app import create_app
from api.services import Services
from ledger.clock import Clock
from ledger.models import usage_metrics
from ledger.session import operator_session

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

Weather = Callable[["WSGIApplication", dict[str, Any], "StartResponse"], Iterable[bytes] | None]
"""Stands before the application; returns what it answers instead, or None to let it answer."""


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - as it is overridden
        pass


class Collector:
    """A running collector, and what it has booked.

    Attributes:
        weather: what happens to requests; None: fair.
        requests: how many came.
    """

    def __init__(self, services: Services, *, port: int = 0) -> None:
        self.weather: Weather | None = None
        self.requests = 0
        self._engine = services.engine
        self._services = services
        self._app = create_app(services)
        self._server = make_server(
            "127.0.0.1", port, self._answer, threaded=True, request_handler=_Quiet
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def ids(self) -> list[str]:
        """Return the ids of all booked events, in the order of booking."""
        with operator_session(self._engine) as session:
            query = sa.select(usage_metrics.c.event_id).order_by(usage_metrics.c.id)
            return list(session.connection.scalars(query))

    def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        """Return columns of all booked events, in the order of booking."""
        with operator_session(self._engine) as session:
            query = sa.select(*(usage_metrics.c[name] for name in columns))
            found = session.connection.execute(query.order_by(usage_metrics.c.id))
            return [tuple(row) for row in found]

    def set_clock(self, clock: Clock) -> None:
        """Let it be another time from the next request on."""
        replace(self._services, clock=clock).attach(self._app)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        self.requests += 1
        if self.weather is not None:
            answer = self.weather(self._app, environ, start_response)
            if answer is not None:
                return answer
        return self._app(environ, start_response)


def always(status: str, body: bytes = b"", **headers: str) -> Weather:
    """Answer everything the same, without a look at it."""

    def answer(
        _app: "WSGIApplication", environ: dict[str, Any], start_response: "StartResponse"
    ) -> Iterable[bytes]:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        start_response(status, [("Content-Length", str(len(body))), *named])
        return [body]

    return answer


def lose_answers(count: int) -> Weather:
    """Let the first requests be booked and answered with what a broken proxy says."""
    left = iter(range(count))

    def answer(
        app: "WSGIApplication", environ: dict[str, Any], start_response: "StartResponse"
    ) -> Iterable[bytes] | None:
        if next(left, None) is None:
            return None
        b"".join(app(environ, lambda *_: None))  # type: ignore[arg-type] # the answer goes nowhere
        start_response("502 Bad Gateway", [("Content-Length", "0")])
        return []

    return answer
