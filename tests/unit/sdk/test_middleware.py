import asyncio
import contextvars
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, abort, request, stream_with_context
from werkzeug.test import Client
from werkzeug.wsgi import FileWrapper

from meterline.context import Scope, current_scope, swap_scopes, working_for
from meterline.flask_extension import MeterlineContext
from meterline.middleware import AsgiMiddleware, WsgiMiddleware

NOBODY = Scope()
ACME = Scope("acme", "portal")


def tell(_request: object) -> tuple[str, str]:
    return ("acme", "portal")


def broken(*_: object) -> str:
    raise RuntimeError("no such header")


def show() -> bytes:
    return repr(tuple(current_scope())).encode()


def plain(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [show()]


def streamed(_environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    for _ in range(2):
        yield show()


def streamed_with_a_scope_inside(_environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    with working_for("branch"):
        yield show()
        yield show()
    yield show()


def get(app: Any, scope_of: Callable[[Any], Any]) -> str:
    return Client(WsgiMiddleware(app, scope_of)).get("/").get_data(as_text=True)


def test_a_wsgi_application_runs_for_the_tenant_of_its_request() -> None:
    assert "('acme', 'portal')" == get(plain, tell)


def test_a_streamed_answer_is_made_for_the_tenant_of_its_request() -> None:
    assert "('acme', 'portal')" * 2 == get(streamed, tell)


def test_nothing_is_left_of_a_request_when_it_is_over() -> None:
    get(plain, tell)
    get(streamed, tell)
    assert NOBODY == current_scope()


def test_a_streamed_answer_that_waits_leaves_the_context_of_others_alone() -> None:
    parts = iter(WsgiMiddleware(streamed, tell)({}, lambda *_: None))  # type: ignore[arg-type] # nobody reads the head
    next(parts)
    assert NOBODY == current_scope()


def test_a_context_inside_a_streamed_answer_holds_until_it_ends() -> None:
    inside = "('branch', 'portal')"
    assert f"{inside}{inside}('acme', 'portal')" == get(streamed_with_a_scope_inside, tell)


def test_a_streamed_answer_that_is_left_early_leaves_nothing_behind() -> None:
    app = WsgiMiddleware(streamed_with_a_scope_inside, tell)
    parts: Any = app({}, lambda *_: None)  # type: ignore[arg-type] # nobody reads the head
    next(parts)
    parts.close()
    assert NOBODY == current_scope()


def test_what_a_request_left_open_is_gone_when_it_is_over() -> None:
    kept: list[Generator[bytes]] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        kept.append(streamed_with_a_scope_inside(environ, start_response))  # type: ignore[arg-type] # it is a generator
        next(kept[0])
        return [show()]

    get(app, tell)
    assert NOBODY == current_scope()


def test_the_end_of_an_answer_is_told_in_its_context() -> None:
    seen: list[Scope] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"])

        def close(self) -> None:
            seen.append(current_scope())

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Body()

    Client(WsgiMiddleware(app, tell)).get("/").close()
    assert [ACME] == seen


def test_a_file_is_left_to_the_server() -> None:
    file = FileWrapper(iter([]))  # type: ignore[arg-type] # it is not read here
    app = WsgiMiddleware(lambda *_: file, tell)
    environ = {"wsgi.file_wrapper": FileWrapper}
    assert file is app(environ, lambda *_: None)  # type: ignore[arg-type] # nobody reads the head


def test_an_error_of_the_application_is_its_own() -> None:
    def app(_environ: Any, _start_response: Any) -> list[bytes]:
        raise LookupError("of the application")

    with pytest.raises(LookupError, match="of the application"):
        get(app, tell)
    assert NOBODY == current_scope()


@pytest.mark.parametrize(
    "scope_of",
    [broken, lambda _: 5, lambda _: ("a", "b", "c"), lambda _: (b"acme", None), lambda _: None],
)
def test_a_request_whose_tenant_cannot_be_told_is_answered_all_the_same(
    scope_of: Callable[[Any], Any],
) -> None:
    assert "(None, None)" == get(plain, scope_of)


def test_a_tenant_may_be_told_without_a_feature() -> None:
    assert "('acme', None)" == get(plain, lambda _: "acme")


async def ask_asgi(app: Any, kind: str = "http") -> list[Any]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": kind}, receive, send)
    return sent


async def asgi_app(_scope: Any, _receive: Any, send: Any) -> None:
    await asyncio.sleep(0)
    await send(current_scope())
    await send(await asyncio.to_thread(current_scope))


async def tell_later(_scope: Any) -> tuple[str, str]:
    await asyncio.sleep(0)
    return ("acme", "portal")


@pytest.mark.parametrize("scope_of", [tell, tell_later])
def test_an_asgi_application_and_its_threads_run_for_the_tenant_of_their_request(
    scope_of: Callable[[Any], Any],
) -> None:
    assert [ACME, ACME] == asyncio.run(ask_asgi(AsgiMiddleware(asgi_app, scope_of)))


def test_requests_that_take_turns_do_not_mix() -> None:
    async def both() -> list[list[Any]]:
        apps = [AsgiMiddleware(asgi_app, lambda _, name=name: name) for name in ("acme", "karachi")]  # type: ignore[misc] # a default binds the name
        return list(await asyncio.gather(*map(ask_asgi, apps)))

    assert [[Scope("acme")] * 2, [Scope("karachi")] * 2] == asyncio.run(both())


def test_the_start_of_an_asgi_server_is_nobodys() -> None:
    found = asyncio.run(ask_asgi(AsgiMiddleware(asgi_app, tell), kind="lifespan"))
    assert [NOBODY, NOBODY] == found


def test_an_asgi_request_whose_tenant_cannot_be_told_is_answered_all_the_same() -> None:
    assert [NOBODY, NOBODY] == asyncio.run(ask_asgi(AsgiMiddleware(asgi_app, broken)))


@pytest.fixture
def flask_app() -> Flask:
    app = Flask(__name__)

    @app.route("/")
    def index() -> bytes:
        return show()

    @app.route("/stream")
    def stream() -> Response:
        return Response(stream_with_context(show() for _ in range(2)))

    @app.route("/apart")
    def stream_apart() -> Response:
        return Response(show() for _ in range(2))

    @app.route("/inside")
    def stream_with_a_scope_inside() -> Response:
        return Response(streamed_with_a_scope_inside({}, lambda *_: None))

    @app.route("/left")
    def leave_open() -> bytes:
        parts = streamed_with_a_scope_inside({}, lambda *_: None)
        app.extensions["parts"] = parts
        return next(parts)

    return app


def test_the_flask_extension_knows_what_earlier_functions_found_out(flask_app: Flask) -> None:
    flask_app.before_request(lambda: request.environ.update(tenant="acme"))
    MeterlineContext(lambda: (request.environ["tenant"], "portal"), flask_app)
    assert b"('acme', 'portal')" == flask_app.test_client().get("/").data


@pytest.mark.parametrize("path", ["/stream", "/apart"])
def test_an_answer_that_flask_streams_is_made_for_the_tenant_of_its_request(
    flask_app: Flask, path: str
) -> None:
    MeterlineContext(lambda: "acme", flask_app)
    assert b"('acme', None)" * 2 == flask_app.test_client().get(path).data


def test_a_context_inside_an_answer_that_flask_streams_holds_until_it_ends(
    flask_app: Flask,
) -> None:
    MeterlineContext(lambda: "acme", flask_app)
    expected = b"('branch', None)('branch', None)('acme', None)"
    assert expected == flask_app.test_client().get("/inside").data


@pytest.mark.parametrize("path", ["/", "/stream", "/apart", "/inside", "/left"])
def test_nothing_is_left_of_a_flask_request_when_it_is_over(flask_app: Flask, path: str) -> None:
    MeterlineContext(lambda: "acme", flask_app)
    flask_app.test_client().get(path)
    assert NOBODY == current_scope()


def test_a_flask_request_that_is_refused_before_is_refused_as_ever(flask_app: Flask) -> None:
    flask_app.before_request(lambda: abort(401))
    MeterlineContext(lambda: "acme", flask_app)
    assert 401 == flask_app.test_client().get("/").status_code


def test_a_flask_request_whose_tenant_cannot_be_told_is_answered_all_the_same(
    flask_app: Flask,
) -> None:
    MeterlineContext(broken, flask_app)
    assert b"(None, None)" == flask_app.test_client().get("/").data


def test_a_generator_that_is_ended_in_another_context_raises_nothing() -> None:
    def work() -> Generator[Scope]:
        with working_for("acme"):
            yield current_scope()

    parts = work()
    contextvars.copy_context().run(next, parts)
    parts.close()
    assert NOBODY == current_scope()


def wait(tenant: str) -> Generator[Scope]:
    with working_for(tenant):
        yield current_scope()


def test_a_generator_that_is_dropped_leaves_the_tenant_of_other_code_alone() -> None:
    parts = wait("acme")
    next(parts)
    with working_for("karachi"):
        parts.close()
        assert Scope("karachi") == current_scope()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_generators_that_end_in_any_order_leave_nothing_behind(order: tuple[int, int]) -> None:
    waiting = [wait("acme"), wait("karachi")]
    for parts in waiting:
        next(parts)
    for number in order:
        waiting[number].close()
    assert NOBODY == current_scope()


def test_generators_that_never_end_here_are_not_kept_for_ever() -> None:
    def leave_behind() -> int:
        for _ in range(1000):
            parts = wait("acme")
            next(parts)
            contextvars.Context().run(parts.close)
        return len(swap_scopes(()))

    assert 64 >= contextvars.copy_context().run(leave_behind)
