"""Whether Grafana has what is wanted: by content, since anybody can leave a tag or a title."""

from typing import Any


def has_all(found: Any, wanted: Any) -> bool:
    """Whether all that is wanted is in what was found.

    Grafana adds defaults of its own to objects; a list has the same entries in the same order.
    """
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            has_all(found.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(map(has_all, found, wanted))
        )
    # True is 1 in Python; in JSON it is not.
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)
