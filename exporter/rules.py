"""Writes the alerts down as rules: for Prometheus, and for alerting that Grafana manages."""

import json
import re
from collections.abc import Mapping
from typing import Any

from exporter.alerts import ALERTS, Alert

_GENERATED = "# Generated from exporter/alerts.py by `make pin`; a change by hand is lost.\n"
_DOCUMENT = "docs/alerts.md"
_LABEL = re.compile(r"\{(\w+)\}")
_DATA_SOURCE = "meterline-metrics"
"""Of Prometheus, in Grafana: what provisioning of data sources gives it as `uid`."""

_FOLDER = "Meterline alerts"
"""In Grafana, and not that of the boards: rules come before boards and make a folder by its title,
with a uid of its own. Boards then name theirs by uid, which 11.0 refuses under the same title, so
that it does not start, and later versions make a second time."""

_LOOK_BACK_SECONDS = 600


def render_prometheus() -> str:
    """Return a file of rules for Prometheus."""
    rules = [
        {
            "alert": alert.name,
            "expr": f"{_grouped(alert.query)} > {alert.above}",
            "for": f"{alert.minutes}m",
            "labels": {"severity": str(alert.severity)},
            "annotations": _annotations(alert, sign="$", value="$value"),
        }
        for alert in ALERTS
    ]
    return _GENERATED + _to_yaml({"groups": [{"name": "meterline", "rules": rules}]})


def render_grafana() -> str:
    """Return a file of provisioning for alerting that Grafana manages, over the same Prometheus."""
    group = {
        "orgId": 1,
        "name": "meterline",
        "folder": _FOLDER,
        "interval": "1m",
        "rules": [_grafana_rule(alert) for alert in ALERTS],
    }
    return _GENERATED + _to_yaml({"apiVersion": 1, "groups": [group]})


def _grafana_rule(alert: Alert) -> dict[str, Any]:
    return {
        "uid": _uid(alert.name),
        "title": alert.name,
        "condition": "above",
        "data": [
            {
                "refId": "found",
                "relativeTimeRange": {"from": _LOOK_BACK_SECONDS, "to": 0},
                "datasourceUid": _DATA_SOURCE,
                "model": {"refId": "found", "expr": alert.query, "instant": True, "range": False},
            },
            {
                "refId": "above",
                "datasourceUid": "__expr__",
                "model": {
                    "refId": "above",
                    "type": "threshold",
                    "expression": "found",
                    "conditions": [{"evaluator": {"type": "gt", "params": [alert.above]}}],
                },
            },
        ],
        # No series is how most of these say that all is well; MeterlineBlind watches the source.
        "noDataState": "OK",
        "execErrState": "Error",
        "for": f"{alert.minutes}m",
        "labels": {"severity": str(alert.severity)},
        # Provisioning takes a single dollar for a variable of the environment.
        "annotations": _annotations(alert, sign="$$", value="$$values.found.Value"),
    }


def _grouped(query: str) -> str:
    # These bind less than the comparison that follows.
    return f"({query})" if " or " in query or " unless " in query else query


def _uid(name: str) -> str:
    words = re.findall(r"[A-Z][a-z]+", name)
    return "-".join(word.lower() for word in words)


def _annotations(alert: Alert, *, sign: str, value: str) -> dict[str, str]:
    def fill(text: str) -> str:
        told = text.replace("{value}", f"{{{{ {alert.reading} {value} }}}}")
        return _LABEL.sub(lambda m: f"{{{{ {sign}labels.{m[1]} }}}}", told)

    return {
        "summary": fill(alert.summary),
        "description": fill(alert.description),
        "runbook": f"{_DOCUMENT}#{alert.name.lower()}",
    }


def _to_yaml(value: Mapping[str, Any], indent: str = "") -> str:
    """Return lines of YAML, with every text in quotes."""
    return "".join(f"{indent}{key}:{_yaml_value(each, indent)}\n" for key, each in value.items())


def _yaml_value(value: Any, indent: str) -> str:
    deeper = f"{indent}  "
    match value:
        case dict():
            return "\n" + _to_yaml(value, deeper).rstrip("\n")
        case [dict(), *_]:
            items = (_to_yaml(each, f"{deeper}  ").rstrip("\n") for each in value)
            return "".join(f"\n{deeper}- {item.removeprefix(f'{deeper}  ')}" for item in items)
        case _:
            return f" {json.dumps(value)}"
