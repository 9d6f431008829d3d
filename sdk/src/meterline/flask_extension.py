"""A Flask extension that books what a request uses on its tenant and feature.

Unlike middleware it asks inside the request, after the `before_request` functions that were
registered before it: so it knows who signed in.
"""

from collections.abc import Callable
from contextlib import ExitStack

from flask import Flask, Response, g

from meterline.context import current_scope, serving
from meterline.middleware import ScopedBody, Told, ask
from meterline.notices import Notices

_NAME = "_meterline_context"


class MeterlineContext:
    """Sets tenant and feature for the time of each request.

    Args:
        scope_of: tells whose the current request is: a tenant, or a tenant and a feature.
        app: the application; or call `init_app` later.
    """

    def __init__(self, scope_of: Callable[[], Told], app: Flask | None = None) -> None:
        self._scope_of = scope_of
        self._notices = Notices()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Watch the requests of an application."""
        app.before_request(self._enter)
        app.after_request(_carry_on)
        app.teardown_request(_leave)

    def _enter(self) -> None:
        stack = ExitStack()
        stack.enter_context(serving(*ask(self._scope_of, notices=self._notices)))
        setattr(g, _NAME, stack)


def _carry_on(response: Response) -> Response:
    """Make a streamed answer in the context of its request, which is over by then."""
    if response.is_streamed and not response.direct_passthrough:
        response.response = ScopedBody(response.response, current_scope())  # type: ignore[arg-type] # parts of text are encoded by whoever reads them
    return response


def _leave(_error: BaseException | None) -> None:
    stack = g.pop(_NAME, None)
    if stack is not None:
        stack.close()
