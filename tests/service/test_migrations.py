import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from cli import schema
from collector.events import Rules
from collector.intake import Intake
from costing.export import read_export, write_csv
from costing.job import Costing
from costing.pricing.flat import load_flat_map
from costing.retention import Retention
from costing.verify import verify
from ledger.engine import create_ledger_engine, is_postgresql
from ledger.errors import ConflictError, InvalidError
from ledger.event import Status
from ledger.keys import Scope, create_key
from ledger.models import metadata
from ledger.rollups import read_rollups
from ledger.session import operator_session, owner_session, tenant_session
from ledger.tenant import TenantId
from ledger.tenants import change_tenant, list_tenants
from tests.builders import NOW, ai, sms
from tests.facts import Facts, fact
from tests.servers.postgresql import PostgreSql
from tests.statements import change_schema

ACME = TenantId("acme")

RAW = [
    # covered by a rollup row of the same tenant, UTC date, channel and direction
    (1, "acme", "sms", "outbound", 2, "2026-01-05 10:00:00.000000"),
    (2, "acme", "sms", "outbound", 3, "2026-01-05T23:59:59Z"),
    # not covered: another day, another direction, another tenant
    (3, "acme", "sms", "outbound", 1, "2026-01-06 00:00:00.000000"),
    (4, "acme", "sms", "inbound", 4, "2026-01-05 10:00:00.000000"),
    (7, "umbrella", "ai", "outbound", 101, "2026-01-05 10:00:00.000000"),
]
ROLLUPS = [
    ("acme", "2026-01-05", "sms", "outbound", 2, 5, 0.0445),
    # its raw rows are gone
    ("acme", "2025-12-24", "voice", "outbound", 3, 7, 0.0595),
    ("initech", "2026-01-05", "mms", "inbound", 1, 1, None),
]


pytestmark = pytest.mark.ledger(own=True)


@pytest.fixture
def unmade(ledger_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """A database without any table."""
    if ledger_kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'unmade.db'}"
    else:
        server: PostgreSql = request.getfixturevalue("postgresql")
        url = server.make().url
    engine = create_ledger_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def sp3(unmade: sa.Engine) -> sa.Engine:
    """A database as SP-3 left it."""
    schema.upgrade(unmade, "0001")
    with owner_session(unmade, write=True) as session:
        mark = "?"
        if is_postgresql(unmade):
            mark = "%s"
            session.connection.exec_driver_sql("SET LOCAL timezone = 'UTC'")
        for table, rows in (("usage_metrics", RAW), ("usage_rollups_daily", ROLLUPS)):
            marks = ", ".join([mark] * len(rows[0]))
            session.connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", rows)
    return unmade


def query(engine: sa.Engine, statement: str) -> list[Any]:
    """Return what is there, in any revision: walls are up in the newest one alone."""
    is_newest = schema.head_revision() == schema.current_revision(engine)
    with operator_session(engine) if is_newest else owner_session(engine) as session:
        return [tuple(row) for row in session.connection.execute(sa.text(statement))]


def exported(engine: sa.Engine, tenant_id: str) -> list[str]:
    with tenant_session(engine, TenantId(tenant_id)) as session:
        return [line.rstrip() for line in write_csv(read_export(session))][1:]


def cost(engine: sa.Engine) -> None:
    Costing(engine, load_flat_map()).run(clock=lambda: NOW)


def test_an_upgraded_schema_is_what_the_models_say(sp3: sa.Engine) -> None:
    schema.upgrade(sp3)
    assert [] == schema.find_drift(sp3)


def test_drift_is_found(engine: sa.Engine) -> None:
    change_schema(engine, "ALTER TABLE tenants ADD COLUMN shoe_size INTEGER")
    change_schema(engine, "DROP INDEX ix_usage_metrics_tenant_id_date")
    assert 2 == len(schema.find_drift(engine))


def test_the_index_that_the_brief_asks_for_is_there(engine: sa.Engine) -> None:
    with owner_session(engine) as session:
        indexes = sa.inspect(session.connection).get_indexes("usage_rollups_daily")
    assert ["tenant_id", "date", "source", "feature"] in [i["column_names"] for i in indexes]


def test_no_row_of_sp3_is_lost_and_each_gets_an_id(sp3: sa.Engine) -> None:
    schema.upgrade(sp3)
    found = query(sp3, "SELECT event_id, quantity FROM usage_metrics ORDER BY id")
    assert [(f"sp3:{row[0]}", row[4]) for row in RAW] == found


def test_covered_rows_are_done_and_the_others_wait(sp3: sa.Engine) -> None:
    schema.upgrade(sp3)
    waiting = query(
        sp3,
        "SELECT event_id FROM usage_metrics JOIN usage_batches USING (tenant_id, batch_id)"
        " ORDER BY id",
    )
    assert [("sp3:3",), ("sp3:4",), ("sp3:7",)] == waiting


def test_rollups_stay_as_an_opening_balance_with_their_cost(sp3: sa.Engine) -> None:
    schema.upgrade(sp3)
    found = query(
        sp3,
        "SELECT tenant_id, quantity, estimated_cost, price_version, state, source, feature"
        " FROM usage_rollups_daily ORDER BY tenant_id, date DESC",
    )
    expected = [
        ("acme", 5, 44_500_000, "sp3", "estimated", None, None),
        ("acme", 7, 59_500_000, "sp3", "estimated", None, None),
        ("initech", 1, None, "sp3", "unpriced", None, None),
    ]
    assert expected == found


def test_every_tenant_of_sp3_is_registered_with_utc_days(sp3: sa.Engine) -> None:
    schema.upgrade(sp3)
    found = query(sp3, "SELECT tenant_id, timezone FROM tenant_periods ORDER BY tenant_id")
    assert [("acme", "UTC"), ("initech", "UTC"), ("umbrella", "UTC")] == found


def test_everything_of_sp3_is_costed_and_exported_without_source_and_feature(
    sp3: sa.Engine,
) -> None:
    schema.upgrade(sp3)
    cost(sp3)
    expected = {
        "acme": [
            "2025-12-24,voice,outbound,,,3,0.0595",
            "2026-01-05,sms,inbound,,,1,0.0316",
            "2026-01-05,sms,outbound,,,2,0.0445",
            "2026-01-06,sms,outbound,,,1,0.0089",
        ],
        "initech": ["2026-01-05,mms,inbound,,,1,"],
        "umbrella": ["2026-01-05,ai,outbound,,,1,0.000302"],
    }
    assert expected == {tenant: exported(sp3, tenant) for tenant in expected}


def test_ai_rows_of_sp3_are_totals_whose_tokens_are_derived(sp3: sa.Engine) -> None:
    schema.upgrade(sp3)
    found = query(
        sp3, "SELECT input_tokens, output_tokens, derived FROM usage_metrics WHERE channel = 'ai'"
    )
    assert [(76, 25, 1)] == found


def test_an_upgraded_ledger_ties(sp3: sa.Engine) -> None:
    schema.upgrade(sp3)
    cost(sp3)
    assert () == verify(sp3, load_flat_map()).differences


def test_an_opening_balance_that_was_changed_is_found_and_mended(sp3: sa.Engine) -> None:
    schema.upgrade(sp3)
    cost(sp3)
    with operator_session(sp3, write=True) as session:
        session.connection.execute(
            sa.text("UPDATE usage_rollups_daily SET estimated_cost = 1 WHERE quantity = 7")
        )
    found = len(verify(sp3, load_flat_map()).differences)
    Costing(sp3, load_flat_map()).rebuild(clock=lambda: NOW)
    left = len(verify(sp3, load_flat_map()).differences)
    assert (1, 0) == (found, left)


def test_new_usage_on_a_day_with_an_opening_balance_is_added_beside_it(
    sp3: sa.Engine, rules: Any
) -> None:
    schema.upgrade(sp3)
    late = sms(time="2026-01-05T12:00:00Z", source=..., feature=...)
    Intake(sp3, rules=rules).book([late], only_tenant=None, now=NOW)
    cost(sp3)
    with tenant_session(sp3, ACME) as session:
        lines = [line for line in read_export(session) if str(line.date) == "2026-01-05"]
    outbound = [line for line in lines if line.direction == "outbound"]
    assert [(3, 53_400_000)] == [(line.count, line.estimated_cost) for line in outbound]


def test_sending_a_row_of_sp3_again_is_a_duplicate(sp3: sa.Engine, rules: Any) -> None:
    schema.upgrade(sp3)
    (result,) = Intake(sp3, rules=rules).book([sms("sp3:1")], only_tenant=None, now=NOW)
    assert "duplicate" == result.status


def test_a_downgrade_gives_sp3_its_shape_and_totals_back(sp3: sa.Engine) -> None:
    statement = (
        "SELECT tenant_id, channel, CAST(sum(count) AS BIGINT), CAST(sum(quantity) AS BIGINT),"
        " CAST(round(sum(estimated_cost), 9) AS DOUBLE PRECISION)"
        " FROM usage_rollups_daily GROUP BY tenant_id, channel ORDER BY tenant_id, channel"
    )
    schema.upgrade(sp3)
    cost(sp3)
    schema.downgrade(sp3, "0001")
    expected = [
        ("acme", "sms", 4, 10, 0.085),
        ("acme", "voice", 3, 7, 0.0595),
        ("initech", "mms", 1, 1, None),
        ("umbrella", "ai", 1, 101, 0.000302),
    ]
    assert expected == query(sp3, statement)


def test_down_and_up_again_changes_no_total(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    late_evening = "2026-03-08T20:00:00Z"
    events = [sms("a", tenant="karachi", time=late_evening), ai("b"), sms("c")]
    intake.book(events, only_tenant=None, now=NOW)
    costing.run(clock=lambda: NOW)
    before = _totals(engine)
    schema.downgrade(engine, "0001")
    schema.upgrade(engine)
    cost(engine)
    assert before == _totals(engine)


def test_a_downgrade_is_refused_while_usage_waits(engine: sa.Engine, intake: Intake) -> None:
    intake.book([sms()], only_tenant=None, now=NOW)
    with pytest.raises(ConflictError) as refused:
        schema.downgrade(engine, "0001")
    found = (refused.value.code, schema.current_revision(engine))
    assert ("usage_pending", schema.head_revision()) == found


def test_accounts_come_and_go_without_touching_usage_or_keys(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    intake.book([sms(), ai()], only_tenant=None, now=NOW)
    costing.run(clock=lambda: NOW)
    with operator_session(engine, write=True) as session:
        create_key(session, scopes=frozenset({Scope.READ}), label="x", tenant_id=ACME, now=NOW)
    before = _content(engine)
    schema.downgrade(engine, "0002")
    between = _content(engine)
    schema.upgrade(engine)
    assert [before, before] == [between, _content(engine)]


def test_usage_that_waits_goes_on_waiting_when_accounts_come_and_go(
    engine: sa.Engine, intake: Intake
) -> None:
    intake.book([sms()], only_tenant=None, now=NOW)
    schema.downgrade(engine, "0002")
    schema.upgrade(engine)
    cost(engine)
    assert ["2026-03-09,sms,outbound,twilio,broadcast,1,0.0089"] == exported(engine, "acme")


def test_tenants_that_were_there_before_accounts_are_open(engine: sa.Engine) -> None:
    schema.downgrade(engine, "0002")
    schema.upgrade(engine)
    with operator_session(engine) as session:
        found = [(t.tenant_id, t.closed_at) for t in list_tenants(session)]
    assert [("acme", None), ("karachi", None)] == found


def test_going_back_before_accounts_leaves_no_table_of_them(engine: sa.Engine) -> None:
    schema.downgrade(engine, "0002")
    accounts = {"users", "sign_ins", "sign_in_links", "sign_in_failures"}
    assert set() == accounts & table_names(engine)


def take_all(engine: sa.Engine) -> int:
    retention = Retention(engine, days=4)
    return sum(sum(retention.take(due)) for due in retention.find_due(now=NOW))


def test_retention_comes_and_goes_without_touching_usage(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    intake.book([sms(), ai()], only_tenant=None, now=NOW)
    costing.run(clock=lambda: NOW)
    before = _content(engine)
    schema.downgrade(engine, "0003")
    between = _content(engine)
    schema.upgrade(engine)
    assert [before, before] == [between, _content(engine)]


def test_there_is_no_way_back_from_usage_that_was_taken(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    intake.book([sms(time="2026-01-05T12:00:00Z")], only_tenant=None, now=NOW)
    costing.run(clock=lambda: NOW)
    take_all(engine)
    with pytest.raises(ConflictError) as refused:
        schema.downgrade(engine, "0003")
    found = (refused.value.code, schema.current_revision(engine))
    assert ("usage_taken", schema.head_revision()) == found


def test_tombstones_of_an_older_version_answer_after_an_upgrade(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    event = sms(time="2026-01-05T12:00:00Z")
    intake.book([event], only_tenant=None, now=NOW)
    costing.run(clock=lambda: NOW)
    take_all(engine)
    schema.downgrade(engine, "0016")
    schema.upgrade(engine)
    (result,) = intake.book([event], only_tenant=None, now=NOW)
    marks = query(engine, "SELECT is_told_of FROM usage_tombstones")
    assert (Status.DUPLICATE, [None]) == (result.status, [mark for (mark,) in marks])


def test_facts_come_and_go_without_touching_usage(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    intake.book([sms(), ai()], only_tenant=None, now=NOW)
    costing.run(clock=lambda: NOW)
    before = _content(engine)
    schema.downgrade(engine, "0007")
    between = _content(engine)
    schema.upgrade(engine)
    assert [before, before] == [between, _content(engine)]


def test_there_is_no_way_back_from_usage_that_providers_told_of(
    engine: sa.Engine, rules: Rules
) -> None:
    Facts(engine, rules).book(ACME, [fact()], now=NOW)
    Costing(engine, load_flat_map()).run(clock=lambda: NOW)
    with pytest.raises(ConflictError) as refused:
        schema.downgrade(engine, "0007")
    found = (refused.value.code, schema.current_revision(engine))
    assert ("usage_told", schema.head_revision()) == found


def test_days_that_were_there_before_series_have_the_plan_in_force_when_they_began(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    with operator_session(engine, write=True) as session:
        change_tenant(session, ACME, plan="Elite", now=datetime(2026, 3, 9, 5, tzinfo=UTC))
    events = [sms(), sms("b", time="2026-03-10T11:00:00Z"), ai("k", tenant="karachi")]
    intake.book(events, only_tenant=None, now=NOW)
    costing.run(clock=lambda: NOW)
    days = "SELECT tenant_id, date, day_start_utc, plan FROM usage_tenant_days ORDER BY 1, 2"
    before = query(engine, days)
    schema.downgrade(engine, "0005")
    schema.upgrade(engine)
    plans = [row[3] for row in before]
    assert (["Pro", "Elite", "unassigned"], before) == (plans, query(engine, days))


def test_opening_balances_of_sp3_have_days(sp3: sa.Engine) -> None:
    schema.upgrade(sp3)
    days = query(sp3, "SELECT tenant_id, CAST(date AS TEXT) FROM usage_tenant_days ORDER BY 1, 2")
    assert [("acme", "2025-12-24"), ("acme", "2026-01-05"), ("initech", "2026-01-05")] == days


def test_raw_rows_behind_an_opening_balance_are_taken_and_change_nothing(sp3: sa.Engine) -> None:
    schema.upgrade(sp3)
    cost(sp3)
    before = exported(sp3, "acme")
    taken = take_all(sp3)
    found = (taken, exported(sp3, "acme"), verify(sp3, load_flat_map()).differences)
    assert (len(RAW), before, ()) == found


def test_a_taken_row_of_sp3_sent_again_is_a_duplicate(sp3: sa.Engine, rules: Any) -> None:
    schema.upgrade(sp3)
    cost(sp3)
    take_all(sp3)
    (result,) = Intake(sp3, rules=rules).book([sms("sp3:1")], only_tenant=None, now=NOW)
    assert "duplicate" == result.status


def test_an_opening_balance_is_mended_after_its_raw_rows_were_taken(sp3: sa.Engine) -> None:
    schema.upgrade(sp3)
    cost(sp3)
    before = exported(sp3, "acme")
    take_all(sp3)
    with operator_session(sp3, write=True) as session:
        session.connection.execute(
            sa.text("UPDATE usage_rollups_daily SET count = 9 WHERE price_class = 'sp3'")
        )
    Costing(sp3, load_flat_map()).rebuild(clock=lambda: NOW)
    assert before == exported(sp3, "acme")


def test_an_empty_database_can_be_taken_down_to_nothing(engine: sa.Engine) -> None:
    schema.downgrade(engine, "base")
    assert {"meterline_version"} == table_names(engine)


def test_an_upgrade_that_fails_leaves_sp3_as_it_was(sp3: sa.Engine) -> None:
    # The name of a table that the upgrade makes late is taken.
    change_schema(sp3, "CREATE TABLE usage_journal (x INTEGER)")
    with pytest.raises(Exception, match="usage_journal"):
        schema.upgrade(sp3)
    found = query(sp3, "SELECT count(*), sum(quantity) FROM usage_metrics")
    assert (5, "0001") == (found[0][0], schema.current_revision(sp3))


def test_the_ids_of_opening_rows_are_those_that_the_ledger_would_give(sp3: sa.Engine) -> None:
    schema.upgrade(sp3)
    with tenant_session(sp3, ACME) as session:
        keys = list(read_rollups(session))
    found = query(sp3, "SELECT CAST(rollup_id AS VARCHAR(36)) FROM usage_rollups_daily")
    ids = {UUID(text) for (text,) in found}
    assert {key.rollup_id for key in keys} <= ids


def _totals(engine: sa.Engine) -> str:
    with operator_session(engine) as session:
        statement = (
            "SELECT tenant_id, channel, sum(count), sum(quantity), sum(estimated_cost)"
            " FROM usage_rollups_daily GROUP BY tenant_id, channel ORDER BY tenant_id, channel"
        )
        rows = session.connection.execute(sa.text(statement))
        return json.dumps([tuple(map(str, row)) for row in rows])


def _content(engine: sa.Engine) -> dict[str, list[Any]]:
    """Return all rows of the tables that revision 0002 has, without what later ones add to them."""
    later = {"users", "sign_ins", "sign_in_links", "sign_in_failures", "usage_tombstones"}
    later |= {"sequences"} if is_postgresql(engine) else set()
    later |= {"unshipped_batches", "usage_tenant_days"}
    later |= {"relay_state", "worker_health", "quarantined_points", "relay_holds"}
    later |= {"provider_mappings", "unattributed_usage", "price_entries"}
    later |= {"usage_facts", "usage_balances", "grafana_orgs"}
    later |= {"usage_rollups_hourly", "server_counters"}
    later |= {name for name in metadata.tables if name.startswith("budget_")} | {"usage_anomalies"}
    added = {
        "usage_metrics": {"count", "usage_id", "corrects"},
        "usage_rollups_daily": {"shipped_revision"},
        "usage_journal": {"reason"},
        "costing_state": {"hours_from"},
        "tenants": {"closed_at"},
        "usage_checkpoints": {"derived_count", "provisional_count", "taken_count"},
    }
    content = {}
    for table in metadata.sorted_tables:
        if table.name not in later:
            there = [c.name for c in table.c if c.name not in added.get(table.name, set())]
            columns = ", ".join(f'"{name}"' for name in there)
            rows = query(engine, f"SELECT {columns} FROM {table.name} ORDER BY 1, 2")
            content[table.name] = [tuple(map(str, row)) for row in rows]
    return content


def table_names(engine: sa.Engine) -> set[str]:
    with owner_session(engine) as session:
        return set(sa.inspect(session.connection).get_table_names())


HOST_TABLES = """
CREATE TABLE usage_metrics (id INTEGER PRIMARY KEY, tenant_id TEXT, channel TEXT, direction TEXT,
    quantity INTEGER, time TEXT);
CREATE INDEX by_time ON usage_metrics (time);
CREATE TABLE usage_rollups_daily (tenant_id TEXT, date TEXT, channel TEXT, direction TEXT,
    count INTEGER, quantity INTEGER, estimated_cost REAL);
CREATE TABLE alembic_version (version_num TEXT);
INSERT INTO alembic_version VALUES ('the-hosts-own');
INSERT INTO usage_metrics VALUES (5, 'acme', 'sms', 'outbound', 2, '2026-01-05T10:00:00Z');
INSERT INTO usage_rollups_daily VALUES ('acme', '2026-01-04', 'mms', 'inbound', 1, 1, 0.02);
"""


SERVER_TABLES = """
CREATE TABLE usage_metrics (id bigserial PRIMARY KEY, tenant_id text, channel text, direction text,
    quantity numeric, time timestamp with time zone);
CREATE INDEX pk_usage_metrics_tenant ON usage_metrics (time);
CREATE TABLE usage_rollups_daily (tenant_id text, date date, channel text, direction text,
    count bigint, quantity numeric, estimated_cost double precision);
CREATE TABLE alembic_version (version_num text);
INSERT INTO alembic_version VALUES ('the-hosts-own');
INSERT INTO usage_metrics VALUES (5, 'acme', 'sms', 'outbound', 2, '2026-01-05T10:00:00Z');
INSERT INTO usage_rollups_daily VALUES ('acme', '2026-01-04', 'mms', 'inbound', 1, 1, 0.02);
"""


@pytest.fixture
def host_server(unmade: sa.Engine) -> sa.Engine:
    """Likewise on PostgreSQL, with types that SP-3 did not need."""
    change_schema(unmade, SERVER_TABLES)
    return unmade


@pytest.mark.ledger("postgresql")
def test_a_server_database_that_the_host_made_is_taken_over(host_server: sa.Engine) -> None:
    schema.upgrade(host_server)
    cost(host_server)
    expected = ["2026-01-04,mms,inbound,,,1,0.02", "2026-01-05,sms,outbound,,,1,0.0178"]
    found = (exported(host_server, "acme"), schema.find_drift(host_server))
    assert (expected, []) == found


@pytest.mark.ledger("postgresql")
@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE usage_metrics SET tenant_id = 'tenant one'", "tenant_id 'tenant one'"),
        ("UPDATE usage_metrics SET time = 'infinity'", "time 'infinity'"),
        ("UPDATE usage_metrics SET time = '10000-01-01'", "time '10000-01-01"),
        ("UPDATE usage_metrics SET quantity = -5", "quantity '-5'"),
        ("UPDATE usage_metrics SET quantity = 'NaN'", "quantity 'NaN'"),
        ("UPDATE usage_rollups_daily SET date = '0044-03-15 BC'", "date '0044-03-15 BC'"),
        ("UPDATE usage_rollups_daily SET count = 1000000000001", "count '1000000000001'"),
        ("UPDATE usage_rollups_daily SET estimated_cost = 'NaN'", "estimated_cost 'NaN'"),
    ],
)
def test_rows_of_a_server_that_no_ledger_could_hold_are_named(
    host_server: sa.Engine, damage: str, named: str
) -> None:
    change_schema(host_server, damage)
    with pytest.raises(InvalidError) as refused:
        schema.upgrade(host_server)
    found = (named in refused.value.message, schema.current_revision(host_server))
    assert (True, None) == found


@pytest.mark.ledger("postgresql")
def test_sp3_goes_on_writing_after_a_downgrade(sp3: sa.Engine) -> None:
    schema.upgrade(sp3)
    cost(sp3)
    schema.downgrade(sp3, "0001")
    change_schema(
        sp3,
        "INSERT INTO usage_metrics (tenant_id, channel, direction, quantity, time)"
        " VALUES ('acme', 'sms', 'outbound', 1, now())",
    )
    assert [(8,)] == query(sp3, "SELECT max(id) FROM usage_metrics")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[sa.Engine]:
    """A database that the host made by itself, with its own version table."""
    path = tmp_path / "host.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(HOST_TABLES)
    engine = create_ledger_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


def test_a_database_that_the_host_made_is_taken_over(host: sa.Engine) -> None:
    schema.upgrade(host)
    cost(host)
    expected = ["2026-01-04,mms,inbound,,,1,0.02", "2026-01-05,sms,outbound,,,1,0.0178"]
    assert (expected, []) == (exported(host, "acme"), schema.find_drift(host))


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE usage_metrics SET tenant_id = 'tenant one'", "tenant_id 'tenant one'"),
        ("UPDATE usage_rollups_daily SET tenant_id = ''", "tenant_id ''"),
        ("UPDATE usage_metrics SET time = 'yesterday'", "row 5: time 'yesterday'"),
        ("UPDATE usage_metrics SET time = '9999-12-31 23:00:00'", "row 5: time"),
        ("UPDATE usage_metrics SET time = '10:00:00'", "row 5: time '10:00:00'"),
        ("UPDATE usage_metrics SET quantity = -5", "row 5: quantity -5"),
        ("UPDATE usage_metrics SET quantity = 9000000000000000000", "row 5: quantity"),
        ("UPDATE usage_rollups_daily SET date = '20240101'", "row 1: date"),
        ("UPDATE usage_rollups_daily SET estimated_cost = 'abc'", "row 1: estimated_cost 'abc'"),
        ("UPDATE usage_rollups_daily SET estimated_cost = 9999999999.12", "row 1: estimated_cost"),
    ],
)
def test_rows_that_no_ledger_could_hold_are_named_and_nothing_is_changed(
    host: sa.Engine, damage: str, named: str
) -> None:
    change_schema(host, damage)
    with pytest.raises(InvalidError) as refused:
        schema.upgrade(host)
    found = (named in refused.value.message, schema.current_revision(host))
    assert (True, None) == found


def test_a_downgrade_never_shows_a_part_as_the_whole_cost(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    audio = {"model": "house-llm", "audio_seconds": 1}
    intake.book([ai("a"), ai("b", metadata=audio, feature="ivr")], only_tenant=None, now=NOW)
    costing.run(clock=lambda: NOW)
    schema.downgrade(engine, "0001")
    assert [(None,)] == query(engine, "SELECT estimated_cost FROM usage_rollups_daily")
