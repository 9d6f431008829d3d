"""Events one by one over HTTP into `meterline serve`, against a bare Flask route."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from random import Random
from statistics import quantiles

from bench.booking import ai_event
from bench.postgresql.batches import empty, register
from bench.postgresql.client import is_up, make_request, post_all
from bench.postgresql.server import make_ingest_key, open_database, run_module, serve
from bench.table import Line
from bench.timing import Side, Work, alternate
from tests.processes import free_port
from tests.servers.postgresql import Database

EVENTS = 3200
CLIENTS = 32
ASKED = 0.6


def measure() -> list[Line]:
    """Compare the time of all requests, and of the slowest in a hundred."""
    events = [ai_event(Random(n), n) for n in range(EVENTS)]
    bare = free_port()
    with (
        open_database() as database,
        serve(database) as ours,
        run_module(
            "bench.postgresql.route", str(bare), database.url, is_ready=partial(is_up, bare)
        ),
    ):
        register(database)
        secret = make_ingest_key(database)
        posts = {
            "ours": (ours, [make_request("/api/v1/events", event, secret) for event in events]),
            "bare": (bare, [make_request("/events", event, secret) for event in events]),
        }
        waited: dict[str, list[float]] = {name: [] for name in posts}
        sides: dict[str, Side] = {
            name: partial(_post, database, port, requests, waited[name])
            for name, (port, requests) in posts.items()
        }
        taken = alternate(sides)
    slowest = {name: quantiles(seconds[EVENTS:], n=100)[-1] for name, seconds in waited.items()}
    name = f"post {EVENTS:,} events, one a request, {CLIENTS} clients{{}} / bare Flask route".format
    return [
        Line(name(part), seconds["ours"], seconds["bare"], seconds["bare"] / seconds["ours"], asked)
        for part, seconds, asked in (
            ("", taken, f">= {ASKED}"),
            (", p99", slowest, f">= {ASKED}"),
        )
    ]


@contextmanager
def _post(
    database: Database, port: int, requests: Sequence[bytes], waited: list[float]
) -> Iterator[Work]:
    """Note the seconds of each request, too; those of the warm-up come first."""
    empty(database)
    yield lambda: waited.extend(post_all(port, requests, clients=CLIENTS))
    stored = database.server.look(
        "SELECT (SELECT count(*) FROM usage_metrics) + (SELECT count(*) FROM bare)",
        database=database.name,
    )
    if stored != [(len(requests),)]:
        raise AssertionError(f"{stored} events were stored")
