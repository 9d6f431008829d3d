"""No statement that runs all day reads a big table from end to end.

The server tells the plan of each as it ran, with its role and its tenant, on a ledger in which the
planner has a choice.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import sqlalchemy as sa

from collector.attribution.job import Attribution
from collector.attribution.routing import Report, Router
from collector.events import Rules
from collector.facts.claim import Claim, ClaimKind
from collector.influx.target import Target
from collector.influx.writer import Writer
from collector.intake import Intake
from collector.metadata import MetadataPolicy
from collector.relay.job import Relay
from costing.anomalies import job
from costing.anomalies.job import AnomalySearch
from costing.budgets.budget import parse_budget
from costing.budgets.changing import set_budget
from costing.budgets.job import Budgeting
from costing.budgets.report import report_budgets
from costing.export import read_export
from costing.job import Costing
from costing.pricing.flat import load_flat_map
from costing.reports.features import features
from costing.reports.series import series
from costing.reports.summary import summary
from costing.reports.tenant_grid import GridQuery, tenant_grid
from costing.retention import Retention
from exporter.collectors import choose_collectors
from ledger import anomalies
from ledger.engine import create_ledger_engine
from ledger.keys import look_up_key
from ledger.models import metadata
from ledger.money import Nanos
from ledger.period import DateRange
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from ledger.tenants import add_tenant, get_own_tenant, look_up_tenant
from tests.builders import NOW, ai, sms
from tests.facts import Facts, fact
from tests.servers.influx_stand_in import ORG, TOKEN, InfluxTwoStandIn
from tests.servers.postgresql import Database, PostgreSql
from tests.service.exporter.spend import WATCH

pytestmark = pytest.mark.ledger("postgresql", own=True)

OWNER = Claim(ClaimKind.SUBUSER, "acme-mail")

BIG = {
    "usage_metrics", "usage_tombstones", "usage_rollups_daily", "usage_checkpoints",
    "usage_journal", "usage_tenant_days", "usage_facts", "usage_balances", "usage_rollups_hourly",
    "budget_notices",
}  # fmt: skip

# 20 tenants with 90 days.
FILL = """
INSERT INTO tenants SELECT 't' || t, 'T', now() FROM generate_series(1, 20) t;
INSERT INTO tenant_periods SELECT tenant_id, '1970-01-01Z', 'Pro', 'UTC' FROM tenants
    ON CONFLICT DO NOTHING;
INSERT INTO usage_metrics
    SELECT tenant_id, 'old' || n, nextval('booking_numbers'), 1, '\\x00', '2026-03-09T12:00Z',
           DATE '2026-03-10' - n % 90, 'sms', 'outbound', 'twilio', 'ivr', NULL, 'standard', 1,
           0, 0, 0, 0, 0, 0, 0, 0, 0, false, false, NULL
    FROM tenants, generate_series(1, 900) n;
INSERT INTO usage_tombstones
    SELECT tenant_id, 'gone' || n, '\\x00' FROM tenants, generate_series(1, 900) n;
INSERT INTO usage_balances SELECT tenant_id, 'old' || n FROM tenants, generate_series(1, 900) n;
INSERT INTO usage_facts
    SELECT tenant_id, usage_id, 'sent', 10, 'billed', '2026-03-09T12:00Z', '2026-03-09', 'sms',
           'outbound', 'twilio', NULL, NULL, false, NULL, now()
    FROM usage_balances;
INSERT INTO usage_rollups_daily
    SELECT tenant_id, DATE '2026-03-10' - n % 90, gen_random_uuid(), 'sms', 'outbound', 'twilio',
           'f' || n % 20, NULL, 'standard', 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, now(), 8900000, 'x',
           'flat', 'estimated', 0, 0, 0, 1
    FROM tenants, generate_series(1, 900) n;
INSERT INTO usage_rollups_hourly
    SELECT tenant_id, date, date::timestamp AT TIME ZONE 'UTC' + h * interval '1 hour', rollup_id,
           1, 1
    FROM usage_rollups_daily, generate_series(9, 11) h;
INSERT INTO usage_checkpoints
    SELECT tenant_id, date, rollup_id, channel, direction, source, feature, model, price_class,
           count, quantity, 0, 0, 0, 0, 0, 0, 0, 0, 0, estimated_cost, price_version, 0, 0, 1
    FROM usage_rollups_daily;
INSERT INTO usage_journal
    SELECT tenant_id, row_number() OVER (), now(), date, rollup_id, 'late', '{}', '{}'
    FROM usage_rollups_daily;
INSERT INTO usage_tenant_days
    SELECT DISTINCT tenant_id, date, date::timestamp AT TIME ZONE 'UTC', 'Pro', 1, 1, 1
    FROM usage_rollups_daily;
INSERT INTO budget_notices
    SELECT tenant_id, 'n' || n, 'mail', '[]', '{}', now(), now(), 1, NULL, now(), NULL
    FROM tenants, generate_series(1, 900) n;
UPDATE usage_rollups_daily SET shipped_revision = revision;
ANALYZE;
"""


# Those of "what is due" hold what is due alone: to read one whole is what it is for.
PARTIAL = {
    index.name
    for table in metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["postgresql"]["where"] is not None
}
# A condition on later columns alone is looked for in all of an index.
LEADING = {
    str(index.name): index.columns[0].name
    for table in metadata.tables.values()
    for index in table.indexes
} | {
    str(table.primary_key.name): table.primary_key.columns[0].name
    for table in metadata.tables.values()
}
# The server itself says how it went about each statement, whatever way it came: a message of many
# statements and the driver's own cursor, too.
EXPLAINED = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_format": "json",
    "auto_explain.log_level": "notice",
}


@pytest.fixture(scope="module")
def filled_template(postgresql: PostgreSql, postgresql_template: str) -> str:
    """The name of a filled database, which those of the tests are cloned from."""
    database = postgresql.make(postgresql_template)
    engine = create_ledger_engine(database.url)
    with operator_session(engine, write=True) as session:
        add_tenant(session, TenantId("acme"), name="Acme", now=NOW)
    engine.dispose()
    database.server.administer(FILL, database=database.name)
    return database.name


@pytest.fixture
def database(postgresql: PostgreSql, filled_template: str) -> Iterator[Database]:
    database = postgresql.make(filled_template)
    for name, value in EXPLAINED.items():
        change = f"ALTER DATABASE {database.name} SET {name} = '{value}'"
        database.server.administer(change)
    yield database
    database.drop()


@pytest.fixture
def engine(ledger_url: str) -> Iterator[sa.Engine]:
    """A ledger in which the planner has a choice."""
    engine = create_ledger_engine(ledger_url)
    yield engine
    engine.dispose()


@contextmanager
def explained(engine: sa.Engine) -> Iterator[list[dict[str, Any]]]:
    """Collect how the statements of new connections were executed."""
    found: list[dict[str, Any]] = []

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        _duration, is_plan, text = (diagnostic.message_primary or "").partition("plan:\n")
        if is_plan:
            found.append(json.loads(text))

    def listen(connection: psycopg.Connection[Any], _record: Any) -> None:
        connection.add_notice_handler(note)

    sa.event.listen(engine, "connect", listen)
    yield found
    sa.event.remove(engine, "connect", listen)
    engine.dispose()


@contextmanager
def read_whole(engine: sa.Engine, tables: set[str] = BIG) -> Iterator[list[tuple[str, str]]]:
    """Collect the big tables that statements read from end to end, each with its statement."""
    found: list[tuple[str, str]] = []
    with explained(engine) as plans:
        yield found
    found.extend(
        (table, plan["Query Text"])
        for plan in plans
        for table in whole_reads(plan["Plan"])
        if table in tables
    )


def whole_reads(plan: dict[str, Any], above: str = "") -> Iterator[str]:
    """Return the tables that a plan reads whole: without an index, or all of an index."""
    table = plan.get("Relation Name", above)
    kind = plan["Node Type"]
    reads_all = kind.endswith("Index Scan") or kind == "Index Only Scan"
    is_whole = reads_all and not is_narrowed(plan) and plan["Index Name"] not in PARTIAL
    if kind.endswith("Seq Scan") or is_whole:
        yield table
    for part in plan.get("Plans", ()):
        yield from whole_reads(part, table)


def is_narrowed(plan: dict[str, Any]) -> bool:
    """Whether a plan reads a part of an index alone: by a condition on its first column."""
    # Of an index that is not ours, a catalogue's, any condition does.
    first = LEADING.get(plan["Index Name"], r"\w+")
    return re.search(rf"\b{first}\b", plan.get("Index Cond", "")) is not None


def book(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    del engine, costing
    fresh = [ai(f"fresh{n}") for n in range(200)]
    known = [sms("old1", tenant="t1"), sms("gone1", tenant="t1"), sms("one")]
    intake.book([*fresh, *known], only_tenant=None, now=NOW)
    for event in (sms("alone"), sms("alone"), sms("gone2", tenant="t1")):
        intake.book([event], only_tenant=None, now=NOW)


def cost(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    book(engine, intake, costing)
    costing.run(clock=lambda: NOW)


def tell(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    del costing
    policy = MetadataPolicy(hash_key=None)
    facts = Facts(engine, Rules(policy=policy, max_future=timedelta(minutes=5)))
    told = [fact(usage_id=f"{kind}{n}", quantity=2) for kind in ("old", "new") for n in range(50)]
    facts.book(TenantId("t1"), told, now=NOW)
    events = [sms(f"new{n}", tenant="t1") for n in range(200)]
    intake.book(events, only_tenant=None, now=NOW)


def attribute(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    del intake, costing
    policy = MetadataPolicy(hash_key=None)
    router = Router(engine, Rules(policy=policy, max_future=timedelta(minutes=5)), hash_key=None)
    reports = [
        Report(fact(usage_id=f"{kind}{n}"), owner=owner)
        for kind in ("old", "gone", "new")
        for n in (1, 2)
        for owner in (None, OWNER)
    ]
    router.book(reports, now=NOW)
    Attribution(engine).run(now=NOW)


def report(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    del intake, costing
    with tenant_session(engine, TenantId("t1")) as session:
        dates = DateRange.last_days(30, now=NOW, zone=ZoneInfo("UTC"))
        summary(session, dates)
        series(session, dates)
        features(session, dates)
        list(read_export(session, dates))


def retain(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    old = [
        sms(f"SM{n}", tenant=tenant, time="2025-06-01T12:00:00Z")
        for tenant in ("acme", "t1")
        for n in range(100)
    ]
    intake.book(old, only_tenant=None, now=NOW)
    costing.run(clock=lambda: NOW)
    retention = Retention(engine, days=90)
    # Of acme nothing was told, of t1 much was.
    for tenant_id in ("acme", "t1"):
        for due in retention.find_due(TenantId(tenant_id), now=NOW):
            next(retention.take(due))


def ship(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    book(engine, intake, costing)
    Costing(engine, load_flat_map(), ships=True).run(clock=lambda: NOW)
    with closing(InfluxTwoStandIn()) as server:
        server.buckets["meterline"] = {"id": "b", "name": "meterline"}
        target = Target(url=server.url, token=TOKEN, org=ORG)
        shipped = Relay(engine, target, writer=Writer(target), clock=lambda: NOW).run()
    assert (None, [], 205) == (shipped.error, shipped.failures, shipped.points)


def scrape(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    del intake, costing
    watch = replace(WATCH, hour_amount=Nanos(1))
    with operator_session(engine) as session:
        for collect in choose_collectors(watch, ships=True).values():
            list(collect(session, NOW))


def look_at_budgets(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    cost(engine, intake, costing)
    budget = parse_budget({"period": "monthly", "amount": "0.1"})
    with tenant_session(engine, TenantId("t1"), write=True) as session:
        set_budget(session, budget, by="a test", now=NOW)
    assert 1 == Budgeting(engine).run(now=NOW).tenants
    with tenant_session(engine, TenantId("t1")) as session:
        assert report_budgets(session, get_own_tenant(session), now=NOW).budgets[0].told.untold


@pytest.mark.parametrize(
    "act", [book, cost, tell, attribute, report, retain, ship, scrape, look_at_budgets]
)
def test_what_runs_all_day_reads_no_big_table_whole(
    engine: sa.Engine,
    intake: Intake,
    costing: Costing,
    act: Callable[[sa.Engine, Intake, Costing], None],
) -> None:
    with read_whole(engine) as found:
        act(engine, intake, costing)
    assert [] == found


# What requests look up among as many as there are tenants.
MANY = {"tenants", "tenant_periods", "api_keys"}
FILL_MANY = """
INSERT INTO tenants SELECT 'u' || n, 'U', now() FROM generate_series(1, 5000) n;
INSERT INTO tenant_periods SELECT tenant_id, '1970-01-01Z', 'Pro', 'UTC' FROM tenants
    ON CONFLICT DO NOTHING;
INSERT INTO api_keys (key_id, key_hash, tenant_id, scopes, label, created_at)
    SELECT 'k' || n, sha256(n::text::bytea), 'u' || n, 'ingest', 'x', now()
    FROM generate_series(1, 5000) n;
ANALYZE;
"""


def test_what_each_request_looks_up_is_found_by_an_index(
    engine: sa.Engine, database: Database, intake: Intake
) -> None:
    database.server.administer(FILL_MANY, database=database.name)
    with read_whole(engine, MANY) as found:
        look_up_key(engine, "a secret")
        look_up_tenant(engine, TenantId("u1"))
        intake.book([sms("a", tenant="u1"), sms("b", tenant="u2")], only_tenant=None, now=NOW)
    assert [] == found


def test_the_grid_reads_the_rollups_of_its_dates_alone(engine: sa.Engine) -> None:
    # 3 days of 90 are what 30 are of 900; for a third of a table, all of it is rightly read.
    with read_whole(engine) as found, operator_session(engine) as session:
        tenant_grid(session, GridQuery(days=3), now=NOW)
    assert [] == found


def test_the_search_for_anomalies_reads_the_rollups_of_its_dates_alone(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As above: these are the last dates of many.
    monkeypatch.setattr(anomalies, "LISTED_DAYS", 1)
    monkeypatch.setattr(job, "DAYS", 1)
    with read_whole(engine) as found:
        AnomalySearch(engine).run(now=NOW)
    assert [] == found


def test_statements_are_explained_whatever_way_they_come(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    ways = {
        "INSERT INTO usage_metrics (tenant_id, id, batch_id",
        "FROM nextval(",
        "FROM incoming_usage",
        "INSERT INTO usage_batches (tenant_id, batch_id, event_count, booked_at) SELECT",
        "WHERE tenants.tenant_id = 'acme'",
    }
    with explained(engine) as plans:
        book(engine, intake, costing)
    assert ways == {words for words in ways if any(words in plan["Query Text"] for plan in plans)}


@pytest.mark.parametrize(
    "query",
    [
        "SELECT max(quantity) FROM usage_metrics",
        "SELECT event_id FROM usage_metrics ORDER BY tenant_id, event_id",
        "SELECT sum(estimated_cost) FROM usage_rollups_daily WHERE date = '2026-03-10'",
    ],
)
def test_a_statement_that_reads_a_big_table_whole_is_found(engine: sa.Engine, query: str) -> None:
    with read_whole(engine) as found, operator_session(engine) as session:
        session.connection.exec_driver_sql("SET LOCAL enable_sort = off")
        session.connection.execute(sa.text(query))
    assert query.split(" FROM ")[1].split()[:1] == [table for table, _ in found]
