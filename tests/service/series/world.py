"""A ledger and an InfluxDB that the boards are looked at with.

Tenants of five zones, one of which changed its zone, plan and name, over a change of clocks; usage
at the first and the last second of the dates at the ends of the ranges, and of the dates next to
them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from api.services import Services
from collector.events import Rules
from collector.intake import Intake, build_intake
from collector.metadata import MetadataPolicy
from collector.relay.job import Relay
from collector.webhooks.reception import build_reception
from costing.job import Costing
from costing.pricing.flat import load_flat_map
from costing.reports.summary import Summary, summary
from costing.reports.tenant_grid import GridQuery, GridRow, tenant_grid
from grafana.dashboards.build import render
from grafana.dashboards.catalogue import SYSTEM_USAGE, TENANT_USAGE
from ledger.keys import Scope
from ledger.period import DateRange, first_instant
from ledger.rollups import RollupRow, read_rollups
from ledger.session import operator_session, tenant_session
from ledger.settings import Settings
from ledger.tenant import TenantId
from ledger.tenants import add_tenant, change_tenant
from tests.access import make_key
from tests.asking import ask_gateway
from tests.builders import ai, sms
from tests.collector import Collector
from tests.grafana_queries import Json, queries
from tests.servers.influx import Influx

NOW = datetime(2026, 4, 10, 9, 30, tzinfo=UTC)
"""Clocks went forward in Berlin twelve days ago, and back in Auckland five days ago."""

BEFORE = NOW - timedelta(days=120)
ODD_PLAN = "Pro+ (2026) [a/b]"
TENANTS = {
    "berlin": ("Europe/Berlin", "Pro"),
    "karachi": ("Asia/Karachi", ODD_PLAN),
    "auckland": ("Pacific/Auckland", "Starter"),
    "honolulu": ("Pacific/Honolulu", "Pro"),
    "mover": ("UTC", "Starter"),
    "unpriced": ("UTC", "Pro"),
    "free": ("UTC", "Elite"),
}
IDLE = "idle"
INBOUND: dict[str, Any] = {
    "channel": "email",
    "direction": "inbound",
    "source": "sendgrid",
    "feature": ...,
}
MODELS = ("gpt-5", "gpt-5 mini, 'new'")
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class World:
    """A ledger, and a server whose InfluxDB has all of it.

    `keys` are those of the data sources: of each tenant, and under None the operator's.
    """

    engine: sa.Engine
    influx: Influx
    url: str
    keys: Mapping[str | None, str]

    def ask(self, text: str, tenant: str | None = None) -> list[Row]:
        """Return the rows as Grafana reads them: columns and tags."""
        return [
            {**one.get("tags", {}), **dict(zip(one["columns"], row, strict=True))}
            for one in ask_gateway(self.url, self.keys[tenant], text)
            for row in one["values"]
        ]

    def tenant(self, name: str, title: str, days: int = 30) -> dict[str, list[Row]]:
        """Return what each target of a panel of a tenant's board has."""
        board = render(TENANT_USAGE, timezone=self.zone(name).key)
        return self._panel(TENANT_USAGE, board, title, days, tenant=name)

    def system(self, title: str, days: int = 30, **values: Any) -> dict[str, list[Row]]:
        """Return what each target of a panel of the system board has."""
        return self._panel(SYSTEM_USAGE, render(SYSTEM_USAGE), title, days, values=values)

    def _panel(
        self,
        ref: Any,
        board: Json,
        title: str,
        days: int,
        *,
        tenant: str | None = None,
        values: Any = None,
    ) -> dict[str, list[Row]]:
        (panel,) = [each.id for each in ref.panels if each.title == title]
        span = ref.last_days(days)
        asked = queries(board, now=NOW, span=(span.start, span.end), values=values)
        return {query.ref: self.ask(query.text, tenant) for query in asked if query.panel == panel}

    def zone(self, name: str) -> ZoneInfo:
        return ZoneInfo("UTC" if name == IDLE else TENANTS[name][0])

    def dates(self, name: str, days: int = 30) -> DateRange:
        return DateRange.last_days(days, now=NOW, zone=self.zone(name))

    def summary(self, name: str, dates: DateRange) -> Summary:
        with tenant_session(self.engine, TenantId(name)) as session:
            return summary(session, dates)

    def rollups(self, name: str, dates: DateRange) -> list[RollupRow]:
        with tenant_session(self.engine, TenantId(name)) as session:
            rows = read_rollups(session).values()
        return [row for row in rows if dates.start <= row.key.date < dates.end]

    def grid(self, days: int = 30, **query: Any) -> dict[str, GridRow]:
        with operator_session(self.engine) as session:
            page = tenant_grid(session, GridQuery(days=days, **query), now=NOW)
        return {row.tenant_id: row for row in page.rows if row.tenant_id != IDLE}


def serve(engine: sa.Engine, influx: Influx) -> Collector:
    """Serve the ledger, with the gateway to its InfluxDB."""
    settings = Settings(influx_url=influx.url)
    services = Services(
        engine=engine,
        intake=build_intake(engine, settings),
        reception=build_reception(engine, settings),
        settings=settings,
        clock=lambda: NOW,
    )
    return Collector(services)


def make_keys(engine: sa.Engine) -> dict[str | None, str]:
    """Make the keys of all data sources, which read reports, too."""
    scopes = (Scope.SERIES, Scope.READ)
    return {name: make_key(engine, *scopes, tenant=name) for name in (*TENANTS, IDLE, None)}


def ship_all(relay: Relay) -> None:
    """Ship what is due; nothing may go wrong."""
    shipped = relay.run()
    assert (None, []) == (shipped.error, shipped.failures)


def fill(engine: sa.Engine) -> None:
    """Register the tenants, book their usage and cost it."""
    policy = MetadataPolicy(hash_key=b"a key that only tests know")
    intake = Intake(engine, rules=Rules(policy=policy, max_future=timedelta(minutes=5)))
    with operator_session(engine, write=True) as session:
        for name, (zone, plan) in {**TENANTS, IDLE: ("UTC", "Pro")}.items():
            add_tenant(
                session, TenantId(name), name=name.title(), plan=plan, timezone=zone, now=BEFORE
            )
    costing = Costing(engine, load_flat_map(), ships=True)
    moving = list(_events("mover"))
    _book(intake, costing, moving[:20])
    with operator_session(engine, write=True) as session:
        change_tenant(session, TenantId("mover"), plan="Elite", timezone="Asia/Tokyo", now=_ago(14))
    _book(intake, costing, moving[20:])
    for name in TENANTS.keys() - {"mover", "karachi"}:
        _book(intake, costing, list(_events(name)))
    # The last one: whatever is costed later would price what has none, too.
    without_ai = load_flat_map(ai_flat_fallback=False)
    _book(intake, Costing(engine, without_ai, ships=True), list(_events("karachi")))


def _ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


def _book(intake: Intake, costing: Costing, events: list[object]) -> None:
    results = intake.book(events, only_tenant=None, now=NOW)
    assert {"stored"} == {str(result.status) for result in results}
    costing.run(clock=lambda: NOW)


def _events(name: str) -> Iterator[object]:
    zone = ZoneInfo(TENANTS[name][0])
    today = NOW.astimezone(zone).date()
    usages = cycle(_usages(name))
    for age in (90, 89, 60, 30, 29, 15, 12, 5, 1, 0):
        day = today - timedelta(days=age)
        start = first_instant(day, zone)
        end = min(first_instant(day + timedelta(days=1), zone) - timedelta(seconds=1), NOW)
        for place, instant in enumerate((start, end, start, end)):
            yield {
                **next(usages),
                "id": f"{name} {age} {place}",
                "tenant": name,
                "time": instant.isoformat(),
            }


def _usages(name: str) -> list[dict[str, Any]]:
    metadata = {"input_tokens": 1200, "output_tokens": 300, "cached_input_tokens": 200}
    calls = [ai(metadata={**metadata, "model": model}) for model in MODELS]
    mail = sms(channel="email", source="sendgrid", feature="booking_email", quantity=40)
    every = [
        sms(quantity=3),
        calls[0],
        mail,
        sms(**INBOUND),
        sms(channel="voice", feature="ivr", quantity=7),
        calls[1],
        sms(channel="mms", feature=..., source=..., quantity=50),  # the dearest has no feature
        sms(direction="inbound", feature="ai_sms", quantity=2),
        calls[0],
    ]
    return {"unpriced": [sms(**INBOUND)], "free": [mail]}.get(name, every)
