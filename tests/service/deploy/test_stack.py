"""The compose stack, run on this machine: usage goes in at nginx and comes out everywhere."""

import http.client
import json
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.processes import wait_until
from tests.servers.stack import Stack

SHOWN = "coral-reef-rentals"
"""A tenant of the demo."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start everything, in the order of docs/compose.md, with two days of the demo in it."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    try:
        stack.run("migrate")
        stack.run("influx-setup")
        stack.run("grafana-keys")
        stack.run("demo", *stack.services["demo"]["command"], "--days", "2")
        started = {
            name: stack.start(name)
            for name in ("alertmanager", "prometheus", "exporter", "worker", "api", "nginx")
        }
        for name, running in started.items():
            stack.wait(name, running)
        yield stack
    finally:
        stack.close()


def ask(
    port: int, method: str, path: str, body: str | None = None, *, tls: bool = False, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    if tls:
        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=20, context=trusting
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def read(port: int, path: str) -> Any:
    return json.loads(ask(port, "GET", path)[2])


def test_a_service_that_the_stack_brings_from_outside_is_well(stack: Stack) -> None:
    assert (True, True) == (stack.is_healthy("postgres"), stack.is_healthy("nginx"))


def test_doctor_finds_the_stack_well(stack: Stack) -> None:
    told = stack.run("worker", "doctor")
    assert "WRONG" not in told


def test_a_second_start_leaves_the_keys_that_grafana_has_read(stack: Stack) -> None:
    before = stack.signing_keys()
    stack.run("grafana-keys")  # `docker compose up` starts what has ended again
    assert before == stack.signing_keys()


def test_plain_http_is_sent_to_https(stack: Stack) -> None:
    status, headers, _body = ask(stack.plain_port, "GET", "/usage", Host="localhost")
    assert (308, "https://localhost/usage") == (status, headers["location"])


def test_usage_that_is_posted_over_https_is_costed_shown_and_shipped(stack: Stack) -> None:
    ingest = stack.run("api", "key", "create", "--scope", "ingest").strip()
    reading = stack.run("api", "key", "create", "--scope", "read", "--tenant", SHOWN).strip()
    event = {
        "id": "stack-1",
        "tenant": SHOWN,
        "time": "2026-03-09T12:00:00Z",  # the tenth where the tenant is
        "channel": "sms",
        "direction": "outbound",
        "source": "twilio",
        "quantity": 2,
    }
    posted = ask(
        stack.ports["nginx"],
        "POST",
        "/api/v1/events",
        json.dumps(event),
        tls=True,
        **{"Authorization": f"Bearer {ingest}", "Content-Type": "application/json"},
    )
    assert (200, "stored") == (posted[0], json.loads(posted[2])["results"][0]["status"])

    def cost() -> str | None:
        summary = json.loads(
            ask(
                stack.ports["nginx"],
                "GET",
                "/api/billing/usage/summary?from=2026-03-10&to=2026-03-10",
                tls=True,
                Authorization=f"Bearer {reading}",
            )[2]
        )
        found: str | None = summary["total"]["estimated_cost"]
        return found

    wait_until(lambda: cost() == "0.0178", "the worker costs it")
    query = f"SELECT sum(cost_nanos) FROM usage_cost WHERE tenant='{SHOWN}' AND time < '2026-04-01'"

    def shipped() -> object:
        answer = stack.influx.post("/query", method="GET", db="meterline", q=query)
        series = json.loads(answer.body)["results"][0].get("series")
        return series and series[0]["values"][0][1]

    wait_until(lambda: shipped() == 17_800_000, "the relay ships it")


def test_the_ledger_of_the_stack_ties_with_its_series(stack: Stack) -> None:
    stack.run("worker", "work", "--once")
    stack.run("worker", "verify")


def test_prometheus_scrapes_the_exporter_and_knows_the_rules_and_alertmanager(
    stack: Stack,
) -> None:
    port = stack.ports["prometheus"]

    def is_up() -> bool:
        query = quote('up{job="meterline"}')
        found = read(port, f"/api/v1/query?query={query}")["data"]["result"]
        return [one["value"][1] for one in found] == ["1"]

    wait_until(is_up, "the exporter is scraped", seconds=60)
    rules = read(port, "/api/v1/rules")["data"]["groups"]
    known = read(port, "/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    expected = f"http://127.0.0.1:{stack.ports['alertmanager']}/api/v2/alerts"
    assert (True, [expected]) == (len(rules) > 0, [one["url"] for one in known])


def test_a_browser_without_a_session_does_not_reach_grafana(stack: Stack) -> None:
    status, _headers, _body = ask(
        stack.ports["nginx"], "GET", "/grafana/d/meterline-system-usage", tls=True
    )
    assert 401 == status


def test_grafana_gets_its_boards_and_the_viewer_of_a_tenant(stack: Stack) -> None:
    stack.run("worker", "grafana", "provision", "--tenant", SHOWN)
    assert 2 == len(stack.grafana.orgs)
