"""No statement that runs all day reads a big table from end to end.

Each is explained in the transaction in which it runs, with its role and its tenant, on a ledger in
which the planner has a choice.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from collector.events import Rules
from collector.facts.booking import Facts
from collector.influx.target import Target
from collector.influx.writer import Writer
from collector.intake import Intake
from collector.metadata import MetadataPolicy
from collector.relay.job import Relay
from costing.export import read_export
from costing.job import Costing
from costing.prices import load_price_book
from costing.reports.features import features
from costing.reports.series import series
from costing.reports.summary import summary
from costing.retention import Retention
from ledger.period import DateRange
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from tests.builders import NOW, ai, sms
from tests.facts import fact
from tests.servers.influx_stand_in import ORG, TOKEN, InfluxTwoStandIn
from tests.servers.postgresql import Database

pytestmark = pytest.mark.ledger("postgresql")

BIG = {
    "usage_metrics", "usage_tombstones", "usage_rollups_daily", "usage_checkpoints",
    "usage_journal", "usage_tenant_days", "usage_facts", "usage_balances",
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
INSERT INTO usage_checkpoints
    SELECT tenant_id, date, rollup_id, channel, direction, source, feature, model, price_class,
           count, quantity, 0, 0, 0, 0, 0, 0, 0, 0, 0, estimated_cost, price_version, 0, 0, 1
    FROM usage_rollups_daily;
INSERT INTO usage_journal
    SELECT tenant_id, row_number() OVER (), now(), date, rollup_id, 'late', '{}', '{}'
    FROM usage_rollups_daily;
INSERT INTO usage_tenant_days
    SELECT DISTINCT tenant_id, date, date::timestamp AT TIME ZONE 'UTC', 'Pro', 1, 1
    FROM usage_rollups_daily;
UPDATE usage_rollups_daily SET shipped_revision = revision;
ANALYZE;
"""


@pytest.fixture
def filled(engine: sa.Engine, shared_database: Database) -> sa.Engine:
    shared_database.server.administer(FILL, database=shared_database.name)
    return engine


@contextmanager
def read_whole(engine: sa.Engine) -> Iterator[list[tuple[str, str]]]:
    """Collect the big tables that statements read from end to end, each with its statement."""
    found: list[tuple[str, str]] = []
    is_explaining = False

    def explain(
        connection: sa.Connection, _cursor: Any, statement: str, parameters: Any, *rest: Any
    ) -> None:
        nonlocal is_explaining
        _context, is_many = rest
        words = ("SELECT", "INSERT", "UPDATE", "DELETE")
        if is_explaining or not statement.lstrip().startswith(words):
            return
        is_explaining = True
        one = parameters[0] if is_many else parameters
        query = f"EXPLAIN (FORMAT JSON) {statement}"
        (plan,) = connection.exec_driver_sql(query, one or None).scalar_one()
        found.extend((table, statement) for table in whole_reads(plan["Plan"]))
        is_explaining = False

    sa.event.listen(engine, "before_cursor_execute", explain)
    yield found
    sa.event.remove(engine, "before_cursor_execute", explain)


def whole_reads(plan: dict[str, Any]) -> Iterator[str]:
    if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] in BIG:
        yield plan["Relation Name"]
    for part in plan.get("Plans", ()):
        yield from whole_reads(part)


def book(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    del engine, costing
    fresh = [ai(f"fresh{n}") for n in range(200)]
    known = [sms("old1", tenant="t1"), sms("gone1", tenant="t1"), sms("one")]
    intake.book([*fresh, *known], only_tenant=None, now=NOW)


def cost(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    book(engine, intake, costing)
    costing.run(now=NOW)


def tell(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    del costing
    policy = MetadataPolicy(hash_key=None)
    facts = Facts(engine, Rules(policy=policy, max_future=timedelta(minutes=5)))
    told = [fact(usage_id=f"{kind}{n}", quantity=2) for kind in ("old", "new") for n in range(50)]
    facts.book(TenantId("t1"), told, now=NOW)
    events = [sms(f"new{n}", tenant="t1") for n in range(200)]
    intake.book(events, only_tenant=None, now=NOW)


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
    costing.run(now=NOW)
    retention = Retention(engine, days=90)
    # Of acme nothing was told, of t1 much was.
    for tenant_id in ("acme", "t1"):
        for due in retention.find_due(TenantId(tenant_id), now=NOW):
            next(retention.take(due))


def ship(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    book(engine, intake, costing)
    Costing(engine, load_price_book(), ships=True).run(now=NOW)
    with closing(InfluxTwoStandIn()) as server:
        server.buckets["meterline"] = {"id": "b", "name": "meterline"}
        target = Target(url=server.url, token=TOKEN, org=ORG)
        shipped = Relay(engine, target, writer=Writer(target), clock=lambda: NOW).run()
    assert (None, [], 204) == (shipped.error, shipped.failures, shipped.points)


@pytest.mark.parametrize("act", [book, cost, tell, report, retain, ship])
def test_what_runs_all_day_reads_no_big_table_whole(
    filled: sa.Engine,
    intake: Intake,
    costing: Costing,
    act: Callable[[sa.Engine, Intake, Costing], None],
) -> None:
    with read_whole(filled) as found:
        act(filled, intake, costing)
    assert [] == found


def test_a_statement_that_reads_a_big_table_whole_is_found(filled: sa.Engine) -> None:
    with read_whole(filled) as found, operator_session(filled) as session:
        session.connection.execute(sa.text("SELECT max(quantity) FROM usage_metrics"))
    assert ["usage_metrics"] == [table for table, _ in found]
