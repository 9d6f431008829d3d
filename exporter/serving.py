"""What servers counted: the answers of intake, and how long requests took."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import accumulate

from exporter.metric import Sample, Spread
from ledger.counters import BOUNDS, Counted, Counter, read_counters
from ledger.event import Status
from ledger.session import OperatorSession

_MICROSECONDS = 1_000_000


def collect_serving(session: OperatorSession, _now: datetime) -> Iterator[Sample | Spread]:
    """What all servers have counted and written down, since the ledger was made."""
    counted = read_counters(session)
    results = counted[Counter.INTAKE_RESULTS]
    # Each is there from the start: of a series that begins with the first rejection, Prometheus
    # sees no increase.
    for status in Status:
        yield Sample("meterline_intake_results_total", results.get((status,), 0), (status,))
    for labels, value in sorted(counted[Counter.INTAKE_REJECTIONS].items()):
        yield Sample("meterline_intake_rejections_total", value, labels)
    yield from _show_requests(counted)


def _show_requests(counted: Counted) -> Iterator[Spread]:
    buckets: defaultdict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
    for (route, status, bound), value in counted[Counter.HTTP_REQUESTS].items():
        buckets[route, status][bound] = value
    for labels, values in sorted(buckets.items()):
        below = accumulate(values.get(bound, 0) for bound in BOUNDS)
        took = counted[Counter.HTTP_MICROSECONDS].get(labels, 0)
        yield Spread(
            "meterline_http_request_duration_seconds",
            dict(zip(BOUNDS, below, strict=True)),
            took / _MICROSECONDS,
            labels,
        )
