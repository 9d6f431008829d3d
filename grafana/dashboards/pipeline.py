"""The board of the pipeline, for ops: what waits, for how long, and what goes wrong.

Every exporter of a ledger says the same of it, so panels take the highest of what all say.
"""

from grafana.dashboards.catalogue import PIPELINE, PanelRef
from grafana.dashboards.fields import COUNT, SECONDS, Json, text_mapping
from grafana.dashboards.panels import METRICS, Content, lines, metric_target, stat


def build_panels() -> list[Json]:
    """Return the panels, in the order of their references."""
    builders = (
        _ledger, _shipping, _last_costing, _quarantined, _intake, _relay, _lag, _errors, _unpriced,
        _scrapes,
    )  # fmt: skip
    return [build(ref) for build, ref in zip(builders, PIPELINE.panels, strict=True)]


def _ledger(ref: PanelRef) -> Json:
    content = _now(
        "Whether the ledger answers the exporter. Where it does not, all else here is missing.",
        "min(meterline_ledger_up)",
        empty="no exporter",
    )
    return stat(ref, content, mappings=[text_mapping({"1": "answers", "0": "does not answer"})])


def _shipping(ref: PanelRef) -> Json:
    content = _now(
        "Whether shipping to InfluxDB went well last. Nothing is lost while it does not: what is"
        " due stays due.",
        "max(meterline_relay_failing)",
        empty="no InfluxDB set",
    )
    return stat(ref, content, mappings=[text_mapping({"0": "goes well", "1": "fails"})])


def _last_costing(ref: PanelRef) -> Json:
    content = _now(
        "How long ago usage of any tenant was last costed. That is long where there is no usage:"
        " look at what waits for costing, too.",
        "time() - max(meterline_costing_last_run_timestamp_seconds)",
        unit=SECONDS,
        empty="never",
    )
    return stat(ref, content)


def _quarantined(ref: PanelRef) -> Json:
    content = _now(
        "Points that InfluxDB refused and that are put aside. `meterline doctor` has the reason.",
        "max(meterline_relay_quarantined_points)",
        empty="no InfluxDB set",
    )
    return stat(ref, content)


def _intake(ref: PanelRef) -> Json:
    return lines(
        ref,
        _over_time(
            "What intake has booked and costing has not taken yet. A level that grows means that"
            " `meterline work` does not run, or is too slow.",
            {
                "events": "max(meterline_costing_backlog_events)",
                "batches": "max(meterline_costing_backlog_batches)",
            },
        ),
    )


def _relay(ref: PanelRef) -> Json:
    return lines(
        ref,
        _over_time(
            "What is costed and not shipped to InfluxDB yet: events, and figures that changed.",
            {
                "events": "max(meterline_relay_backlog_events)",
                "rows": "max(meterline_relay_backlog_rows)",
                "dates": "max(meterline_relay_backlog_dates)",
            },
        ),
    )


def _lag(ref: PanelRef) -> Json:
    return lines(
        ref,
        _over_time(
            "How long ago the oldest event was booked that waits: how old figures are.",
            {
                "for costing": "max(meterline_costing_backlog_age_seconds)",
                "for shipping": "max(meterline_relay_backlog_age_seconds)",
            },
            unit=SECONDS,
        ),
    )


def _errors(ref: PanelRef) -> Json:
    return lines(
        ref,
        _over_time(
            "How often shipping has failed in a row, and how many points were not sent within the"
            " hour before, since they were older than their bucket keeps any.",
            {
                "failures in a row": "max(meterline_relay_consecutive_failures)",
                "expired points": "max(increase(meterline_relay_expired_points_total[1h]))",
            },
        ),
    )


def _unpriced(ref: PanelRef) -> Json:
    return lines(
        ref,
        _over_time(
            "Usages that nothing has a price for, by channel, whenever they were used, and usages"
            " of AI of the last 30 days that the flat map rated.",
            {
                "unpriced {{channel}}": "max by (channel) (meterline_unpriced_usages)",
                "AI at the flat rate": "max(meterline_flat_rated_usages)",
            },
        ),
    )


def _scrapes(ref: PanelRef) -> Json:
    return lines(
        ref,
        _over_time(
            "How long each collector of the exporter takes for a scrape; none where it failed.",
            {
                "{{collector}}": "max by (collector) (meterline_scrape_collector_duration_seconds"
                " and on (instance, collector) meterline_scrape_collector_success == 1)"
            },
            unit=SECONDS,
        ),
    )


def _now(description: str, expression: str, *, unit: str = COUNT, empty: str) -> Content:
    return Content(
        description=description,
        source=METRICS,
        targets=[metric_target("A", expression, instant=True)],
        unit=unit,
        empty=empty,
    )


def _over_time(description: str, by_legend: dict[str, str], *, unit: str = COUNT) -> Content:
    refs = "ABC"
    return Content(
        description=description,
        source=METRICS,
        targets=[
            metric_target(ref, expression, legend)
            for ref, (legend, expression) in zip(refs, by_legend.items(), strict=False)
        ],
        unit=unit,
        empty="no exporter",
    )
