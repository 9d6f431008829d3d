"""`db upgrade` puts the walls up, and `doctor` tells every gap in them."""

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from cli import schema
from ledger.engine import create_ledger_engine
from ledger.errors import ForbiddenError
from ledger.postgresql import OPERATOR_ROLE, TENANT_ROLE
from ledger.session import owner_session
from ledger.walls import find_gaps
from tests.conftest import Run
from tests.servers.postgresql import LOGIN, Database, PostgreSql
from tests.statements import change_schema

pytestmark = pytest.mark.ledger("postgresql", own=True)

ROLES = f"{TENANT_ROLE}, {OPERATOR_ROLE}"


def gaps(engine: sa.Engine) -> list[str]:
    with owner_session(engine) as session:
        return find_gaps(session.connection)


@pytest.fixture
def administer(postgresql: PostgreSql) -> Iterator[Callable[..., None]]:
    """Change roles, which all databases of the server share, and have them back afterwards."""
    undoing: list[str] = []

    def change(statement: str, *, undo: str) -> None:
        postgresql.administer(statement)
        undoing.append(undo)

    yield change
    for statement in reversed(undoing):
        postgresql.administer(statement)


@pytest.fixture
def plain(postgresql: PostgreSql) -> Iterator[str]:
    """A login that may not make roles, with an empty database of its own."""
    database = postgresql.make()
    postgresql.administer("CREATE ROLE plain LOGIN")
    postgresql.administer(f"ALTER DATABASE {database.name} OWNER TO plain")
    yield database.url.replace(f"//{LOGIN}@", "//plain@")
    database.drop()
    postgresql.administer("DROP ROLE plain")


def test_an_upgraded_ledger_has_no_gap(engine: sa.Engine) -> None:
    assert [] == gaps(engine)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            "ALTER TABLE usage_metrics DISABLE ROW LEVEL SECURITY",
            "row-level security is not forced on usage_metrics; run `meterline db upgrade`",
        ),
        (
            "ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY",
            "row-level security is not forced on tenants; run `meterline db upgrade`",
        ),
        (
            "DROP POLICY meterline_own ON usage_journal",
            "usage_journal has no policy meterline_own; run `meterline db upgrade`",
        ),
        (
            "CREATE POLICY everybody ON usage_batches USING (true)",
            "usage_batches has a policy everybody for public that is none of ours; drop it",
        ),
        (
            "ALTER POLICY meterline_own ON usage_metrics USING (true)",
            "usage_metrics has another policy meterline_own than ours; run `meterline db upgrade`",
        ),
        (
            f"GRANT SELECT ON api_keys TO {TENANT_ROLE}",
            f"the role {TENANT_ROLE} may SELECT api_keys; run `meterline db upgrade`",
        ),
    ],
)
def test_a_gap_is_told_and_closed_by_an_upgrade(engine: sa.Engine, damage: str, told: str) -> None:
    change_schema(engine, damage)
    before = gaps(engine)
    if "none of ours" not in told:
        schema.upgrade(engine)
        assert [] == gaps(engine)
    assert [told] == before


@pytest.mark.parametrize(
    ("damage", "undo", "told"),
    [
        (
            f"ALTER ROLE {LOGIN} SUPERUSER",
            f"ALTER ROLE {LOGIN} NOSUPERUSER",
            "superuser, whom no policy binds",
        ),
        (f"ALTER ROLE {LOGIN} BYPASSRLS", f"ALTER ROLE {LOGIN} NOBYPASSRLS", "has BYPASSRLS"),
        (
            f"ALTER ROLE {TENANT_ROLE} BYPASSRLS",
            f"ALTER ROLE {TENANT_ROLE} NOBYPASSRLS",
            f"the role {TENANT_ROLE} would bypass the policies",
        ),
        (
            f"GRANT {OPERATOR_ROLE} TO {TENANT_ROLE}",
            f"REVOKE {OPERATOR_ROLE} FROM {TENANT_ROLE}",
            f"the role {TENANT_ROLE} is a member of {OPERATOR_ROLE}",
        ),
    ],
)
def test_doctor_fails_where_a_role_would_get_past_the_walls(
    meterline: Run, administer: Callable[..., None], damage: str, undo: str, told: str
) -> None:
    administer(damage, undo=undo)
    finished = meterline("doctor")
    assert (1, True) == (finished.returncode, told in finished.stdout)


def test_doctor_says_that_tenants_are_apart(meterline: Run) -> None:
    finished = meterline("doctor")
    told = "ok    row-level security keeps tenants apart\n"
    assert (0, True) == (finished.returncode, told in finished.stdout)


def test_a_login_that_may_not_make_roles_is_told_what_an_administrator_runs(
    plain: str, administer: Callable[..., None]
) -> None:
    for role in (TENANT_ROLE, OPERATOR_ROLE):
        administer(
            f"ALTER ROLE {role} RENAME TO away_{role}",
            undo=f"ALTER ROLE away_{role} RENAME TO {role}",
        )
    engine = create_ledger_engine(plain)
    with pytest.raises(ForbiddenError) as refused:
        schema.upgrade(engine)
    found = (refused.value.code, f"CREATE ROLE {TENANT_ROLE}" in refused.value.message)
    left = schema.current_revision(engine)
    engine.dispose()
    assert (("missing_roles", True), None) == (found, left)


def test_a_login_that_is_no_member_of_the_roles_is_told_so(plain: str) -> None:
    engine = create_ledger_engine(plain)
    with pytest.raises(ForbiddenError, match="no member"):
        schema.upgrade(engine)
    engine.dispose()


def test_roles_that_an_administrator_made_will_do(
    plain: str, administer: Callable[..., None]
) -> None:
    administer(f"GRANT {ROLES} TO plain", undo=f"REVOKE {ROLES} FROM plain")
    engine = create_ledger_engine(plain)
    schema.upgrade(engine)
    found = gaps(engine)
    engine.dispose()
    assert [] == found


def test_walls_come_down_with_the_schema_and_go_up_again(database: Database) -> None:
    engine = create_ledger_engine(database.url)
    schema.downgrade(engine, "0001")
    schema.upgrade(engine)
    found = gaps(engine)
    engine.dispose()
    assert [] == found
