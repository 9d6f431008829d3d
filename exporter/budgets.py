"""Budgets, their notices and anomalies of spend: metrics as data, and what a scrape says of them.

They come from what the worker wrote down, and not from the rollups: some seconds old, and small.
"""

from collections.abc import Iterator
from datetime import datetime

from exporter.metric import Metric, Sample
from exporter.spending import to_usd
from ledger.anomalies import count_anomalies, listed_since, read_anomalies
from ledger.budget_notices import measure_undelivered
from ledger.budget_standings import count_standings, read_most_used
from ledger.session import OperatorSession

MOST_BUDGETS = 1000
"""Most budgets that have a series of their own: those of which most is used."""

MOST_ANOMALIES = 100
"""Most tenants and channels with a series of their own: those with the greatest excess."""

METRICS = (
    Metric(
        name="meterline_budget_used_ratio",
        unit="ratio",
        help="What part of a budget is spent in the period that is running, 1 is all of it; without"
        " what has no price. `feature` is empty for all usage. The 1,000 budgets most used.",
        labels=("tenant", "feature", "period"),
    ),
    Metric(
        name="meterline_running_budgets",
        unit="budgets",
        help="All budgets whose period is running.",
    ),
    Metric(
        name="meterline_exceeded_budgets",
        unit="budgets",
        help="Those of them that are spent in full, each counted.",
    ),
    Metric(
        name="meterline_waiting_notices",
        unit="notices",
        help="Notices of budgets that wait to be sent.",
    ),
    Metric(
        name="meterline_waiting_notices_age_seconds",
        unit="seconds",
        help="How long ago the oldest notice that waits was made; 0 where none waits.",
    ),
    Metric(
        name="meterline_failed_notices",
        unit="notices",
        help="Notices of budgets that were given up within a day; not those of closed tenants.",
    ),
    Metric(
        name="meterline_spend_anomalies",
        unit="anomalies",
        help="Dates of tenants and channels, of at least the last seven, with far more spend than"
        " usual.",
    ),
    Metric(
        name="meterline_spend_anomaly_excess_usd",
        unit="usd",
        help="How much more than usual was spent on such a date, the worst of these dates."
        " The 100 tenants and channels with most.",
        labels=("tenant", "channel"),
    ),
)


def collect_budgets(session: OperatorSession, now: datetime) -> Iterator[Sample]:
    """How far budgets are spent, what of that is not told yet, and what is unusual."""
    for tenant_id, one in read_most_used(session, now=now, limit=MOST_BUDGETS):
        labels = (tenant_id, one.feature or "", one.period)
        yield Sample("meterline_budget_used_ratio", one.spent / one.amount, labels)
    running, exceeded = count_standings(session, now=now)
    yield Sample("meterline_running_budgets", running)
    yield Sample("meterline_exceeded_budgets", exceeded)
    undelivered = measure_undelivered(session, now=now)
    oldest = undelivered.oldest
    age = 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
    yield Sample("meterline_waiting_notices", undelivered.waiting)
    yield Sample("meterline_waiting_notices_age_seconds", age)
    yield Sample("meterline_failed_notices", undelivered.failed)
    yield from _collect_anomalies(session, now)


def _collect_anomalies(session: OperatorSession, now: datetime) -> Iterator[Sample]:
    since = listed_since(now)
    yield Sample("meterline_spend_anomalies", count_anomalies(session, since=since))
    worst: dict[tuple[str, ...], int] = {}
    # The greatest comes first.
    for tenant_id, _, one in read_anomalies(session, since=since, limit=MOST_ANOMALIES):
        worst.setdefault((tenant_id, one.channel), one.spent - one.usual)
    for labels, excess in worst.items():
        yield Sample("meterline_spend_anomaly_excess_usd", to_usd(excess), labels)
