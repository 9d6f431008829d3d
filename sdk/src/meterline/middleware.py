"""Middleware that books what a request uses on its tenant and feature: for WSGI and for ASGI.

The host says whose a request is, by a function of the request. It is asked once, before the
application runs, and whatever it does wrong costs the request nothing but its tenant.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from meterline.context import Scope, Scopes, serving, swap_scopes
from meterline.notices import Notice, Notices

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Told = Scope | tuple[str | None, str | None] | str | None
"""Whose a request is: a tenant, a tenant and a feature, or nobody's."""

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApplication = Callable[[AsgiScope, Receive, Send], Awaitable[None]]


class WsgiMiddleware:
    """Runs a WSGI application in the context of the tenant of each request.

    What the application returns is read in that context, too, so a streamed answer is metered.

    Args:
        app: the application.
        scope_of: tells whose a request is, from its `environ`.
    """

    def __init__(
        self, app: "WSGIApplication", scope_of: Callable[["WSGIEnvironment"], Told]
    ) -> None:
        self._app = app
        self._scope_of = scope_of
        self._notices = Notices()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request."""
        scope = ask(self._scope_of, environ, notices=self._notices)
        with serving(*scope) as inner:
            body = self._app(environ, start_response)
        is_read_by_server = isinstance(body, environ.get("wsgi.file_wrapper") or ())
        if is_read_by_server or isinstance(body, list | tuple):
            return body
        return ScopedBody(body, inner)


class ScopedBody:
    """An answer whose parts are made in the context of its request.

    What a generator enters between two parts holds for its next one, and for nobody else.
    """

    def __init__(self, body: Iterable[bytes], scope: Scope) -> None:
        self._body = body
        self._scopes: Scopes = (scope,)
        self._parts: Iterator[bytes] | None = None

    def __iter__(self) -> "Iterator[bytes]":
        return self

    def __next__(self) -> bytes:
        outer = swap_scopes(self._scopes)
        try:
            if self._parts is None:
                self._parts = iter(self._body)
            return next(self._parts)
        finally:
            self._scopes = swap_scopes(outer)

    def close(self) -> None:
        """End the answer, as servers do."""
        close = getattr(self._body, "close", None)
        if close is not None:
            outer = swap_scopes(self._scopes)
            try:
                close()
            finally:
                swap_scopes(outer)


class AsgiMiddleware:
    """Runs an ASGI application in the context of the tenant of each request or WebSocket.

    Args:
        app: the application.
        scope_of: tells whose a request is, from its ASGI scope; it may be a coroutine function.
    """

    def __init__(
        self, app: AsgiApplication, scope_of: Callable[[AsgiScope], Told | Awaitable[Told]]
    ) -> None:
        self._app = app
        self._scope_of = scope_of
        self._notices = Notices()

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        told: Any = None
        try:
            told = self._scope_of(scope)
            if isawaitable(told):
                told = await told
        except Exception as error:  # noqa: BLE001 - it costs the request nothing but its tenant
            self._notices.note(Notice.CONTEXT, type(error).__name__)
            self._notices.publish()
        with serving(*read_scope(told, self._notices)):
            await self._app(scope, receive, send)


def ask(scope_of: Callable[..., Told], *values: object, notices: Notices) -> Scope:
    """Ask the host whose a request is; nobody's where it fails, which is logged once."""
    told: Told = None
    try:
        told = scope_of(*values)
    except Exception as error:  # noqa: BLE001 - it costs the request nothing but its tenant
        notices.note(Notice.CONTEXT, type(error).__name__)
        notices.publish()
    return read_scope(told, notices)


def read_scope(told: object, notices: Notices) -> Scope:
    """Return what the host told as a scope; nobody's where it is none."""
    pair = told if isinstance(told, tuple) else (told, None)
    if len(pair) == len(Scope._fields) and all(
        each is None or isinstance(each, str) for each in pair
    ):
        return Scope(*pair)
    notices.note(Notice.CONTEXT, f"it is a {type(told).__name__}")
    notices.publish()
    return Scope()
