"""What server processes count: in memory first, and every few seconds in the ledger, together.

So one scrape sees all of them, on however many machines, and a process that ended is not forgotten.
Counting writes nothing, and a ledger that is down loses no count; a process that is killed loses
those of the last seconds.
"""

from collections.abc import Mapping
from enum import StrEnum
from threading import Lock
from typing import NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ledger.engine import is_postgresql
from ledger.models import server_counters
from ledger.session import OperatorSession

BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
"""Upper bounds, in seconds, by which requests are counted, as Prometheus writes them."""

_LIMITS = tuple((float(bound), bound) for bound in BOUNDS)
_MICROSECONDS = 1_000_000
_COLUMNS = server_counters.c


class Counter(StrEnum):
    """What is counted, and by which labels."""

    INTAKE_RESULTS = "intake_results"
    """Answers to submitted events: status."""

    INTAKE_REJECTIONS = "intake_rejections"
    """Those of them that reject: reason."""

    HTTP_REQUESTS = "http_requests"
    """Requests: route, class of status, and the least of `BOUNDS` that they took less than."""

    HTTP_MICROSECONDS = "http_microseconds"
    """How long requests took, together: route, class of status."""


class CounterKey(NamedTuple):
    """A counter with the values of its labels; all of them from closed lists."""

    counter: Counter
    labels: tuple[str, ...]


Counts = Mapping[CounterKey, int]


Counted = Mapping[Counter, Mapping[tuple[str, ...], int]]
"""All of a counter, by the values of its labels."""


class Counters:
    """What this process has counted and not yet written down."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[CounterKey, int] = {}

    def add(self, counts: Counts) -> None:
        """Count."""
        with self._lock:
            for key, value in counts.items():
                self._counts[key] = self._counts.get(key, 0) + value

    def take(self) -> Counts:
        """Return what was counted since this was last called; `add` gives it back."""
        with self._lock:
            taken, self._counts = self._counts, {}
        return taken


def count_request(route: str, status: int, seconds: float) -> Counts:
    """Return what one request counts."""
    labels = (route, f"{status // 100}xx")
    bound = next(name for limit, name in _LIMITS if seconds <= limit)
    return {
        CounterKey(Counter.HTTP_REQUESTS, (*labels, bound)): 1,
        CounterKey(Counter.HTTP_MICROSECONDS, labels): int(seconds * _MICROSECONDS),
    }


def write_counters(session: OperatorSession, counts: Counts) -> None:
    """Add counts to those of all processes. The session must be writing: they come one by one."""
    if not counts:
        return
    insert = postgresql.insert if is_postgresql(session.connection) else sqlite.insert
    statement = insert(server_counters)
    statement = statement.on_conflict_do_update(
        index_elements=[_COLUMNS.name, _COLUMNS.labels],
        set_={"value": _COLUMNS.value + statement.excluded.value},
    )
    rows = [
        {
            "name": str(key.counter),
            "labels": orjson.dumps(key.labels).decode(),
            "value": value,
        }
        for key, value in sorted(counts.items())
    ]
    session.connection.execute(statement, rows)


def read_counters(session: OperatorSession) -> Counted:
    """Return what all processes have written down."""
    found: dict[Counter, dict[tuple[str, ...], int]] = {counter: {} for counter in Counter}
    query = sa.select(_COLUMNS.name, _COLUMNS.labels, _COLUMNS.value)
    for name, labels, value in session.connection.execute(query):
        if name in found:  # a newer server may count what this exporter does not know
            found[Counter(name)][tuple(orjson.loads(labels))] = value
    return found
