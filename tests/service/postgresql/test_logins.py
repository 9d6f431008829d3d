"""Who may sign in to a ledger besides the owner of its tables, and what a stranger may not."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from ledger.gaps import find_gaps
from ledger.postgresql import OPERATOR_ROLE, TENANT_ROLE
from ledger.session import owner_session
from tests.conftest import Run
from tests.servers.postgresql import LOGIN, Database

pytestmark = pytest.mark.ledger("postgresql", own=True)

ROLES = f"{TENANT_ROLE}, {OPERATOR_ROLE}"


def gaps(engine: sa.Engine) -> list[str]:
    with owner_session(engine) as session:
        return find_gaps(session.connection)


@pytest.mark.parametrize(
    "command", ["work --once", "doctor", "verify", "tenant add b --name B", "db check"]
)
def test_a_login_that_is_a_member_and_owns_nothing_runs_a_command(
    meterline: Run, administer: Callable[..., None], database: Database, command: str
) -> None:
    administer("CREATE ROLE app LOGIN", undo="DROP ROLE app")
    administer(f"GRANT {ROLES} TO app", undo=f"REVOKE {ROLES} FROM app")
    administer(
        f"GRANT CONNECT ON DATABASE {database.name} TO app",
        undo=f"REVOKE CONNECT ON DATABASE {database.name} FROM app",
    )
    address = database.url.replace(f"//{LOGIN}@", "//app@")
    finished = meterline(*command.split(), METERLINE_DATABASE_URL=address)
    assert (0, "") == (finished.returncode, finished.stderr)


@pytest.fixture
def other(administer: Callable[..., None]) -> str:
    """A login that may become the roles, for a ledger of its own on the same server."""
    administer("CREATE ROLE other LOGIN", undo="DROP ROLE other")
    administer(f"GRANT {ROLES} TO other", undo=f"REVOKE {ROLES} FROM other")
    return "other"


def test_a_login_that_gets_in_as_anybody_and_may_become_the_roles_is_told(
    engine: sa.Engine, database: Database, other: str
) -> None:
    told = (
        f"the login {other} may connect to this ledger, as anybody, and become its roles;"
        f" name those who are meant by GRANT CONNECT ON DATABASE {database.name} TO …,"
        f" then run REVOKE CONNECT ON DATABASE {database.name} FROM PUBLIC"
    )
    assert [told] == gaps(engine)


def test_a_login_that_does_not_get_in_is_no_gap(
    engine: sa.Engine, database: Database, other: str
) -> None:
    del other
    database.server.administer(f"REVOKE CONNECT ON DATABASE {database.name} FROM PUBLIC")
    assert [] == gaps(engine)


def test_a_login_that_was_given_the_database_by_name_is_no_gap(
    engine: sa.Engine, administer: Callable[..., None], database: Database, other: str
) -> None:
    database.server.administer(f"REVOKE CONNECT ON DATABASE {database.name} FROM PUBLIC")
    administer(
        f"GRANT CONNECT ON DATABASE {database.name} TO {other}",
        undo=f"REVOKE CONNECT ON DATABASE {database.name} FROM {other}",
    )
    assert [] == gaps(engine)
