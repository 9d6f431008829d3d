"""What the ledger's small tables say, as samples. A collector reads no raw usage."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial

from exporter.budgets import collect_budgets
from exporter.burning import collect_burning
from exporter.metric import Sample, Spread
from exporter.serving import collect_serving
from exporter.spending import collect_spending
from exporter.store import read_newest_hour
from exporter.watch import Watch
from ledger.batches import measure_backlog, read_last_costed
from ledger.missing import Missing, measure_flat_rated, measure_unpriced
from ledger.session import OperatorSession
from ledger.shipping import measure_unshipped, read_health
from ledger.units import load_catalogue

Collect = Callable[[OperatorSession, datetime], Iterator[Sample | Spread]]
"""Returns what one transaction sees at an instant."""


def choose_collectors(watch: Watch, *, ships: bool) -> Mapping[str, Collect]:
    """Return the collectors by name, in the order in which a scrape asks them.

    Args:
        watch: which tenants have series.
        ships: InfluxDB is configured; without it there is no collector of the relay.
    """
    relay: dict[str, Collect] = {"relay": collect_relay} if ships else {}
    return {
        "costing": collect_costing,
        "prices": collect_prices,
        **relay,
        "serving": collect_serving,
        "spending": partial(collect_spending, watch),
        "burning": partial(collect_burning, watch),
        "budgets": collect_budgets,
    }


def collect_costing(session: OperatorSession, now: datetime) -> Iterator[Sample]:
    """What waits for costing, when it was last done, and how fresh that leaves the rollups."""
    waits = measure_backlog(session)
    yield Sample("meterline_costing_backlog_batches", waits.batches)
    yield Sample("meterline_costing_backlog_events", waits.events)
    yield Sample("meterline_costing_backlog_age_seconds", _age(waits.oldest, now))
    costed_at = read_last_costed(session)
    if costed_at is not None:
        yield Sample("meterline_costing_last_run_timestamp_seconds", costed_at.timestamp())
    until = now if waits.oldest is None else min(waits.oldest, now)
    yield Sample("meterline_rollups_complete_until_timestamp_seconds", until.timestamp())
    newest = read_newest_hour(session, now=now)
    if newest is not None:
        yield Sample("meterline_rollups_newest_hour_timestamp_seconds", newest.timestamp())


def collect_prices(session: OperatorSession, now: datetime) -> Iterator[Sample]:
    """What has no price of its own. Every channel is there, so that none is missed when it is 0."""
    unpriced = measure_unpriced(session)
    for channel in load_catalogue().channels:
        found = unpriced.get(channel.name, Missing(0, 0))
        yield Sample("meterline_unpriced_rows", found.rows, (channel.name,))
        yield Sample("meterline_unpriced_usages", found.usages, (channel.name,))
    flat_rated = measure_flat_rated(session, now=now)
    yield Sample("meterline_flat_rated_rows", flat_rated.rows)
    yield Sample("meterline_flat_rated_usages", flat_rated.usages)


def collect_relay(session: OperatorSession, now: datetime) -> Iterator[Sample]:
    """What waits to be shipped, what never will be, and how shipping goes."""
    waits = measure_unshipped(session)
    yield Sample("meterline_relay_backlog_events", waits.events)
    yield Sample("meterline_relay_backlog_dates", waits.days)
    yield Sample("meterline_relay_backlog_rows", waits.rows)
    yield Sample("meterline_relay_backlog_age_seconds", _age(waits.oldest, now))
    yield Sample("meterline_relay_quarantined_points", waits.quarantined)
    yield Sample("meterline_relay_held_measurements", waits.held)
    yield Sample("meterline_relay_expired_points_total", waits.expired)
    health = read_health(session)
    fails = health is not None and health.recovered_at is None
    yield Sample("meterline_relay_failing", fails)
    yield Sample("meterline_relay_consecutive_failures", health.failures if health and fails else 0)
    if health is not None:
        yield Sample("meterline_relay_last_failure_timestamp_seconds", health.failed_at.timestamp())


def _age(since: datetime | None, now: datetime) -> float:
    """Return the seconds since then; clocks of two machines may differ, ages are not negative."""
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
