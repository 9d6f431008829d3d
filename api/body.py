"""Reads a request body as a whole, or not at all: a part of one must never pass for the whole."""

from flask import current_app, request

from api.errors import body_too_large
from ledger.errors import InvalidError


def read_whole_body() -> bytes:
    """Return the body of the current request.

    Under a server that ends the input stream itself, Werkzeug cuts a chunked body at the limit and
    takes an early end of any body for its end, both in silence. So one byte more than allowed is
    read, and what was announced is compared with what came.

    Raises:
        TooLargeError: `body_too_large`.
        InvalidError: `truncated_body`.
    """
    limit: int = current_app.config["MAX_CONTENT_LENGTH"]
    announced = request.content_length
    if announced is None:
        request.max_content_length = limit + 1
    body = request.get_data(cache=False)
    if len(body) > limit:
        raise body_too_large(limit)
    if announced is not None and len(body) != announced:
        raise InvalidError(
            "truncated_body", f"{announced} bytes were announced and {len(body)} came; send again"
        )
    return body
