"""Why a query is refused."""

from ledger.errors import InvalidError


def refuse(reason: str) -> InvalidError:
    """Return the error of a query that is not taken; the reason says what is."""
    return InvalidError("query_refused", reason)
