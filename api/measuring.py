"""Counts what requests came to and how long they took, for the exporter."""

import time
from collections import Counter as Tally
from collections.abc import Iterable

from flask import Flask, Response, current_app, g, request

from api.services import Services
from collector.intake import Result
from ledger.counters import Counter, CounterKey, Counters, count_request
from ledger.event import Status

NO_ROUTE = "none"
"""Route of requests that no route answers: what was asked for may be anything."""


def measure_requests(app: Flask) -> None:
    """Count every request of an application; to be called before anything else sees requests."""
    app.before_request(_begin)
    app.after_request(_end_with_answer)


def count_results(counters: Counters, results: Iterable[Result]) -> None:
    """Count what became of submitted events, and of those rejected the reasons."""
    counts: Tally[CounterKey] = Tally()
    for result in results:
        counts[CounterKey(Counter.INTAKE_RESULTS, (str(result.status),))] += 1
        if result.status is Status.REJECTED:
            counts[CounterKey(Counter.INTAKE_REJECTIONS, (result.code or "",))] += 1
    counters.add(counts)


def _begin() -> None:
    g.begun = time.perf_counter()


def _end_with_answer(response: Response) -> Response:
    counters = Services.of(current_app).counters
    rule = request.url_rule
    route = NO_ROUTE if rule is None else rule.rule
    begun, status = g.begun, response.status_code

    def end() -> None:
        counters.add(count_request(route, status, time.perf_counter() - begun))

    # An export is sent while it is read: it ends when its last part was handed over.
    response.call_on_close(end)
    return response
