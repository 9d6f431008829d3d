"""The roles that transactions act as on PostgreSQL: made once a server, and given to the login."""

from typing import Literal

import sqlalchemy as sa

from ledger.errors import ForbiddenError
from ledger.postgresql import OPERATOR_ROLE, TENANT_ROLE

ROLES = (OPERATOR_ROLE, TENANT_ROLE)

# Who makes a role from this version on is a member who may give it to others, and not become it.
_TOLD_APART = 16


def server_version(connection: sa.Connection) -> int:
    """Return the server's major version, such as 15."""
    return int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000


def ask_for_membership(version: int) -> Literal["MEMBER", "SET"]:
    """Return what `pg_has_role` is asked, to know whether a login may become a role."""
    return "MEMBER" if version < _TOLD_APART else "SET"


def give_membership(role: str, *, to: str, version: int) -> str:
    """Return the statement after which a login may become a role."""
    option = "" if version < _TOLD_APART else " WITH SET TRUE"
    return f"GRANT {role} TO {to}{option}"


def make_roles(connection: sa.Connection) -> None:
    """Make the roles that are not there, and let the login become them.

    Raises:
        ForbiddenError: `missing_roles`, where that is needed and the login may not do it.
    """
    version = server_version(connection)
    for role in ROLES:
        known = connection.exec_driver_sql("SELECT FROM pg_roles WHERE rolname = %s", (role,))
        if known.first() is None:
            try:
                with connection.begin_nested():
                    connection.exec_driver_sql(f"CREATE ROLE {role} NOLOGIN")
            except sa.exc.IntegrityError:
                pass  # roles are of the whole server: another database's upgrade was faster
            except sa.exc.ProgrammingError as error:
                raise _missing_roles(f"there is no role {role}", version) from error
        asked = (role, ask_for_membership(version))
        if not connection.exec_driver_sql("SELECT pg_has_role(%s, %s)", asked).scalar_one():
            grant = give_membership(role, to="CURRENT_USER", version=version)
            try:
                with connection.begin_nested():
                    connection.exec_driver_sql(grant)
            except sa.exc.ProgrammingError as error:
                raise _missing_roles(f"the login may not become {role}", version) from error


def _missing_roles(what: str, version: int) -> ForbiddenError:
    grant = give_membership(", ".join(ROLES), to="<the role that signs in>", version=version)
    made = "; ".join(f"CREATE ROLE {role} NOLOGIN" for role in ROLES)
    return ForbiddenError(
        "missing_roles",
        f"{what}, and the login may not change that; let an administrator run: {made}; {grant};",
    )
