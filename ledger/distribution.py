"""How the tables lie in a Citus cluster: usage by tenant, what is small on every node."""

from collections.abc import Iterator

import sqlalchemy as sa

from ledger.errors import UnavailableError
from ledger.postgresql import has_citus

BY_TENANT = (
    "usage_metrics",
    "usage_tombstones",
    "usage_facts",
    "usage_balances",
    "usage_batches",
    "costing_state",
    "usage_rollups_daily",
    "usage_rollups_hourly",
    "usage_checkpoints",
    "usage_journal",
    "unshipped_batches",
    "usage_tenant_days",
    "relay_state",
    "quarantined_points",
    "relay_holds",
    "unattributed_usage",
    "budget_revisions",
    "budget_evaluations",
    "budget_standings",
    "budget_crossings",
    "budget_notices",
    "usage_anomalies",
)
"""Tables that grow with usage: rows of one tenant lie on one node, together."""

ON_EVERY_NODE = ("tenants", "tenant_periods", "price_books")
"""Small tables that are read together with usage."""

ON_ONE_NODE = frozenset(
    {
        "api_keys",
        "users",
        "sign_ins",
        "sign_in_links",
        "sign_in_failures",
        "worker_health",
        "provider_mappings",
        "price_entries",
        "grafana_orgs",
        "server_counters",
    }
)
"""Small tables that are read by themselves: they stay where they are."""

_COLOCATED_WITH = BY_TENANT[0]


def list_statements() -> list[tuple[str, str]]:
    """Return table and statement, in the order in which they have to be run."""
    reference = [(name, f"SELECT create_reference_table('{name}')") for name in ON_EVERY_NODE]
    first = (_COLOCATED_WITH, f"SELECT create_distributed_table('{_COLOCATED_WITH}', 'tenant_id')")
    beside = f"colocate_with => '{_COLOCATED_WITH}'"
    others = [
        (name, f"SELECT create_distributed_table('{name}', 'tenant_id', {beside})")
        for name in BY_TENANT[1:]
    ]
    return [*reference, first, *others]


def distribute(connection: sa.Connection) -> Iterator[str]:
    """Distribute what is not yet, in the owner's transaction; yield each statement before it runs.

    Raises:
        UnavailableError: `no_citus`, where the database is no Citus cluster.
    """
    if not has_citus(connection):
        raise UnavailableError(
            "no_citus",
            "the extension citus is not in this database; on a cluster, run CREATE EXTENSION citus"
            " on its coordinator, and see docs/scaling.md",
        )
    placed = "SELECT logicalrelid::regclass::text FROM pg_dist_partition"
    there = set(connection.exec_driver_sql(placed).scalars())
    for name, statement in list_statements():
        if name not in there:
            yield statement
            connection.exec_driver_sql(statement)
