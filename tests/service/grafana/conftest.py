"""Fixtures: a stand-in of Grafana, and what provisions it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from grafana.provisioning.job import Provisioner
from grafana.provisioning.target import Target
from ledger.session import operator_session
from ledger.tenant import Tenant, TenantId
from ledger.tenants import get_tenant
from tests.builders import NOW
from tests.standins.grafana_api import ADMIN, PASSWORD, GrafanaStandIn


@dataclass
class Moving:
    """A clock that a test moves."""

    now: datetime = field(default=NOW)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, span: timedelta) -> None:
        self.now += span


def render(timezone: str) -> dict[str, Any]:
    """Return a board as small as can be."""
    return {
        "id": None,
        "uid": "meterline-tenant-usage",
        "title": "Usage and cost",
        "timezone": timezone,
        "panels": [{"id": 1, "title": "Total", "targets": [{"query": f"tz('{timezone}')"}]}],
    }


@pytest.fixture
def grafana() -> Iterator[GrafanaStandIn]:
    with closing(GrafanaStandIn()) as standin:
        yield standin


@pytest.fixture
def target(grafana: GrafanaStandIn) -> Target:
    return Target(
        url=grafana.url,
        user=ADMIN,
        password=PASSWORD,
        gateway_url="http://127.0.0.1:8000/grafana/influx",
        database="meterline",
    )


@pytest.fixture
def clock() -> Moving:
    return Moving()


@pytest.fixture
def job(engine: sa.Engine, target: Target, clock: Moving) -> Provisioner:
    return Provisioner(engine, target, render=render, clock=clock)


def tenant_of(engine: sa.Engine, tenant_id: str) -> Tenant:
    with operator_session(engine) as session:
        return get_tenant(session, TenantId(tenant_id))
