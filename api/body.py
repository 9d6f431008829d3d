"""Reads a request body as a whole, or not at all: a part of one must never pass for the whole."""

import zlib

from flask import current_app, request

from api.errors import UnsupportedTypeError, body_too_large
from ledger.errors import InvalidError

_GZIP = frozenset({"gzip", "x-gzip"})
_GZIP_BITS = 31


def read_whole_body(*, limit: int | None = None) -> bytes:
    """Return the body of the current request.

    Under a server that ends the input stream itself, Werkzeug cuts a chunked body at the limit and
    takes an early end of any body for its end, both in silence. So one byte more than allowed is
    read, and what was announced is compared with what came.

    `limit` is in bytes, and that of the settings where none is given.

    A body in gzip is unpacked; the limit holds for what comes over the line and for what is in it.

    Raises:
        TooLargeError: `body_too_large`.
        UnsupportedTypeError: `unsupported_encoding`.
        InvalidError: `truncated_body`, `malformed_gzip`.
    """
    encoding = (request.content_encoding or "identity").strip().lower()
    if encoding != "identity" and encoding not in _GZIP:
        raise UnsupportedTypeError("unsupported_encoding", "Content-Encoding is gzip or left out")
    most: int = current_app.config["MAX_CONTENT_LENGTH"] if limit is None else limit
    body = _read_all(most)
    return unpack_gzip(body, limit=most) if encoding in _GZIP else body


def unpack_gzip(body: bytes, *, limit: int) -> bytes:
    """Return what a gzip body holds; never unpack more than one byte over the limit.

    It is one member: a file may have many, and each of many empty ones would cost a pass.

    Raises:
        TooLargeError: `body_too_large`.
        InvalidError: `malformed_gzip`; it is no gzip, breaks off, or something follows.
    """
    member = zlib.decompressobj(_GZIP_BITS)
    try:
        unpacked = member.decompress(body, limit + 1)
    except zlib.error:
        raise InvalidError("malformed_gzip", "the body is not gzip; send again") from None
    if len(unpacked) > limit:
        raise body_too_large(limit)
    if not member.eof or member.unused_data:
        raise InvalidError("malformed_gzip", "the body is not one whole gzip member; send again")
    return unpacked


def _read_all(limit: int) -> bytes:
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
