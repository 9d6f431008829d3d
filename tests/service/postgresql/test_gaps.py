"""`db upgrade` puts the walls up, and `doctor` tells every gap in them."""

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from cli import schema
from ledger.engine import create_ledger_engine
from ledger.errors import ForbiddenError
from ledger.gaps import find_gaps, walls_stand
from ledger.postgresql import OPERATOR_ROLE, TENANT_ROLE
from ledger.session import owner_session
from tests.conftest import Run
from tests.servers.postgresql import LOGIN, Database, PostgreSql
from tests.statements import change_schema

pytestmark = pytest.mark.ledger("postgresql", own=True)

BOTH = (OPERATOR_ROLE, TENANT_ROLE)
ROLES = ", ".join(BOTH)


def gaps(engine: sa.Engine) -> list[str]:
    with owner_session(engine) as session:
        return find_gaps(session.connection)


@pytest.fixture
def plain(postgresql: PostgreSql) -> Iterator[str]:
    """A login that may not make roles, with an empty database of its own."""
    database = postgresql.make()
    postgresql.administer("CREATE ROLE plain LOGIN")
    postgresql.administer(f"ALTER DATABASE {database.name} OWNER TO plain")
    # The other login of this server has ledgers of its own.
    postgresql.administer(f"REVOKE CONNECT ON DATABASE {database.name} FROM PUBLIC")
    yield database.url.replace(f"//{LOGIN}@", "//plain@")
    database.drop()
    postgresql.administer("DROP ROLE plain")


def test_an_upgraded_ledger_has_no_gap(engine: sa.Engine) -> None:
    assert [] == gaps(engine)


def test_the_walls_of_an_upgraded_ledger_are_left_alone_by_the_next_upgrade(
    postgresql: PostgreSql,
) -> None:
    database = postgresql.make()
    database.migrate()
    engine = create_ledger_engine(database.url)
    with owner_session(engine) as session:
        stand = walls_stand(session.connection)
    engine.dispose()
    database.drop()
    assert stand


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
            "usage_batches has a policy everybody for public that is not Meterline's; drop it",
        ),
        (
            "ALTER POLICY meterline_own ON usage_metrics USING (true)",
            "usage_metrics has another policy meterline_own than ours; run `meterline db upgrade`",
        ),
        (
            f"GRANT SELECT ON api_keys TO {TENANT_ROLE}",
            f"the role {TENANT_ROLE} may SELECT api_keys; run `meterline db upgrade`",
        ),
        (
            f"GRANT SELECT (password_hash) ON users TO {TENANT_ROLE}",
            f"the role {TENANT_ROLE} may SELECT users (password_hash); run `meterline db upgrade`",
        ),
        (
            f"GRANT TRUNCATE ON usage_journal TO {OPERATOR_ROLE}",
            f"the role {OPERATOR_ROLE} may TRUNCATE usage_journal; run `meterline db upgrade`",
        ),
        (
            f"REVOKE ALL ON usage_journal FROM {TENANT_ROLE}",
            (
                f"the role {TENANT_ROLE} may not INSERT, SELECT usage_journal;"
                " run `meterline db upgrade`"
            ),
        ),
        (
            f"REVOKE DELETE ON users FROM {OPERATOR_ROLE}",
            f"the role {OPERATOR_ROLE} may not DELETE users; run `meterline db upgrade`",
        ),
        (
            f"REVOKE USAGE ON SEQUENCE booking_numbers FROM {TENANT_ROLE}",
            f"the role {TENANT_ROLE} may not USAGE booking_numbers; run `meterline db upgrade`",
        ),
        (
            f"REVOKE SELECT ON meterline_version FROM {OPERATOR_ROLE}",
            (
                f"the role {OPERATOR_ROLE} may not SELECT meterline_version;"
                " run `meterline db upgrade`"
            ),
        ),
        (
            (
                "DROP POLICY meterline_own ON usage_batches; CREATE POLICY meterline_own"
                f" ON usage_batches FOR UPDATE TO {TENANT_ROLE}"
                " USING (tenant_id = current_setting('meterline.tenant_id', true))"
                " WITH CHECK (tenant_id = current_setting('meterline.tenant_id', true))"
            ),
            "usage_batches has another policy meterline_own than ours; run `meterline db upgrade`",
        ),
    ],
)
def test_a_gap_is_told_and_closed_by_an_upgrade(engine: sa.Engine, damage: str, told: str) -> None:
    change_schema(engine, damage)
    before = gaps(engine)
    if "drop it" not in told:
        schema.upgrade(engine)
        assert [] == gaps(engine)
    assert [told] == before


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            "REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC, " + ROLES,
            "may not TEMPORARY the database",
        ),
        ("REVOKE USAGE ON SCHEMA public FROM PUBLIC, " + ROLES, "may not USAGE the schema"),
    ],
)
def test_what_a_hardened_server_takes_from_all_is_told_and_given_back(
    engine: sa.Engine, database: Database, damage: str, told: str
) -> None:
    database.server.administer(damage.format(database=database.name), database=database.name)
    before = gaps(engine)
    schema.upgrade(engine)
    expected = [f"the role {role} {told}; run `meterline db upgrade`" for role in BOTH]
    assert (expected, []) == (before, gaps(engine))


@pytest.fixture
def elsewhere(engine: sa.Engine) -> sa.Engine:
    """A ledger beside whose schema there is another one, with a table of the same name."""
    change_schema(
        engine,
        "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.relay_state (tenant_id text);"
        " ALTER TABLE elsewhere.relay_state ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        " CREATE POLICY everybody ON elsewhere.relay_state USING (true)",
    )
    return engine


def test_the_policies_of_another_schema_are_not_ours(elsewhere: sa.Engine) -> None:
    assert [] == gaps(elsewhere)


def test_the_tables_of_another_schema_do_not_stop_an_upgrade(elsewhere: sa.Engine) -> None:
    schema.downgrade(elsewhere, "0001")  # where the ledger has no table of that name
    schema.upgrade(elsewhere)
    assert [] == gaps(elsewhere)


@pytest.mark.parametrize("role", BOTH)
def test_an_upgrade_brings_a_role_back_that_is_gone(
    administer: Callable[..., None], engine: sa.Engine, role: str
) -> None:
    administer(
        f"ALTER ROLE {role} RENAME TO away",
        undo=f"DROP ROLE {role}; ALTER ROLE away RENAME TO {role}",
    )
    schema.upgrade(engine)
    assert [] == gaps(engine)


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


@pytest.mark.parametrize("role", BOTH)
def test_doctor_says_that_a_role_is_gone_and_what_brings_it_back(
    meterline: Run, administer: Callable[..., None], role: str
) -> None:
    administer(f"ALTER ROLE {role} RENAME TO away", undo=f"ALTER ROLE away RENAME TO {role}")
    finished = meterline("doctor")
    told = f"WRONG there is no role {role}; run `meterline db upgrade`\n"
    assert (1, True, "") == (finished.returncode, told in finished.stdout, finished.stderr)


def test_doctor_says_what_the_database_refuses(meterline: Run, database: Database) -> None:
    database.server.administer(
        f"REVOKE SELECT ON tenants FROM {OPERATOR_ROLE}", database=database.name
    )
    finished = meterline("doctor")
    told = "WRONG permission denied for table tenants\n"
    assert (1, True, "") == (finished.returncode, told in finished.stdout, finished.stderr)


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
    with pytest.raises(ForbiddenError, match="may not become"):
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
