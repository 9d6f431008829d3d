"""What a metric is, and what a scrape says of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """Whether a value only ever grows; a histogram counts values by how large they are."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """What a metric is.

    Attributes:
        name: in full, with its unit and, of a counter, `_total`.
        kind: its type in Prometheus.
        unit: what a value counts, the last word of the name; empty where it only says yes or no.
        help: what it says; also when it is not there.
        labels: their names.
    """

    name: str
    kind: Kind = Kind.GAUGE
    unit: str = ""
    help: str
    labels: tuple[str, ...] = ()


class Sample(NamedTuple):
    """A value of a metric of the catalogue, and the values of its labels in their order."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


class Spread(NamedTuple):
    """What a histogram of the catalogue has counted, for one set of labels.

    Attributes:
        counts: by upper bound, those below it together, `+Inf` last.
        total: of all values.
    """

    name: str
    counts: Mapping[str, int]
    total: float
    labels: tuple[str, ...] = ()
