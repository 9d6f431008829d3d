"""What a hook leaves on an object of the host, so that the object can still be copied and pickled.

A sink belongs to one process and its threads: it can be neither. A deep or pickled copy of a
metered client is therefore a bare one, which can be metered again.
"""

from collections.abc import Callable
from typing import Any


class Detachable:
    """Stands on an object as `ours`; on a deep or pickled copy of it stands what was there before.

    Args:
        ours: what the hook puts there.
        bare: what the object has without the hook, such as its own method; None: nothing.
    """

    __slots__ = ("bare", "ours")

    def __init__(self, ours: Callable[..., Any], bare: object) -> None:
        self.ours = ours
        self.bare = bare

    def __call__(self, *values: Any, **named: Any) -> Any:
        """Do what ours does."""
        return self.ours(*values, **named)

    def __reduce__(self) -> tuple[Callable[[object], object], tuple[object]]:
        return same, (self.bare,)


def same(value: object) -> object:
    """Return the value: an object that is pickled as another one says so by this."""
    return value
