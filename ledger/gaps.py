"""Finds the gaps in the walls between tenants, and says what closes them."""

import re
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa

from ledger.postgresql import MIN_VERSION, TENANT_ROLE
from ledger.roles import ROLES, ask_for_membership, give_membership, server_version
from ledger.walls import BEHIND_POLICIES, POLICIES, RIGHTS

# Who holds what: of tables, sequence and columns, and of what they lie in.
_DATABASE, _SCHEMA = "the database", "the schema"
_AROUND = ((_DATABASE, "TEMPORARY"), (_SCHEMA, "USAGE"))
_HELD = f"""
    WITH ours AS (
        SELECT oid, relname, relacl FROM pg_class
        WHERE relname = ANY (%s) AND relkind IN ('r', 'p', 'S') AND pg_table_is_visible(oid)
    ), held (what, acl) AS (
        SELECT relname, relacl FROM ours
        UNION ALL
        SELECT relname || ' (' || attname || ')', attacl FROM ours JOIN pg_attribute
            ON attrelid = ours.oid WHERE NOT attisdropped
        UNION ALL
        SELECT '{_SCHEMA}', coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace
            WHERE nspname = current_schema()
        UNION ALL
        SELECT '{_DATABASE}', coalesce(datacl, acldefault('d', datdba)) FROM pg_database
            WHERE datname = current_database()
    )
    SELECT DISTINCT rolname, what, privilege_type FROM held, aclexplode(acl)
        JOIN pg_roles ON pg_roles.oid = grantee OR grantee = 0 WHERE rolname = ANY (%s)
"""


def find_gaps(connection: sa.Connection) -> list[str]:
    """Return where the walls have gaps: what is told to an operator, with what to do."""
    missing = list(_missing_roles(connection))
    return [
        *_version_gaps(connection),
        *_login_gaps(connection),
        # Without a role there is nothing that could be said of what it may.
        *(missing or [*_role_gaps(connection), *_door_gaps(connection), *_wall_gaps(connection)]),
    ]


def walls_stand(connection: sa.Connection) -> bool:
    """Whether `raise_walls` would change nothing."""
    return not (list(_missing_roles(connection)) or list(_wall_gaps(connection)))


def _login_gaps(connection: sa.Connection) -> Iterator[str]:
    query = "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = session_user"
    name, is_super, bypasses = connection.exec_driver_sql(query).one()
    if is_super:
        yield f"the login {name} is a superuser, whom no policy binds; sign in as another role"
    elif bypasses:
        yield f"the login {name} has BYPASSRLS; run ALTER ROLE {name} NOBYPASSRLS"


def _missing_roles(connection: sa.Connection) -> Iterator[str]:
    query = "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)"
    known = set(connection.exec_driver_sql(query, (list(ROLES),)).scalars())
    for role in ROLES:
        if role not in known:
            yield f"there is no role {role}; run `meterline db upgrade`"


def _role_gaps(connection: sa.Connection) -> Iterator[str]:
    version = server_version(connection)
    query = (
        "SELECT rolname, rolsuper OR rolbypassrls, pg_has_role(rolname, %s), session_user"
        " FROM pg_roles WHERE rolname = ANY (%s) ORDER BY rolname"
    )
    values = (ask_for_membership(version), list(ROLES))
    for role, bypasses, may_become, login in connection.exec_driver_sql(query, values):
        if bypasses:
            yield f"the role {role} would bypass the policies; run ALTER ROLE {role} NOBYPASSRLS"
        if not may_become:
            grant = give_membership(role, to=login, version=version)
            yield f"the login {login} may not become {role}; run {grant}"
    query = "SELECT rolname FROM pg_roles WHERE rolname <> %s AND pg_has_role(%s, oid, 'MEMBER')"
    for other in connection.exec_driver_sql(query, (TENANT_ROLE, TENANT_ROLE)).scalars():
        yield f"the role {TENANT_ROLE} is a member of {other} and can become it"


def _door_gaps(connection: sa.Connection) -> Iterator[str]:
    """Tell who can become the roles and connects as anybody may, whom nobody meant to let in."""
    query = (
        "SELECT rolname, quote_ident(datname) FROM pg_roles, pg_database"
        " WHERE datname = current_database() AND has_database_privilege('public', datname,"
        " 'CONNECT') AND rolcanlogin AND NOT rolsuper AND rolname <> session_user"
        " AND NOT pg_has_role(pg_roles.oid, datdba, 'MEMBER')"
        " AND (pg_has_role(pg_roles.oid, %s, 'MEMBER') OR pg_has_role(pg_roles.oid, %s, 'MEMBER'))"
        " ORDER BY rolname"
    )
    for login, database in connection.exec_driver_sql(query, ROLES):
        yield (
            f"the login {login} may connect to this ledger, as anybody, and become its roles; name"
            f" those who are meant by GRANT CONNECT ON DATABASE {database} TO …, then run"
            f" REVOKE CONNECT ON DATABASE {database} FROM PUBLIC"
        )


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
    tables = connection.exec_driver_sql(query, (TENANT_ROLE, sorted(BEHIND_POLICIES)))
    for name, is_forced, is_owned in tables:
        if not is_forced:
            yield f"row-level security is not forced on {name}; run `meterline db upgrade`"
        if is_owned:
            yield f"the role {TENANT_ROLE} owns {name} and can take its walls down"


def _policy_gaps(connection: sa.Connection) -> Iterator[str]:
    query = (
        "SELECT tablename, policyname, array_to_string(roles, ','), cmd, qual, with_check"
        " FROM pg_policies WHERE tablename = ANY (%s) AND permissive = 'PERMISSIVE'"
        " AND pg_table_is_visible(format('%%I.%%I', schemaname, tablename)::regclass)"
        " ORDER BY tablename, policyname"
    )
    found = connection.exec_driver_sql(query, (sorted(BEHIND_POLICIES),)).all()
    there = {(table, policy): rest for table, policy, *rest in found}
    for table in sorted(BEHIND_POLICIES):
        for policy, (role, _) in POLICIES.items():
            if (table, policy) not in there:
                yield f"{table} has no policy {policy}; run `meterline db upgrade`"
            elif not _is_ours(policy, role, *there[table, policy]):
                yield f"{table} has another policy {policy} than ours; run `meterline db upgrade`"
    for table, policy in there:
        if policy not in POLICIES:
            roles = there[table, policy][0]
            yield f"{table} has a policy {policy} for {roles} that is not Meterline's; drop it"


def _is_ours(policy: str, role: str, *found: str) -> bool:
    """Whether a policy says what ours does, in the server's own way to write it."""
    roles, command, condition, check = found
    bare = re.sub(r"::\w+|[\s()]", "", condition).casefold()
    ours = re.sub(r"::\w+|[\s()]", "", POLICIES[policy][1]).casefold()
    return (roles, command, condition, bare) == (role, "ALL", check, ours)


def _grant_gaps(connection: sa.Connection) -> Iterator[str]:
    names = sorted({name for rights in RIGHTS.values() for name in rights})
    held = {tuple(row) for row in connection.exec_driver_sql(_HELD, (names, list(ROLES)))}
    meant = {
        (role, name, privilege)
        for role, rights in RIGHTS.items()
        for name, privileges in rights.items()
        for privilege in privileges.split(", ")
    }
    around = {(role, *right) for role in ROLES for right in _AROUND}
    # What else may be done with the schema and the database is for their owner to say.
    more = {right for right in held - meant if right[1] not in (_SCHEMA, _DATABASE)}
    for rights, verb in (((meant | around) - held, "may not"), (more, "may")):
        for (role, what), group in groupby(sorted(rights), key=itemgetter(0, 1)):
            privileges = ", ".join(privilege for _, _, privilege in group)
            yield f"the role {role} {verb} {privileges} {what}; run `meterline db upgrade`"


def _version_gaps(connection: sa.Connection) -> Iterator[str]:
    version = server_version(connection)
    if version < MIN_VERSION:
        yield f"PostgreSQL {version} is older than {MIN_VERSION}, the oldest that is supported"
