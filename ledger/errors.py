"""The few kinds of error, each with a stable code and the offending key and value."""

from enum import StrEnum


class Kind(StrEnum):
    """What went wrong, in the five ways a caller can react to."""

    INVALID = "invalid"
    FORBIDDEN = "forbidden"
    MISSING = "missing"
    CONFLICT = "conflict"
    UNAVAILABLE = "unavailable"


class MeterlineError(Exception):
    """Base of every error that Meterline raises on purpose.

    Attributes:
        kind: decides the HTTP status and the exit code.
        code: stable, documented name, such as `unknown_channel`.
        message: one sentence for a person, with what to do where that is known.
        key: the offending field, or None.
        value: the offending value, shortened, never a secret, or None.
    """

    kind: Kind

    def __init__(
        self, code: str, message: str, *, key: str | None = None, value: object = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.key = shorten(key)
        self.value = shorten(value)


class InvalidError(MeterlineError):
    """The input cannot mean anything; sending it again will not help."""

    kind = Kind.INVALID


class ForbiddenError(MeterlineError):
    """The caller may not do this."""

    kind = Kind.FORBIDDEN


class MissingError(MeterlineError):
    """What is named does not exist."""

    kind = Kind.MISSING


class ConflictError(MeterlineError):
    """What is asked contradicts what is stored."""

    kind = Kind.CONFLICT


class UnavailableError(MeterlineError):
    """A part that is needed does not answer; sending it again will help."""

    kind = Kind.UNAVAILABLE


def shorten(value: object, limit: int = 80) -> str | None:
    """Return `value` as text that is safe to echo: printable, at most `limit` characters."""
    if value is None:
        return None
    text = "".join(c if c.isprintable() else "?" for c in str(value)[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"
