"""The walls between tenants on PostgreSQL: what each role may do with each table.

They are derived from the tables, stand on the newest schema alone, and are put up anew by every
upgrade. A table that is not named here is nobody's, and fails a test.
"""

import sqlalchemy as sa

from ledger.models import BOOKING_SEQUENCE, VERSION_TABLE, metadata
from ledger.postgresql import OPERATOR_ROLE, TENANT_ROLE, TENANT_SETTING
from ledger.roles import ROLES, make_roles

_ALL = "SELECT, INSERT, UPDATE, DELETE"
_READ = "SELECT"

TENANT_MAY = {
    "tenants": _READ,
    "tenant_periods": _READ,
    "usage_metrics": "SELECT, INSERT, DELETE",
    "usage_tombstones": "SELECT, INSERT",
    "usage_facts": "SELECT, INSERT, DELETE",
    "usage_balances": _ALL,
    "usage_batches": "SELECT, INSERT, DELETE",
    "costing_state": "SELECT, INSERT, UPDATE",
    "usage_rollups_daily": "SELECT, INSERT, UPDATE",
    "usage_rollups_hourly": _ALL,
    "usage_checkpoints": "SELECT, INSERT, DELETE",
    "usage_journal": "SELECT, INSERT",
    "unshipped_batches": _ALL,
    "usage_tenant_days": "SELECT, INSERT, UPDATE",
    "relay_state": "SELECT, INSERT, UPDATE",
    "quarantined_points": _ALL,
    "relay_holds": _ALL,
    "unattributed_usage": "SELECT, INSERT, UPDATE",
    "budget_revisions": "SELECT, INSERT",
    "budget_evaluations": "SELECT, INSERT, UPDATE",
    "budget_standings": _ALL,
    "budget_crossings": "SELECT, INSERT",
    "budget_notices": "SELECT, INSERT, UPDATE",
    "usage_anomalies": "SELECT, INSERT, DELETE",
    "price_books": _READ,
}
"""What a tenant's transaction may do, with its own rows alone where rows belong to tenants."""

TENANT_MAY_NOT = frozenset(
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
"""Tables that no tenant's transaction sees: who comes in, and how it goes with the whole."""

BEHIND_POLICIES = frozenset(
    name for name in TENANT_MAY if "tenant_id" in metadata.tables[name].columns
)
"""Tables whose rows belong to tenants."""

POLICIES = {
    "meterline_own": (
        TENANT_ROLE,
        # Without a tenant the setting is NULL, or empty once it was set in a session: no row.
        f"tenant_id = current_setting('{TENANT_SETTING}', true)",
    ),
    "meterline_all": (
        OPERATOR_ROLE,
        # A role that signs in and is a member does not see all rows by that: it has to become it.
        # As an equation it would be taken to hold for one row in 200, and plans would be made for
        # so few.
        f"CASE current_user WHEN '{OPERATOR_ROLE}' THEN true ELSE false END",
    ),
}
"""Role and condition of each policy."""

RIGHTS = {
    TENANT_ROLE: {**TENANT_MAY, BOOKING_SEQUENCE: "USAGE"},
    OPERATOR_ROLE: {
        **dict.fromkeys([*TENANT_MAY, *TENANT_MAY_NOT], _ALL),
        # What a dump reads of it, too.
        BOOKING_SEQUENCE: "SELECT, USAGE",
        VERSION_TABLE: _READ,
    },
}
"""What each role may do with tables and the sequence: this, all of it, and nothing else."""


def raise_walls(connection: sa.Connection) -> None:
    """Make the roles, and give them what they may; force the policies on the tables' owner, too.

    Raises:
        ForbiddenError: `missing_roles`, where there are none and the login may not make them.
    """
    make_roles(connection)
    _open_doors(connection)
    for name in sorted(RIGHTS[OPERATOR_ROLE]):
        _grant(connection, name)
    for name in sorted(BEHIND_POLICIES):
        for policy, (role, condition) in POLICIES.items():
            connection.exec_driver_sql(f"DROP POLICY IF EXISTS {policy} ON {name}")
            connection.exec_driver_sql(
                f"CREATE POLICY {policy} ON {name} TO {role}"
                f" USING ({condition}) WITH CHECK ({condition})"
            )
        connection.exec_driver_sql(
            f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
        )


def lower_walls(connection: sa.Connection) -> None:
    """Let the owner of the tables see all rows while it moves the schema, in this transaction."""
    query = (
        "SELECT relname FROM pg_class WHERE relforcerowsecurity AND relname = ANY (%s)"
        " AND pg_table_is_visible(oid)"
    )
    names = connection.exec_driver_sql(query, (sorted(BEHIND_POLICIES),)).scalars().all()
    for name in names:
        connection.exec_driver_sql(f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY")


def _open_doors(connection: sa.Connection) -> None:
    """Let the roles into the schema, and make temporary tables.

    Where the login may not grant that, this changes nothing, and the server only warns.
    """
    query = "SELECT quote_ident(current_database()), quote_ident(current_schema())"
    database, schema = connection.exec_driver_sql(query).one()
    roles = ", ".join(ROLES)
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {roles}")
    connection.exec_driver_sql(f"GRANT TEMPORARY ON DATABASE {database} TO {roles}")


def _grant(connection: sa.Connection, name: str) -> None:
    kind = "SEQUENCE" if name == BOOKING_SEQUENCE else "TABLE"
    # It takes back what is granted on single columns, too.
    connection.exec_driver_sql(f"REVOKE ALL ON {kind} {name} FROM PUBLIC, {', '.join(ROLES)}")
    for role, rights in RIGHTS.items():
        if name in rights:
            connection.exec_driver_sql(f"GRANT {rights[name]} ON {kind} {name} TO {role}")
