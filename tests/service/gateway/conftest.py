"""Fixtures: an InfluxDB with two tenants in it and one with acme alone, and clients of the gateway.

They are filled once: nothing that comes through the gateway may change them, which is looked at.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from api.app import create_app
from api.services import Services
from ledger.keys import Scope
from ledger.settings import Settings
from tests.access import make_key
from tests.collector import Collector
from tests.servers.influx import Influx, require_influx
from tests.service.gateway.points import ACME, OTHER, lines_of

ALONE = "alone"
"""A database that has acme's points and nobody else's."""

Ask = Callable[..., TestResponse]


@pytest.fixture(scope="package")
def series(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """An InfluxDB whose database `meterline` has the points of two tenants."""
    require_influx()
    with closing(Influx(tmp_path_factory.mktemp("influx"))) as influx:
        for database in ("meterline", ALONE):
            influx.query(f'CREATE DATABASE "{database}"')
            influx.write(*lines_of(ACME), db=database)
        influx.write(*lines_of(OTHER))
        yield influx


@pytest.fixture
def gateway_services(services: Services, series: Influx) -> Services:
    return replace(services, settings=Settings(influx_url=series.url))


@pytest.fixture
def ask(gateway_services: Services, engine: sa.Engine) -> Ask:
    """Send a query to the application with the key of a tenant, or of an operator."""
    client = create_app(gateway_services).test_client()

    def ask(text: str, tenant: str | None = ACME, **parameters: str) -> TestResponse:
        secret = make_key(engine, Scope.SERIES, tenant=tenant)
        return client.get(
            "/grafana/influx/query",
            query_string={"db": "meterline", "epoch": "ms", "q": text, **parameters},
            headers={"Authorization": f"Token {secret}"},
        )

    return ask


@pytest.fixture
def collector(gateway_services: Services) -> Iterator[Collector]:
    """The application on a port, over that InfluxDB."""
    with closing(Collector(gateway_services)) as collector:
        yield collector


def values_of(response: TestResponse) -> list[Any]:
    """Return the values of the first series of an answer."""
    assert 200 == response.status_code, response.text
    series = orjson.loads(response.data)["results"][0].get("series", [])
    return series[0]["values"] if series else []
