"""Every alert, as data: the rules of Prometheus and those of Grafana are written from this list."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Who is to look, and when."""

    CRITICAL = "critical"
    """Usage is late or figures are blind: somebody, now."""

    WARNING = "warning"
    """Money or prices: somebody, today."""


class Reading(StrEnum):
    """How a value is told: by which function that both template languages have."""

    PERCENTAGE = "humanizePercentage"
    NUMBER = "humanize"
    DURATION = "humanizeDuration"


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """What is told, when, and how.

    Attributes:
        name: of the rule; its heading in `docs/alerts.md`.
        query: in PromQL, of one value a series.
        above: it fires for each series whose value is greater.
        minutes: for how long it must be so.
        summary: in one sentence; `{label}` is the value of a label.
        description: what more there is to say; `{value}` is the value, told as `reading` says.
    """

    name: str
    query: str
    above: float
    minutes: int
    severity: Severity
    summary: str
    description: str
    reading: Reading = Reading.NUMBER


BURN = 5
"""How many times its usual hour an hour costs that is told."""

REJECTED = 20
"""Rejected events within ten minutes from which on it is no single slip."""

UNSENT_SECONDS = 3600
"""How long a notice is tried before somebody is told: some seven times."""

STALE_SECONDS = 300
"""How long usage waits before `meterline doctor` calls it wrong, too."""

ALERTS = (
    Alert(
        name="MeterlineHighAiSpend",
        query="meterline_high_ai_share_ratio",
        above=0,
        minutes=0,
        severity=Severity.WARNING,
        summary="AI spend of tenant {tenant} is high",
        description="AI is {value} of what the tenant spent today, over both limits.",
        reading=Reading.PERCENTAGE,
    ),
    Alert(
        name="MeterlineAiBurnRate",
        query="meterline_hour_ai_burn_ratio",
        above=BURN,
        minutes=0,
        severity=Severity.WARNING,
        summary="Tenant {tenant} spends on AI faster than usual",
        description="An hour of AI cost {value} times the tenant's usual one.",
    ),
    Alert(
        name="MeterlineAiShareUnknown",
        query="meterline_ai_share_unknown_tenants",
        above=0,
        minutes=5,
        severity=Severity.WARNING,
        summary="AI spend is not known, since AI usage has no price",
        description="{value} tenants have such usage today; their AI spend may be high unseen.",
    ),
    Alert(
        name="MeterlineSpendSpike",
        query="meterline_hour_burn_ratio",
        above=BURN,
        minutes=0,
        severity=Severity.WARNING,
        summary="Tenant {tenant} spends faster than usual",
        description="An hour cost {value} times the tenant's usual one.",
    ),
    Alert(
        name="MeterlineUnpricedUsage",
        query="meterline_unpriced_rows",
        above=0,
        minutes=5,
        severity=Severity.WARNING,
        summary="Usage of {channel} has no price",
        description="{value} rollup rows wait for one.",
    ),
    Alert(
        name="MeterlineBudgetExceeded",
        query="meterline_budget_used_ratio",
        above=1,
        minutes=0,
        severity=Severity.WARNING,
        summary="Tenant {tenant} is over its {period} budget",
        description="{value} of the budget is spent; feature: {feature}, all where none is named.",
        reading=Reading.PERCENTAGE,
    ),
    Alert(
        name="MeterlineNoticesUnsent",
        query="meterline_waiting_notices_age_seconds",
        above=UNSENT_SECONDS,
        minutes=0,
        severity=Severity.WARNING,
        summary="Notices of budgets do not go out",
        description="The oldest has waited for {value}.",
        reading=Reading.DURATION,
    ),
    Alert(
        name="MeterlineNoticesGivenUp",
        query="meterline_failed_notices",
        above=0,
        minutes=0,
        severity=Severity.WARNING,
        summary="Notices of budgets were given up",
        description="{value} within a day: nobody is told of what they say.",
    ),
    Alert(
        name="MeterlineCostingStale",
        query="meterline_costing_backlog_age_seconds",
        above=STALE_SECONDS,
        minutes=1,
        severity=Severity.CRITICAL,
        summary="Usage waits for costing",
        description="The oldest has waited for {value}.",
        reading=Reading.DURATION,
    ),
    Alert(
        name="MeterlineRelayBacklog",
        query="meterline_relay_backlog_age_seconds",
        above=STALE_SECONDS,
        minutes=5,
        severity=Severity.CRITICAL,
        summary="Usage waits to be shipped to InfluxDB",
        description="The oldest has waited for {value}.",
        reading=Reading.DURATION,
    ),
    Alert(
        name="MeterlineIntakeRejecting",
        query='increase(meterline_intake_results_total{status="rejected"}[10m])',
        above=REJECTED,
        minutes=0,
        severity=Severity.CRITICAL,
        summary="Submitted events are rejected",
        description="{value} within ten minutes; they are not booked.",
    ),
    Alert(
        name="MeterlineBlind",
        query="1 - meterline_ledger_up or absent(meterline_ledger_up)",
        above=0,
        minutes=1,
        severity=Severity.CRITICAL,
        summary="Meterline has no figures: other alerts are silent",
        description="The ledger does not answer the exporter, or the exporter is not scraped.",
    ),
    Alert(
        name="MeterlineCollectorFailing",
        # Where the ledger is down all of them are, which MeterlineBlind tells in one.
        query="1 - meterline_scrape_collector_success"
        " unless on (instance, job) (meterline_ledger_up == 0)",
        above=0,
        minutes=1,
        severity=Severity.CRITICAL,
        summary="Meterline has no figures of {collector}: alerts that ask for them are silent",
        description="That part of each scrape fails; the exporter says why on standard error.",
    ),
)
"""In the order of the documentation."""
