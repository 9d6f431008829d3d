"""Every name that a query may have: the measurements that the relay writes, and the functions."""

from collections.abc import Mapping
from typing import NamedTuple

from collector.relay.points import TENANT_DAY, USAGE, USAGE_COST
from ledger.measures import MEASURE_COLUMNS

TENANT = "tenant"

_INTEGER, _FLOAT, _STRING = "integer", "float", "string"


class Measurement(NamedTuple):
    """The tags of a measurement, and its fields with their types; in the order of their names."""

    tags: tuple[str, ...]
    fields: Mapping[str, str]


def _measurement(tags: tuple[str, ...], fields: dict[str, str]) -> Measurement:
    return Measurement(tags, dict(sorted(fields.items())))


_COUNTS = dict.fromkeys(("count", *MEASURE_COLUMNS), _INTEGER)
_KEY_TAGS = ("channel", "direction", "feature", "model")

MEASUREMENTS: Mapping[str, Measurement] = {
    USAGE: _measurement((*_KEY_TAGS, "price_class", "source", TENANT), _COUNTS),
    USAGE_COST: _measurement(
        (*_KEY_TAGS, "plan", "price_class", "source", TENANT),
        {**_COUNTS, "cost": _FLOAT, "cost_nanos": _INTEGER, "unpriced": _INTEGER},
    ),
    TENANT_DAY: _measurement(
        ("plan", TENANT),
        {
            "name": _STRING,
            **dict.fromkeys(("cost", "ai_cost", "twilio_cost"), _FLOAT),
            **dict.fromkeys(("emails", "unpriced", "ai_unpriced", "twilio_unpriced"), _INTEGER),
        },
    ),
}


class Further(NamedTuple):
    """What a function takes after its column.

    Attributes:
        names: whether columns may come next.
        number: the most that a number at the end may be; None: there is none.
        duration: whether a duration may come at the end.
    """

    names: bool = False
    number: int | None = None
    duration: bool = False


MOST_PLACES = 1000
"""The most that `top`, `bottom` and `moving_average` keep for each group."""

_ONE = Further()
_UNIT = Further(duration=True)

FUNCTIONS: Mapping[str, Further] = {
    **dict.fromkeys(
        ("count", "distinct", "first", "last", "max", "mean", "median", "min", "mode", "spread"),
        _ONE,
    ),
    **dict.fromkeys(("stddev", "sum"), _ONE),
    **dict.fromkeys(("cumulative_sum", "difference", "non_negative_difference"), _ONE),
    **dict.fromkeys(("derivative", "non_negative_derivative", "elapsed", "integral"), _UNIT),
    "percentile": Further(number=100),
    "moving_average": Further(number=MOST_PLACES),
    **dict.fromkeys(("top", "bottom"), Further(names=True, number=MOST_PLACES)),
}
