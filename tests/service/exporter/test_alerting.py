"""From a posted event to a message: server, worker, exporter, Prometheus and Alertmanager."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ledger.clock import system_clock
from tests.builders import sms
from tests.conftest import Run
from tests.processes import Launcher, Sender, Server, wait_until
from tests.servers.alertmanager import Alertmanager
from tests.servers.prometheus import Prometheus
from tests.service.exporter.conftest import Export
from tests.service.exporter.spend import ai_of
from tests.service.exporter.test_alert_rules import RULES
from tests.standins.server import Answer, StandIn


@pytest.fixture
def receiver() -> Iterator[StandIn]:
    """What Alertmanager tells."""
    standin = StandIn(lambda _asked: Answer())
    yield standin
    standin.close()


def told(receiver: StandIn) -> list[tuple[str, str, str, str]]:
    """Return path, alert, tenant and state of all that was told."""
    alerts: list[tuple[str, dict[str, Any]]] = [
        (asked.path, alert) for asked in list(receiver.asked) for alert in asked.json["alerts"]
    ]
    return [
        (path, alert["labels"]["alertname"], alert["labels"].get("tenant", ""), alert["status"])
        for path, alert in alerts
    ]


@pytest.mark.ledger("sqlite")
@pytest.mark.usefixtures("engine")
def test_high_ai_spend_is_told_within_a_minute_of_the_usage_and_again_when_it_is_over(
    launcher: Launcher, meterline: Run, export: Export, receiver: StandIn, tmp_path: Path
) -> None:
    now = system_clock().isoformat()
    secret = meterline("key", "create", "--scope", "ingest").stdout.strip()
    server = Server(launcher, "--workers", "1")
    exporter = export(METERLINE_ALERT_AI_USD="2")
    with (
        closing(Alertmanager(tmp_path / "alertmanager", receiver=receiver.url)) as alertmanager,
        closing(
            Prometheus(
                tmp_path / "prometheus",
                target=exporter.port,
                rules=RULES,
                alertmanager=alertmanager.port,
            )
        ),
        closing(Sender(secret, lambda: server.port)) as sender,
    ):
        sender.send([ai_of("acme", 3, time=now), ai_of("karachi", 1, time=now)])
        high = ("/warnings", "MeterlineHighAiSpend", "acme", "firing")
        wait_until(lambda: high in told(receiver), "high AI spend is told", seconds=60)
        sender.send([sms("other", time=now, quantity=1_000_000)])
        over = (*high[:3], "resolved")
        wait_until(lambda: over in told(receiver), "it is told that it is over", seconds=60)
    named = {tenant for _, alert, tenant, _ in told(receiver) if alert == high[1]}
    assert {"acme"} == named
