"""Checks the ids under which usage is booked. Pure functions."""

from collector.metadata import check_identifier
from ledger.errors import InvalidError
from ledger.event import OWN_ID_PREFIX

MAX_ID = 255


def parse_id(value: object, *, key: str = "id") -> str:
    """Check an id that somebody else chose.

    Raises:
        InvalidError: `missing_id`, `invalid_id`, `reserved_id` or `personal_data`.
    """
    if value is None:
        raise InvalidError("missing_id", "give the provider's own id, or make one once", key=key)
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID or not value.isprintable():
        raise InvalidError(
            "invalid_id",
            f"{key} is text of 1 to {MAX_ID} printable characters",
            key=key,
            value=value,
        )
    if value.startswith(OWN_ID_PREFIX):
        raise InvalidError(
            "reserved_id", f"ids that begin with {OWN_ID_PREFIX} are our own", key=key, value=value
        )
    check_identifier(value, key=key)
    return value
