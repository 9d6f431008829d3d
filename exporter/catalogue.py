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
        name="meterline_rollups_complete_until_timestamp_seconds",
        unit="seconds",
        help="All usage that was booked until then is in the rollups, as Unix time.",
    ),
    Metric(
        name="meterline_rollups_newest_hour_timestamp_seconds",
        unit="seconds",
        help="Start of the newest UTC hour with costed usage, as Unix time; absent without any.",
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
        help="Since when the oldest event or figure has waited to be shipped; 0 where none waits.",
    ),
    Metric(
        name="meterline_relay_quarantined_points",
        unit="points",
        help="Points that InfluxDB refused and that are put aside.",
    ),
    Metric(
        name="meterline_relay_held_measurements",
        unit="measurements",
        help="Measurements of tenants that are held back, since InfluxDB refuses most of them.",
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
    Metric(
        name="meterline_today_usages",
        unit="usages",
        help="Usages of today, each tenant's own day, that are costed; corrections carry a sign.",
        labels=("channel", "source", "feature"),
    ),
    Metric(
        name="meterline_today_cost_usd",
        unit="usd",
        help="What those of them cost that have a price; as all costs here an indication.",
        labels=("channel", "source", "feature"),
    ),
    Metric(
        name="meterline_today_unpriced_usages",
        unit="usages",
        help="Those of them that nothing has a price for.",
        labels=("channel", "source", "feature"),
    ),
    Metric(
        name="meterline_today_active_tenants",
        unit="tenants",
        help="Tenants with costed usage on their today.",
    ),
    Metric(
        name="meterline_today_ai_share_ratio",
        unit="ratio",
        help="AI's part of what all tenants spent today; absent where it is not known.",
    ),
    Metric(
        name="meterline_tenant_today_cost_usd",
        unit="usd",
        help="What those tenants spent today that spent most; the others together are _other.",
        labels=("tenant",),
    ),
    Metric(
        name="meterline_tenant_today_ai_cost_usd",
        unit="usd",
        help="What the same tenants spent on AI today; the others together are _other.",
        labels=("tenant",),
    ),
    Metric(
        name="meterline_tenant_today_ai_share_ratio",
        unit="ratio",
        help="AI's part of what the same tenants spent today; absent where it is not known.",
        labels=("tenant",),
    ),
    Metric(
        name="meterline_high_ai_tenants",
        unit="tenants",
        help="Tenants whose AI spend today is over both limits, all of them.",
    ),
    Metric(
        name="meterline_high_ai_cost_usd",
        unit="usd",
        help="What each of them spent on AI today, of at most 1,000, those that spent most.",
        labels=("tenant",),
    ),
    Metric(
        name="meterline_high_ai_share_ratio",
        unit="ratio",
        help="AI's part of what each of these tenants spent today; at least that where some AI"
        " usage has no price.",
        labels=("tenant",),
    ),
    Metric(
        name="meterline_ai_share_unknown_tenants",
        unit="tenants",
        help="Tenants with AI usage today that has no price, so that AI's share may be more than is"
        " known.",
    ),
    Metric(
        name="meterline_hour_costly_tenants",
        unit="tenants",
        help="Tenants that spent much in this UTC hour or the one before, all of them.",
    ),
    Metric(
        name="meterline_hour_cost_usd",
        unit="usd",
        help="What each of them spent in the dearer hour, of at most 250 tenants.",
        labels=("tenant",),
    ),
    Metric(
        name="meterline_hour_burn_ratio",
        unit="ratio",
        help="That by the tenant's usual hour of the last 7 days; absent with fewer than 12 hours.",
        labels=("tenant",),
    ),
    Metric(
        name="meterline_hour_ai_costly_tenants",
        unit="tenants",
        help="Tenants that spent much on AI in this UTC hour or the one before, all of them.",
    ),
    Metric(
        name="meterline_hour_ai_cost_usd",
        unit="usd",
        help="What each of them spent on AI in the dearer hour, of at most 250 tenants.",
        labels=("tenant",),
    ),
    Metric(
        name="meterline_hour_ai_burn_ratio",
        unit="ratio",
        help="That by the tenant's usual hour of AI spend; absent with fewer than 12 such hours.",
        labels=("tenant",),
    ),
    Metric(
        name="meterline_intake_results_total",
        kind=Kind.COUNTER,
        unit="results",
        help="What servers answered to submitted events.",
        labels=("status",),
    ),
    Metric(
        name="meterline_intake_rejections_total",
        kind=Kind.COUNTER,
        unit="rejections",
        help="Those of them that reject, by the error code; absent before the first of each.",
        labels=("reason",),
    ),
    Metric(
        name="meterline_http_request_duration_seconds",
        kind=Kind.HISTOGRAM,
        unit="seconds",
        help="How long servers took for requests, until the end of the answer was handed over.",
        labels=("route", "status"),
    ),
    *budgets.METRICS,
)

CATALOGUE = {metric.name: metric for metric in METRICS}
"""The metrics by name."""
