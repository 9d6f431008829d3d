"""`db distribute` on a stand-in of Citus: its functions note their calls, no cluster is there."""

from pathlib import Path

import pytest

from ledger.engine import create_ledger_engine
from ledger.session import tenant_session
from ledger.tenant import TenantId
from tests.conftest import Run
from tests.servers.postgresql import Database

pytestmark = pytest.mark.ledger("postgresql", own=True)

# What the command and the sessions use of Citus, under its names. An extension cannot be made
# without its files, so its row is written into the catalogue.
STAND_IN = """
INSERT INTO pg_extension
    SELECT 99999, 'citus', relowner, relnamespace, false, '13.2', NULL, NULL
    FROM pg_class WHERE relname = 'tenants';
CREATE TABLE pg_dist_partition (n serial, logicalrelid regclass, call text);
CREATE FUNCTION create_reference_table(name regclass) RETURNS void LANGUAGE sql SECURITY DEFINER AS
    $$ INSERT INTO pg_dist_partition (logicalrelid, call) VALUES (name, 'reference') $$;
CREATE FUNCTION create_distributed_table(name regclass, key text, colocate_with text = 'default')
    RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    INSERT INTO pg_dist_partition (logicalrelid, call) VALUES (name, key || ' ' || colocate_with)
    $$;
GRANT SELECT ON pg_dist_partition TO PUBLIC;
"""
PLACED = [
    ("tenants", "reference"),
    ("tenant_periods", "reference"),
    ("price_books", "reference"),
    ("usage_metrics", "tenant_id default"),
    ("usage_tombstones", "tenant_id usage_metrics"),
    ("usage_facts", "tenant_id usage_metrics"),
    ("usage_balances", "tenant_id usage_metrics"),
    ("usage_batches", "tenant_id usage_metrics"),
    ("costing_state", "tenant_id usage_metrics"),
    ("usage_rollups_daily", "tenant_id usage_metrics"),
    ("usage_rollups_hourly", "tenant_id usage_metrics"),
    ("usage_checkpoints", "tenant_id usage_metrics"),
    ("usage_journal", "tenant_id usage_metrics"),
    ("unshipped_batches", "tenant_id usage_metrics"),
    ("usage_tenant_days", "tenant_id usage_metrics"),
    ("relay_state", "tenant_id usage_metrics"),
    ("quarantined_points", "tenant_id usage_metrics"),
    ("relay_holds", "tenant_id usage_metrics"),
    ("unattributed_usage", "tenant_id usage_metrics"),
    ("budget_revisions", "tenant_id usage_metrics"),
    ("budget_evaluations", "tenant_id usage_metrics"),
    ("budget_standings", "tenant_id usage_metrics"),
    ("budget_crossings", "tenant_id usage_metrics"),
    ("budget_notices", "tenant_id usage_metrics"),
    ("usage_anomalies", "tenant_id usage_metrics"),
]


@pytest.fixture
def cluster(database: Database) -> Database:
    """A database that looks like one of a cluster."""
    server = database.server
    server.administer("ALTER ROLE postgres SET allow_system_table_mods = on")
    server.administer(STAND_IN, database=database.name)
    server.administer("ALTER ROLE postgres RESET allow_system_table_mods")
    return database


def placed(database: Database) -> list[tuple[str, str]]:
    query = "SELECT logicalrelid::text, call FROM pg_dist_partition ORDER BY n"
    return [
        (str(name), str(call)) for name, call in database.server.look(query, database=database.name)
    ]


def test_usage_is_placed_by_tenant_and_what_is_small_on_every_node(
    cluster: Database, meterline: Run
) -> None:
    finished = meterline("db", "distribute")
    assert (0, "tables placed: 25") == (finished.returncode, finished.stdout.splitlines()[-1])
    assert PLACED == placed(cluster)


def test_done_again_it_places_what_is_left(cluster: Database, meterline: Run) -> None:
    meterline("db", "distribute")
    cluster.server.administer(
        "DELETE FROM pg_dist_partition WHERE call LIKE 'tenant_id%'", database=cluster.name
    )
    assert "tables placed: 22" == meterline("db", "distribute").stdout.splitlines()[-1]


def test_the_statements_are_printed_on_any_database(meterline: Run) -> None:
    printed = meterline("db", "distribute", "--dry-run").stdout.splitlines()
    assert (25, "SELECT create_distributed_table('usage_metrics', 'tenant_id');") == (
        len(printed),
        printed[3],
    )


@pytest.mark.ledger("sqlite")
def test_the_page_on_scaling_lists_them_all(meterline: Run) -> None:
    page = (Path(__file__).parents[3] / "docs/scaling.md").read_text()
    assert meterline("db", "distribute", "--dry-run").stdout in page


def test_a_database_that_is_no_cluster_is_refused_with_what_to_do(meterline: Run) -> None:
    finished = meterline("db", "distribute")
    assert (1, True) == (finished.returncode, "CREATE EXTENSION citus" in finished.stderr)


@pytest.mark.ledger("sqlite")
def test_a_file_cannot_be_distributed(meterline: Run) -> None:
    finished = meterline("db", "distribute")
    assert (2, True) == (finished.returncode, "only a ledger on PostgreSQL" in finished.stderr)


def test_transactions_tell_the_nodes_of_a_cluster_who_they_are(cluster: Database) -> None:
    engine = create_ledger_engine(cluster.url)
    query = "SELECT current_setting('citus.propagate_set_commands')"
    with tenant_session(engine, TenantId("acme")) as session:
        told = session.connection.exec_driver_sql(query).scalar_one()
    engine.dispose()
    assert "local" == told
