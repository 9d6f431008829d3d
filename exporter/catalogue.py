"""Every metric that a scrape can show, as data. A metric that is not here cannot be served."""

from exporter import budgets
from exporter.metric import Kind, Metric

METRICS: tuple[Metric, ...] = (
    Metric(
        name="meterline_ledger_up",
        help="1 where the ledger answers this scrape, else 0 and no figures.",
    ),
    Metric(
        name="meterline_scrape_collector_success",
        help="1 where this scrape has the collector's metrics, else 0 and none of them.",
        labels=("collector",),
    ),
    Metric(
        name="meterline_scrape_collector_duration_seconds",
        unit="seconds",
        help="How long the collector took in this scrape.",
        labels=("collector",),
    ),
    Metric(
        name="meterline_costing_backlog_batches",
        unit="batches",
        help="Booked batches that wait for costing: one a tenant and booking.",
    ),
    Metric(
        name="meterline_costing_backlog_events",
        unit="events",
        help="Booked events that wait for costing.",
    ),
    Metric(
        name="meterline_costing_backlog_age_seconds",
        unit="seconds",
        help="How long ago the oldest event that waits for costing was booked; 0 where none waits.",
    ),
    Metric(
        name="meterline_costing_last_run_timestamp_seconds",
        unit="seconds",
        help="When usage of any tenant was last costed, as Unix time; absent before the first.",
    ),
    Metric(
        name="meterline_unpriced_rows",
        unit="rows",
        help="Rollup rows that nothing has a price for, whenever they were used.",
        labels=("channel",),
    ),
    Metric(
        name="meterline_unpriced_usages",
        unit="usages",
        help="The usages in these rows; corrections carry a sign.",
        labels=("channel",),
    ),
    Metric(
        name="meterline_flat_rated_rows",
        unit="rows",
        help="Rollup rows of AI usage that the flat map rated, of the last 30 days.",
    ),
    Metric(
        name="meterline_flat_rated_usages",
        unit="usages",
        help="The usages in these rows; corrections carry a sign.",
    ),
    Metric(
        name="meterline_relay_backlog_events",
        unit="events",
        help="Costed events that wait to be shipped to InfluxDB.",
    ),
    Metric(
        name="meterline_relay_backlog_dates",
        unit="dates",
        help="Local dates of tenants with figures that changed since they were shipped.",
    ),
    Metric(
        name="meterline_relay_backlog_rows",
        unit="rows",
        help="Rollup rows that changed since they were shipped.",
    ),
    Metric(
        name="meterline_relay_backlog_age_seconds",
        unit="seconds",
        help="How long ago the oldest event that waits to be shipped was booked; 0 where no event"
        " waits, also where figures do.",
    ),
    Metric(
        name="meterline_relay_quarantined_points",
        unit="points",
        help="Points that InfluxDB refused and that are put aside.",
    ),
    Metric(
        name="meterline_relay_expired_points_total",
        kind=Kind.COUNTER,
        unit="points",
        help="Points that were not sent, since they were older than their bucket keeps any.",
    ),
    Metric(
        name="meterline_relay_failing",
        help="1 where shipping to InfluxDB failed last, 0 where it went well or never failed.",
    ),
    Metric(
        name="meterline_relay_consecutive_failures",
        unit="failures",
        help="How often shipping has failed in a row, as the relay counts that failed last;"
        " 0 where it went well again.",
    ),
    Metric(
        name="meterline_relay_last_failure_timestamp_seconds",
        unit="seconds",
        help="When shipping failed last, as Unix time; absent where it never did.",
    ),
    *budgets.METRICS,
)

CATALOGUE = {metric.name: metric for metric in METRICS}
"""The metrics by name."""
