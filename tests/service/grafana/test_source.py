"""What a provisioned data source reads through the gateway, asked as Grafana asks."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import pytest
import sqlalchemy as sa

from api.services import Services
from collector.influx.target import Target as Series
from collector.influx.writer import Writer
from collector.relay.job import Relay
from costing.job import Costing
from costing.pricing.flat import FlatMap
from grafana.dashboards.build import render
from grafana.dashboards.catalogue import SERIES_SOURCE, TENANT_USAGE
from grafana.provisioning.job import Provisioner
from grafana.provisioning.names import login_of
from grafana.provisioning.target import Target
from ledger.settings import Settings
from ledger.tenant import TenantId
from tests.builders import NOW, ai, sms
from tests.collector import Collector
from tests.conftest import Book
from tests.grafana_queries import queries
from tests.servers.influx import Influx
from tests.service.grafana.conftest import Moving, tenant_of
from tests.standins.grafana_api import GrafanaStandIn

pytestmark = pytest.mark.ledger("sqlite")

TOTAL = 1
COSTS = {"acme": 0.0089 * 3 + 0.005, "karachi": 0.0089 * 7}

Look = Callable[[str], dict[int, list[Any]]]


@pytest.fixture
def collector(services: Services, influx: Influx) -> Iterator[Collector]:
    """The application on a port, over series of both tenants."""
    with closing(
        Collector(replace(services, settings=Settings(influx_url=influx.url)))
    ) as collector:
        yield collector


@pytest.fixture
def look(
    *,
    engine: sa.Engine,
    influx: Influx,
    prices: FlatMap,
    book: Book,
    collector: Collector,
    target: Target,
    grafana: GrafanaStandIn,
    clock: Moving,
) -> Look:
    """Ship what both tenants used, provision both, and look at a board through its data source."""
    events = (sms("a", quantity=3), ai("b"), sms("c", tenant="karachi", quantity=7))
    book(*events, job=Costing(engine, prices, ships=True))
    series = Series(url=influx.url)
    assert Relay(engine, series, writer=Writer(series), clock=clock).run().error is None
    gateway = replace(target, gateway_url=f"{collector.url}/grafana/influx")
    job = Provisioner(
        engine, gateway, render=lambda zone: render(TENANT_USAGE, timezone=zone), clock=clock
    )

    def look_as(tenant: str) -> dict[int, list[Any]]:
        job.provision(tenant_of(engine, tenant))
        org = grafana.org_of(login_of(TenantId(tenant)))
        source = grafana.sources[org, SERIES_SOURCE]
        board = grafana.boards[org, TENANT_USAGE.uid]["dashboard"]
        found: dict[int, list[Any]] = {}
        for query in queries(board, now=NOW):
            found.setdefault(query.panel, []).extend(ask(source, query.text))
        return found

    return look_as


def ask(source: dict[str, Any], text: str) -> list[Any]:
    """Send a query as Grafana's backend does by this data source; return the series."""
    options = source["jsonData"]
    assert "POST" == options["httpMode"]
    address = f"{source['url']}/query?{urlencode({'db': options['dbName'], 'epoch': 'ms'})}"
    secret = {options["httpHeaderName1"]: source["secrets"]["httpHeaderValue1"]}
    request = Request(address, urlencode({"q": text}).encode(), secret)
    with build_opener(ProxyHandler({})).open(request, timeout=30) as response:
        answer = json.loads(response.read())["results"][0]
    series: list[Any] = answer.get("series", [])
    return series


@pytest.mark.parametrize("tenant", ["acme", "karachi"])
def test_a_tenants_board_shows_its_own_figures_through_its_own_data_source(
    look: Look, tenant: str
) -> None:
    found = look(tenant)
    values = [value for series in found[TOTAL] for _, value in series["values"]]
    assert pytest.approx(COSTS[tenant]) == values[0]
    assert {panel.id for panel in TENANT_USAGE.panels} == set(found)


def test_no_panel_of_a_board_shows_what_another_tenant_used(look: Look) -> None:
    shown = json.dumps(look("karachi"))
    assert ("sms" in shown, "ai_sms" in shown, "house-llm" in shown) == (True, False, False)
