"""The walls between tenants on PostgreSQL: what each role may do with each table.

They are derived from the tables, stand on the newest schema alone, and are put up anew by every
upgrade, so that a table cannot be forgotten: one that is not named here fails the upgrade.
"""

import re
from collections.abc import Iterator

import sqlalchemy as sa

from ledger.errors import ForbiddenError
from ledger.models import BOOKING_SEQUENCE, ONLY_ON, metadata
from ledger.postgresql import MIN_VERSION, OPERATOR_ROLE, TENANT_ROLE, TENANT_SETTING

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
    "usage_checkpoints": "SELECT, INSERT, DELETE",
    "usage_journal": "SELECT, INSERT",
    "unshipped_batches": _ALL,
    "usage_tenant_days": "SELECT, INSERT, UPDATE",
    "relay_state": "SELECT, INSERT, UPDATE",
    "quarantined_points": "SELECT, INSERT, DELETE",
    "unattributed_usage": "SELECT, INSERT, UPDATE",
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
        "relay_health",
        "provider_mappings",
    }
)
"""Tables that no tenant's transaction sees: who comes in, and how it goes with the whole."""

_BEHIND_POLICIES = frozenset(
    name for name in TENANT_MAY if "tenant_id" in metadata.tables[name].columns
)
_POLICIES = {
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

_ROLES_BY_HAND = (
    f"CREATE ROLE {TENANT_ROLE} NOLOGIN; CREATE ROLE {OPERATOR_ROLE} NOLOGIN;"
    f" GRANT {TENANT_ROLE}, {OPERATOR_ROLE} TO <the role that signs in>;"
)


def raise_walls(connection: sa.Connection) -> None:
    """Make the roles, and give them what they may; force the policies on the tables' owner, too.

    Raises:
        ForbiddenError: `missing_roles`, where there are none and the login may not make them.
    """
    _make_roles(connection)
    for table in metadata.sorted_tables:
        if table.info.get(ONLY_ON) != "sqlite":
            _grant(connection, table.name)
    connection.exec_driver_sql(
        f"GRANT USAGE ON SEQUENCE {BOOKING_SEQUENCE} TO {TENANT_ROLE}, {OPERATOR_ROLE}"
    )
    for name in sorted(_BEHIND_POLICIES):
        for policy, (role, condition) in _POLICIES.items():
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
    query = "SELECT relname FROM pg_class WHERE relforcerowsecurity AND relname = ANY (%s)"
    names = connection.exec_driver_sql(query, (sorted(_BEHIND_POLICIES),)).scalars().all()
    for name in names:
        connection.exec_driver_sql(f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY")


def find_gaps(connection: sa.Connection) -> list[str]:
    """Return where the walls have gaps: what is told to an operator, with what to do."""
    return [
        *_version_gaps(connection),
        *_login_gaps(connection),
        *_role_gaps(connection),
        *_wall_gaps(connection),
    ]


def walls_stand(connection: sa.Connection) -> bool:
    """Whether `raise_walls` would change nothing."""
    return not list(_wall_gaps(connection))


def _make_roles(connection: sa.Connection) -> None:
    for role in (TENANT_ROLE, OPERATOR_ROLE):
        known = connection.exec_driver_sql("SELECT FROM pg_roles WHERE rolname = %s", (role,))
        if known.first() is None:
            try:
                with connection.begin_nested():
                    connection.exec_driver_sql(f"CREATE ROLE {role} NOLOGIN")
            except sa.exc.IntegrityError:
                pass  # roles are of the whole server: another database's upgrade was faster
            except sa.exc.ProgrammingError as error:
                raise _missing_roles(f"there is no role {role}") from error
        member = connection.exec_driver_sql("SELECT pg_has_role(%s, 'MEMBER')", (role,))
        if not member.scalar_one():
            try:
                with connection.begin_nested():
                    connection.exec_driver_sql(f"GRANT {role} TO CURRENT_USER")
            except sa.exc.ProgrammingError as error:
                raise _missing_roles(f"the login is no member of {role}") from error


def _missing_roles(what: str) -> ForbiddenError:
    return ForbiddenError(
        "missing_roles",
        f"{what}, and the login may not change that; let an administrator run: {_ROLES_BY_HAND}",
    )


def _grant(connection: sa.Connection, name: str) -> None:
    connection.exec_driver_sql(f"REVOKE ALL ON {name} FROM {TENANT_ROLE}, {OPERATOR_ROLE}")
    connection.exec_driver_sql(f"GRANT {_ALL} ON {name} TO {OPERATOR_ROLE}")
    if name not in TENANT_MAY_NOT:
        connection.exec_driver_sql(f"GRANT {TENANT_MAY[name]} ON {name} TO {TENANT_ROLE}")


def _login_gaps(connection: sa.Connection) -> Iterator[str]:
    query = "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = session_user"
    name, is_super, bypasses = connection.exec_driver_sql(query).one()
    if is_super:
        yield f"the login {name} is a superuser, whom no policy binds; sign in as another role"
    elif bypasses:
        yield f"the login {name} has BYPASSRLS; run ALTER ROLE {name} NOBYPASSRLS"


def _role_gaps(connection: sa.Connection) -> Iterator[str]:
    query = (
        "SELECT rolname, rolsuper OR rolbypassrls, pg_has_role(rolname, 'MEMBER') FROM pg_roles"
        " WHERE rolname = ANY (%s)"
    )
    roles = (TENANT_ROLE, OPERATOR_ROLE)
    known = {row[0]: row[1:] for row in connection.exec_driver_sql(query, (list(roles),))}
    for role in roles:
        bypasses, is_member = known.get(role, (False, True))
        if role not in known:
            yield f"there is no role {role}; run `meterline db upgrade`"
        if bypasses:
            yield f"the role {role} would bypass the policies; run ALTER ROLE {role} NOBYPASSRLS"
        if not is_member:
            yield f"the login is no member of {role}; run GRANT {role} to it"
    query = "SELECT rolname FROM pg_roles WHERE rolname <> %s AND pg_has_role(%s, oid, 'MEMBER')"
    if TENANT_ROLE in known:
        for other in connection.exec_driver_sql(query, (TENANT_ROLE, TENANT_ROLE)).scalars():
            yield f"the role {TENANT_ROLE} is a member of {other} and can become it"


def _wall_gaps(connection: sa.Connection) -> Iterator[str]:
    yield from _table_gaps(connection)
    yield from _policy_gaps(connection)
    yield from _grant_gaps(connection)


def _table_gaps(connection: sa.Connection) -> Iterator[str]:
    query = (
        "SELECT relname, relrowsecurity AND relforcerowsecurity,"
        " pg_has_role(%s, relowner, 'MEMBER') FROM pg_class"
        " WHERE relname = ANY (%s) AND relkind IN ('r', 'p') AND pg_table_is_visible(oid)"
    )
    tables = connection.exec_driver_sql(query, (TENANT_ROLE, sorted(_BEHIND_POLICIES)))
    for name, is_forced, is_owned in tables:
        if not is_forced:
            yield f"row-level security is not forced on {name}; run `meterline db upgrade`"
        if is_owned:
            yield f"the role {TENANT_ROLE} owns {name} and can take its walls down"


def _policy_gaps(connection: sa.Connection) -> Iterator[str]:
    query = (
        "SELECT tablename, policyname, array_to_string(roles, ','), qual, with_check"
        " FROM pg_policies WHERE tablename = ANY (%s) AND permissive = 'PERMISSIVE'"
        " ORDER BY tablename, policyname"
    )
    found = connection.exec_driver_sql(query, (sorted(_BEHIND_POLICIES),)).all()
    there = {(table, policy): rest for table, policy, *rest in found}
    for table in sorted(_BEHIND_POLICIES):
        for policy, (role, _) in _POLICIES.items():
            if (table, policy) not in there:
                yield f"{table} has no policy {policy}; run `meterline db upgrade`"
            elif not _is_ours(policy, role, *there[table, policy]):
                yield f"{table} has another policy {policy} than ours; run `meterline db upgrade`"
    for table, policy in there:
        if policy not in _POLICIES:
            roles = there[table, policy][0]
            yield f"{table} has a policy {policy} for {roles} that is none of ours; drop it"


def _is_ours(policy: str, role: str, roles: str, condition: str, check: str) -> bool:
    """Whether a policy says what ours does, in the server's own way to write it."""
    bare = re.sub(r"::\w+|[\s()]", "", condition).casefold()
    ours = re.sub(r"::\w+|[\s()]", "", _POLICIES[policy][1]).casefold()
    return (roles, condition, bare) == (role, check, ours)


def _grant_gaps(connection: sa.Connection) -> Iterator[str]:
    query = (
        "SELECT table_name, string_agg(privilege_type, ', ' ORDER BY privilege_type)"
        " FROM information_schema.role_table_grants WHERE grantee IN (%s, 'PUBLIC')"
        " AND table_name = ANY (%s) GROUP BY table_name ORDER BY table_name"
    )
    names = sorted({*TENANT_MAY, *TENANT_MAY_NOT})
    for name, granted in connection.exec_driver_sql(query, (TENANT_ROLE, names)):
        more = set(granted.split(", ")) - set(TENANT_MAY.get(name, "").split(", "))
        if more:
            may = ", ".join(sorted(more))
            yield f"the role {TENANT_ROLE} may {may} {name}; run `meterline db upgrade`"


def _version_gaps(connection: sa.Connection) -> Iterator[str]:
    version = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000
    if version < MIN_VERSION:
        yield f"PostgreSQL {version} is older than {MIN_VERSION}, the oldest that is supported"
