"""Problem bodies (RFC 9457): one table maps the kind of an error to its status.

On a page the same problem is told in HTML, and to clients of InfluxDB as it would tell it.
"""

from http import HTTPStatus

from flask import Flask, Response, current_app, jsonify, make_response, render_template
from pydantic import BaseModel, Field
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from api.gateway.errors import BadUpstreamError, influx_error, is_gateway
from api.pages.blueprint import is_page
from costing.budgets.store import ChangedError
from ledger.accounts.throttle import ThrottledError
from ledger.errors import InvalidError, Kind, MeterlineError

PROBLEM_TYPE = "application/problem+json"

STATUS_OF_KIND = {
    Kind.INVALID: HTTPStatus.BAD_REQUEST,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.MISSING: HTTPStatus.NOT_FOUND,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}

_RETRY_AFTER_SECONDS = "5"


class Problem(BaseModel):
    """Why a request as a whole was refused."""

    type: str = Field(description="`urn:meterline:problem:` and the code")
    title: str = Field(description="The HTTP status in words")
    status: int
    code: str = Field(description="Stable name of the problem")
    detail: str = Field(description="One sentence for a person")
    key: str | None = Field(default=None, description="The offending field")
    value: str | None = Field(default=None, description="The offending value, shortened")


PROBLEM_RESPONSE = {"content": {PROBLEM_TYPE: {"schema": Problem.model_json_schema()}}}
"""What an OpenAPI description of a refusal says beside its reason."""


class UnauthorizedError(MeterlineError):
    """Nobody is known to be calling."""

    kind = Kind.FORBIDDEN


class TooLargeError(InvalidError):
    """The request is larger than the settings allow."""


def body_too_large(limit: int) -> TooLargeError:
    """Return the error that names the limit, in bytes."""
    return TooLargeError("body_too_large", f"a body has at most {limit} bytes")


class UnsupportedTypeError(InvalidError):
    """The body is of a type that is not read."""


_STATUS_OF_ERROR: dict[type[MeterlineError], HTTPStatus] = {
    UnauthorizedError: HTTPStatus.UNAUTHORIZED,
    TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ChangedError: HTTPStatus.PRECONDITION_FAILED,
    ThrottledError: HTTPStatus.TOO_MANY_REQUESTS,
    BadUpstreamError: HTTPStatus.BAD_GATEWAY,
    UnsupportedTypeError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}


def problem(error: MeterlineError) -> Response:
    """Return the response that tells an error."""
    status = _STATUS_OF_ERROR.get(type(error), STATUS_OF_KIND[error.kind])
    response = _problem(status, error.code, error.message, key=error.key, value=error.value)
    if status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, ThrottledError):
        response.headers["Retry-After"] = str(error.retry_after)
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = _RETRY_AFTER_SECONDS
    return response


def register_error_handlers(app: Flask) -> None:
    """Answer every error as a problem, also those of Flask and those nobody thought of."""
    app.register_error_handler(MeterlineError, problem)
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(Exception, _unexpected)


def _http_problem(error: HTTPException) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        return problem(body_too_large(current_app.config["MAX_CONTENT_LENGTH"]))
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    response = _problem(status, status.name.lower(), error.description or status.phrase)
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    current_app.logger.error("unexpected error", exc_info=error)
    return _problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "something is wrong on our side; it was logged, and sending again is safe",
    )


def _problem(status: HTTPStatus, code: str, detail: str, **where: str | None) -> Response:
    body = Problem(
        type=f"urn:meterline:problem:{code}",
        title=status.phrase,
        status=status,
        code=code,
        detail=detail,
        **where,
    )
    response = _tell(body)
    response.status_code = status
    return response


def _tell(body: Problem) -> Response:
    if is_gateway():
        return influx_error(body.detail)
    return _page(body) if is_page() else _json(body)


def _page(body: Problem) -> Response:
    return make_response(render_template("error.html", problem=body))


def _json(body: Problem) -> Response:
    response = jsonify(body.model_dump(exclude_none=True))
    response.mimetype = PROBLEM_TYPE
    return response
