"""How long to wait before the next try. A pure function of how often it failed."""

_MOST_DOUBLINGS = 20


def delay_of(failures: int, *, first: float, longest: float, chance: float) -> float:
    """Return the seconds to wait after a number of failures in a row.

    The bound doubles from failure to failure; the wait is between half of it and all of it, so that
    many processes that failed at once do not come back at once.

    Args:
        failures: 1 or more.
        first: the bound after the first failure, in seconds.
        longest: the bound that is never passed.
        chance: from 0 to 1, where between half and all.
    """
    bound = min(longest, first * float(2 ** min(failures - 1, _MOST_DOUBLINGS)))
    return bound * (0.5 + chance / 2)
