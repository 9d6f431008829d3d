"""What InfluxDB's answers mean for whoever asked."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import orjson

from ledger.errors import (
    ForbiddenError,
    InvalidError,
    MeterlineError,
    MissingError,
    UnavailableError,
    shorten,
)

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_LARGE = 401, 403, 404, 413
_BAD_REQUEST, _UNPROCESSABLE = 400, 422
_TOO_MANY, _SERVER_ERROR = 429, 500
_GATEWAY_ERRORS = frozenset({502, 504})

_REASON_LENGTH = 300
_OF_LINES = re.compile(r"partial write|unable to parse|type conflict|parsing|parse error")
_GIVEN_UP = re.compile(r"timeout")
"""All that 1.x says of a write that it goes on with and no longer waits for."""
_OF_ORG = re.compile(r"\borgani[sz]ation\b|\borg not found\b", re.IGNORECASE)
_OF_BUCKET = re.compile(r"database not found|bucket|dbrp", re.IGNORECASE)


class UncertainError(UnavailableError):
    """No answer came to what may well have been received: it can still take effect later."""


class RejectedError(Exception):
    """Some lines of a write were refused; the others may be stored. The text is the reason."""


class TooLargeError(Exception):
    """A write was refused for its size."""


@contextmanager
def reading_answer() -> Iterator[None]:
    """Take whatever goes wrong in reading an answer for an answer of something else.

    Raises:
        UnavailableError: `influx_unavailable`, where the answer has not the shape of InfluxDB's.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UnavailableError(
            "influx_unavailable",
            "what answers at this address is not InfluxDB: its answer has another shape",
        ) from error


def cut_short() -> InvalidError:
    """Return the error for an answer that ends before it is complete."""
    return InvalidError("influx_refused", "InfluxDB cuts its answers short; lift its max-row-limit")


def unfit_header() -> InvalidError:
    """Return the error for a header that HTTP cannot send. Its text, a token, is not repeated."""
    return InvalidError(
        "influx_refused",
        "METERLINE_INFLUX_TOKEN has characters that no header of HTTP can hold",
    )


def read_answer(status: int, text: str) -> MeterlineError | RejectedError | TooLargeError:
    """Return what an answer that is no success means.

    Args:
        status: of HTTP.
        text: the body, of which InfluxDB makes a message.
    """
    reason = _read_reason(text) or f"status {status}"
    if status == _TOO_LARGE:
        return TooLargeError(reason)
    if status == _UNPROCESSABLE or (status == _BAD_REQUEST and _OF_LINES.search(text)):
        return RejectedError(reason)
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        return ForbiddenError(
            "influx_token_refused", f"InfluxDB refuses the token ({status}): {reason}"
        )
    if status == _NOT_FOUND or (status == _BAD_REQUEST and _OF_ORG.search(text)):
        return _not_found(text, reason)
    if status == _TOO_MANY or status >= _SERVER_ERROR:
        is_uncertain = status in _GATEWAY_ERRORS or _GIVEN_UP.fullmatch(reason)
        unavailable = UncertainError if is_uncertain else UnavailableError
        return unavailable("influx_unavailable", f"InfluxDB answers {status}: {reason}")
    return InvalidError("influx_refused", f"InfluxDB refuses the request ({status}): {reason}")


def _read_reason(text: str) -> str | None:
    """Return what the body says: JSON with a message, or text, but no page of a proxy."""
    with suppress(orjson.JSONDecodeError):
        document = orjson.loads(text)
        if isinstance(document, dict):
            text = str(document.get("error") or document.get("message") or text)
            text = ": ".join([text, *_read_faults(document.get("data"))])
    return None if text.lstrip().startswith("<") else shorten(text.strip(), _REASON_LENGTH)


def _read_faults(lines: object) -> list[str]:
    """Return what 3.x says of the first faulty line, where it says anything."""
    first = lines[0] if isinstance(lines, list) and lines else None
    fault = first.get("error_message") if isinstance(first, dict) else None
    return [str(fault)] if fault else []


def _not_found(text: str, reason: str) -> MissingError:
    if _OF_ORG.search(text):
        return MissingError(
            "influx_org_missing",
            f"InfluxDB has no organisation as METERLINE_INFLUX_ORG names it: {reason}",
        )
    if _OF_BUCKET.search(text):
        return MissingError(
            "influx_bucket_missing",
            f"InfluxDB has no such bucket; run `meterline influx setup`: {reason}",
        )
    return MissingError(
        "influx_path_missing",
        f"this InfluxDB is older than 1.8, or the address is of something else: {reason}",
    )
