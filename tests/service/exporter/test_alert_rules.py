"""The rules: written from one list, and what promtool sees them do."""

import configparser
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from exporter.alerts import ALERTS
from exporter.catalogue import METRICS
from exporter.rules import render_grafana, render_prometheus
from tests.servers.alertmanager import check_config
from tests.servers.prometheus import run_rules

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES = DEPLOY / "prometheus/rules/meterline.yml"
PINNED = {
    RULES: render_prometheus,
    DEPLOY / "grafana/provisioning/alerting/meterline.yml": render_grafana,
}


class Case(NamedTuple):
    """One alert, at one time.

    Attributes:
        series: what is scraped, once a minute.
        fires: from which minute on it is to be seen.
        over: in which minute it is resolved.
        labels: of the alert.
        summary: what it says.
        description: and what more.
    """

    series: dict[str, str]
    fires: int
    over: int
    labels: dict[str, str]
    summary: str
    description: str


ACME = {"tenant": "acme"}
CASES = {
    "MeterlineHighAiSpend": Case(
        {'meterline_high_ai_share_ratio{tenant="acme"}': "_ _ 0.4x2 stale"},
        2,
        5,
        ACME,
        "AI spend of tenant acme is high",
        "AI is 40% of what the tenant spent today, over both limits.",
    ),
    "MeterlineAiBurnRate": Case(
        {'meterline_hour_ai_burn_ratio{tenant="acme"}': "1 5 6x2 5"},
        2,
        5,
        ACME,
        "Tenant acme spends on AI faster than usual",
        "An hour of AI cost 6 times the tenant's usual one.",
    ),
    "MeterlineAiShareUnknown": Case(
        {"meterline_ai_share_unknown_tenants": "0 2x8 0"},
        6,
        10,
        {},
        "AI spend is not known, since AI usage has no price",
        "2 tenants have such usage today; their AI spend may be high unseen.",
    ),
    "MeterlineSpendSpike": Case(
        {'meterline_hour_burn_ratio{tenant="acme"}': "1 5 6x2 5"},
        2,
        5,
        ACME,
        "Tenant acme spends faster than usual",
        "An hour cost 6 times the tenant's usual one.",
    ),
    "MeterlineUnpricedUsage": Case(
        {'meterline_unpriced_rows{channel="ai"}': "0 7x8 0"},
        6,
        10,
        {"channel": "ai"},
        "Usage of ai has no price",
        "7 rollup rows wait for one.",
    ),
    "MeterlineBudgetExceeded": Case(
        {
            'meterline_budget_used_ratio{tenant="acme",feature="ivr",period="monthly"}': (
                "0.99 1 1.2x2 0.1"
            )
        },
        2,
        5,
        {**ACME, "feature": "ivr", "period": "monthly"},
        "Tenant acme is over its monthly budget",
        "120% of the budget is spent; feature: ivr, all where none is named.",
    ),
    "MeterlineNoticesUnsent": Case(
        {"meterline_waiting_notices_age_seconds": "0 3600 5400x2 0"},
        2,
        5,
        {},
        "Notices of budgets do not go out",
        "The oldest has waited for 1h 30m 0s.",
    ),
    "MeterlineNoticesGivenUp": Case(
        {"meterline_failed_notices": "0 0 2x2 0"},
        2,
        5,
        {},
        "Notices of budgets were given up",
        "2 within a day: nobody is told of what they say.",
    ),
    "MeterlineCostingStale": Case(
        {"meterline_costing_backlog_age_seconds": "300 360x3 0"},
        2,
        5,
        {},
        "Usage waits for costing",
        "The oldest has waited for 6m 0s.",
    ),
    "MeterlineRelayBacklog": Case(
        {"meterline_relay_backlog_age_seconds": "300 660x8 0"},
        6,
        10,
        {},
        "Usage waits to be shipped to InfluxDB",
        "The oldest has waited for 11m 0s.",
    ),
    "MeterlineIntakeRejecting": Case(
        {'meterline_intake_results_total{status="rejected"}': "0x9 20 50 50x20"},
        11,
        25,
        {"status": "rejected"},
        "Submitted events are rejected",
        "50 within ten minutes; they are not booked.",
    ),
    "MeterlineBlind": Case(
        {"meterline_ledger_up": "1 0x3 1x3"},
        2,
        5,
        {},
        "Meterline has no figures: other alerts are silent",
        "The ledger does not answer the exporter, or the exporter is not scraped.",
    ),
    "MeterlineCollectorFailing": Case(
        {
            'meterline_scrape_collector_success{collector="spending"}': "1 0x3 1x3",
            "meterline_ledger_up": "1x7",
        },
        2,
        5,
        {"collector": "spending"},
        "Meterline has no figures of spending: alerts that ask for them are silent",
        "That part of each scrape fails; the exporter says why on standard error.",
    ),
}


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.parent.name)
def test_the_file_of_rules_is_the_committed_one(path: Path) -> None:
    text = PINNED[path]()
    if os.environ.get("METERLINE_PIN"):
        path.write_text(text)
    assert path.read_text() == text


def test_every_alert_is_tested() -> None:
    assert {alert.name for alert in ALERTS} == CASES.keys()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_stays_silent_fires_and_is_resolved(alert: Any, tmp_path: Path) -> None:
    case = CASES[alert.name]
    told = {
        "exp_labels": {"severity": str(alert.severity), **case.labels},
        "exp_annotations": {
            "summary": case.summary,
            "description": case.description,
            "runbook": f"docs/alerts.md#{alert.name.lower()}",
        },
    }
    expected = {case.fires - 1: [], case.fires: [told], case.over: []}
    test = {
        "rule_files": [str(RULES)],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": k, "values": v} for k, v in case.series.items()],
                "alert_rule_test": [
                    {"eval_time": f"{minute}m", "alertname": alert.name, "exp_alerts": alerts}
                    for minute, alerts in expected.items()
                ],
            }
        ],
    }
    path = tmp_path / "test.yml"
    path.write_text(json.dumps(test))
    assert run_rules(path).endswith("SUCCESS"), run_rules(path)


def test_where_the_ledger_is_down_no_collector_is_told_of_by_itself(tmp_path: Path) -> None:
    silent = {"eval_time": "5m", "alertname": "MeterlineCollectorFailing", "exp_alerts": []}
    down = {
        'meterline_scrape_collector_success{collector="spending",instance="a",job="b"}': "0x9",
        'meterline_ledger_up{instance="a",job="b"}': "0x9",
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in down.items()],
        "alert_rule_test": [silent],
    }
    path = tmp_path / "test.yml"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "tests": [test]}))
    assert run_rules(path).endswith("SUCCESS"), run_rules(path)


def test_alerts_fire_when_the_exporter_is_gone(tmp_path: Path) -> None:
    blind = {
        "eval_time": "2m",
        "alertname": "MeterlineBlind",
        "exp_alerts": [
            {
                "exp_labels": {"severity": "critical"},
                "exp_annotations": {
                    "summary": CASES["MeterlineBlind"].summary,
                    "description": CASES["MeterlineBlind"].description,
                    "runbook": "docs/alerts.md#meterlineblind",
                },
            }
        ],
    }
    path = tmp_path / "test.yml"
    test = {"rule_files": [str(RULES)], "tests": [{"interval": "1m", "alert_rule_test": [blind]}]}
    path.write_text(json.dumps(test))
    assert run_rules(path).endswith("SUCCESS"), run_rules(path)


def test_alerts_ask_for_metrics_of_the_catalogue() -> None:
    known = {metric.name for metric in METRICS}
    asked = {word for alert in ALERTS for word in alert.query.replace("(", " ").split()}
    named = {word.rstrip(")").partition("{")[0] for word in asked if word.startswith("meterline_")}
    assert set() == named - known


def test_amtool_finds_nothing_wrong() -> None:
    assert "" == check_config()


def provisioned(path: str) -> Any:
    """Return what a file gives to Grafana."""
    return yaml.safe_load((DEPLOY / "grafana/provisioning" / path).read_text())


def test_grafana_looks_at_the_rules_that_it_is_given() -> None:
    settings = configparser.ConfigParser()
    settings.read(DEPLOY / "grafana/grafana.ini")
    assert settings.getboolean("unified_alerting", "enabled")


def test_rules_have_a_folder_in_grafana_that_no_boards_have() -> None:
    folders = {group["folder"] for group in provisioned("alerting/meterline.yml")["groups"]}
    boards = {one["folder"] for one in provisioned("dashboards/meterline.yaml")["providers"]}
    assert (1, set()) == (len(folders), folders & boards)


def test_rules_ask_a_data_source_that_grafana_is_given() -> None:
    (group,) = provisioned("alerting/meterline.yml")["groups"]
    asked = {
        (group["orgId"], query["datasourceUid"])
        for rule in group["rules"]
        for query in rule["data"]
    }
    given = provisioned("datasources/meterline.yaml")["datasources"]
    there = {(source["orgId"], source["uid"]) for source in given}
    assert {(1, "__expr__")} == asked - there


def test_grafana_tells_of_each_severity_whom_alertmanager_tells() -> None:
    given = provisioned("alerting/receivers.yml")
    (policy,) = given["policies"]
    addresses = {
        point["name"]: [one["settings"]["url"] for one in point["receivers"]]
        for point in given["contactPoints"]
    }
    routes = {
        value: addresses[route["receiver"]]
        for route in policy["routes"]
        for name, sign, value in route["object_matchers"]
        if (name, sign) == ("severity", "=")
    }
    manager = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())
    expected = {
        receiver["name"]: [one["url"] for one in receiver["webhook_configs"]]
        for receiver in manager["receivers"]
    }
    assert (
        {"critical": expected["critical"], "warning": expected["warnings"]},
        {str(alert.severity) for alert in ALERTS},
    ) == ({"warning": addresses[policy["receiver"]], **routes}, {"critical", "warning"})


def test_in_the_compose_stack_prometheus_alone_tells_of_alerts() -> None:
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text())
    grafana = compose["services"]["grafana"]
    read = [volume.split(":")[0] for volume in grafana["volumes"] if "provisioning" in volume]
    assert ("false", []) == (
        grafana["environment"]["GF_UNIFIED_ALERTING_ENABLED"],
        [source for source in read if any((DEPLOY.parent / source).rglob("receivers.yml"))],
    )
