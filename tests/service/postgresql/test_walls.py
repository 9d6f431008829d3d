"""A tenant's transaction sees its tenant, whatever the SQL in it: the database sees to that."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from collector.events import Rules
from collector.intake import Intake
from costing.budgets.budget import parse_budget
from costing.budgets.changing import set_budget
from costing.budgets.job import Budgeting
from costing.retention import Retention
from ledger.budget_notices import Medium
from ledger.engine import Connecting, create_ledger_engine
from ledger.keys import Scope, create_key
from ledger.models import metadata
from ledger.postgresql import OPERATOR_ROLE, TENANT_ROLE
from ledger.session import operator_session, owner_session, tenant_session
from ledger.tenant import TenantId
from ledger.walls import TENANT_MAY, TENANT_MAY_NOT
from tests.builders import NOW, ai, sms
from tests.conftest import Book
from tests.facts import Facts, fact
from tests.servers.postgresql import connect_as_driver

pytestmark = pytest.mark.ledger("postgresql")

ACME, KARACHI = TenantId("acme"), TenantId("karachi")
OF_TENANTS = sorted(name for name in TENANT_MAY if "tenant_id" in metadata.tables[name].columns)
WRITABLE = sorted(name for name, allowed in TENANT_MAY.items() if "INSERT" in allowed)

# The relay is not run here: it needs an InfluxDB that refuses a point. Of usage without a tenant
# there are rows of the reserved tenant alone.
MADE_UP = (
    "INSERT INTO unshipped_batches VALUES (:tenant, 1, 1, now())",
    "INSERT INTO relay_state VALUES (:tenant)",
    "INSERT INTO quarantined_points VALUES (:tenant, 'usage', '1', now(), 'line', 'why', now())",
    "INSERT INTO relay_holds VALUES (:tenant, 'usage', 1, 'why', now(), now())",
    "INSERT INTO usage_balances VALUES (:tenant, 'SM1')",
    (
        "INSERT INTO usage_facts VALUES (:tenant, 'SM1', 'sent', 20, 'billed', now(), current_date,"
        " 'sms', 'outbound', 'twilio', NULL, 1, false, NULL, now())"
    ),
    "INSERT INTO unattributed_usage VALUES (:tenant, 'SM1', now(), '[]', now())",
    "INSERT INTO usage_anomalies VALUES (:tenant, current_date, 'ai', 3, 1, 2)",
)


@pytest.fixture
def used(engine: sa.Engine, book: Book, intake: Intake, rules: Rules) -> sa.Engine:
    """A ledger where both tenants have rows in every table that a tenant may see."""
    for tenant in (ACME, KARACHI):
        book(sms(f"old-{tenant}", tenant=tenant, time="2025-06-01T12:00:00Z"))
        book(ai(f"new-{tenant}", tenant=tenant))
    retention = Retention(engine, days=30)
    for due in retention.find_due(now=NOW):
        list(retention.take(due))
    waiting = [sms(f"waits-{tenant}", tenant=tenant) for tenant in (ACME, KARACHI)]
    intake.book(waiting, only_tenant=None, now=NOW)
    for tenant in (ACME, KARACHI):
        Facts(engine, rules).book(tenant, [fact(usage_id=f"told-{tenant}")], now=NOW)
    for tenant in (ACME, KARACHI):
        budget = parse_budget({"period": "monthly", "amount": "0.000000001"})
        with tenant_session(engine, tenant, write=True) as session:
            set_budget(session, budget, by="a test", now=NOW)
    Budgeting(engine, media=list(Medium)).run(now=NOW)
    with operator_session(engine, write=True) as session:
        for tenant in (ACME, KARACHI):
            for statement in MADE_UP:
                session.connection.execute(sa.text(statement), {"tenant": tenant})
    return engine


@pytest.fixture
def single(ledger_url: str) -> Iterator[sa.Engine]:
    """An engine whose transactions share one connection."""
    engine = create_ledger_engine(ledger_url, Connecting(pool_size=1))
    yield engine
    engine.dispose()


def tenants_seen(connection: sa.Connection, table: str) -> set[str]:
    query = sa.text(f"SELECT DISTINCT tenant_id FROM {table}")
    return set(connection.execute(query).scalars())


def seen_in_each(connection: sa.Connection) -> dict[str, set[str]]:
    return {table: tenants_seen(connection, table) for table in OF_TENANTS}


def test_raw_sql_of_a_tenant_finds_its_rows_alone(used: sa.Engine) -> None:
    with tenant_session(used, ACME) as session:
        assert {table: {"acme"} for table in OF_TENANTS} == seen_in_each(session.connection)


def test_an_operator_finds_the_rows_of_all(used: sa.Engine) -> None:
    both = {"acme", "karachi"}
    with operator_session(used) as session:
        assert dict.fromkeys(OF_TENANTS, both) == seen_in_each(session.connection)


def test_without_a_tenant_there_is_no_row(used: sa.Engine) -> None:
    with owner_session(used, write=True) as session:
        session.connection.execute(sa.text(f"SET LOCAL ROLE {TENANT_ROLE}"))
        assert {table: set() for table in OF_TENANTS} == seen_in_each(session.connection)


def test_the_login_itself_finds_no_row_although_the_tables_are_its_own(
    used: sa.Engine, ledger_url: str
) -> None:
    del used
    with connect_as_driver(ledger_url) as connection:
        found = {
            table: connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
            for table in OF_TENANTS
        }
    assert dict.fromkeys(OF_TENANTS, (0,)) == found


@pytest.mark.parametrize("name", sorted(TENANT_MAY_NOT))
def test_a_tenant_may_not_look_at_what_decides_who_comes_in(engine: sa.Engine, name: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):  # noqa: SIM117 - the session is part of what raises
        with tenant_session(engine, ACME) as session:
            session.connection.execute(sa.text(f"SELECT FROM {name}"))


def test_a_tenant_writes_no_row_of_another(used: sa.Engine) -> None:
    for model in (metadata.tables[table] for table in WRITABLE):
        with operator_session(used) as session:
            query = sa.select(model).where(model.c.tenant_id == KARACHI).limit(1)
            row = dict(session.connection.execute(query).mappings().one())
        with pytest.raises(ProgrammingError, match=f'row-level security.*"{model.name}"'):  # noqa: SIM117 - as above
            with tenant_session(used, ACME, write=True) as session:
                session.connection.execute(sa.insert(model).values(row))


def test_a_tenant_changes_and_deletes_no_row_of_another(used: sa.Engine) -> None:
    with tenant_session(used, ACME, write=True) as session:
        for statement in (
            "UPDATE usage_rollups_daily SET count = 7 WHERE tenant_id = 'karachi'",
            "DELETE FROM usage_metrics WHERE tenant_id = 'karachi'",
        ):
            assert 0 == session.connection.execute(sa.text(statement)).rowcount


def test_after_an_error_a_pooled_connection_is_nobodys(single: sa.Engine) -> None:
    with pytest.raises(ZeroDivisionError), tenant_session(single, ACME, write=True):
        raise ZeroDivisionError
    query = "SELECT current_user, current_setting('meterline.tenant_id', true)"
    with owner_session(single) as session:
        user, tenant = session.connection.execute(sa.text(query)).one()
    assert ("meterline", "") == (user, tenant or "")


def test_after_a_failed_statement_a_pooled_connection_shows_no_row(
    used: sa.Engine, single: sa.Engine
) -> None:
    del used
    with pytest.raises(ProgrammingError), tenant_session(single, ACME) as session:
        session.connection.execute(sa.text("SELECT nonsense FROM nowhere"))
    with owner_session(single, write=True) as session:
        session.connection.execute(sa.text(f"SET LOCAL ROLE {TENANT_ROLE}"))
        assert set() == tenants_seen(session.connection, "usage_metrics")


def test_the_next_tenant_of_a_pooled_connection_sees_its_own(
    used: sa.Engine, single: sa.Engine
) -> None:
    del used
    for tenant in (ACME, KARACHI, ACME):
        with tenant_session(single, tenant) as session:
            assert {tenant} == tenants_seen(session.connection, "usage_metrics")


def test_a_reading_transaction_writes_nothing(used: sa.Engine) -> None:
    with pytest.raises(sa.exc.InternalError, match="read-only"):  # noqa: SIM117 - as above
        with tenant_session(used, ACME) as session:
            session.connection.execute(sa.text("DELETE FROM usage_metrics"))


def test_a_reading_transaction_sees_one_snapshot(used: sa.Engine, intake: Intake) -> None:
    count = sa.text("SELECT count(*) FROM usage_metrics")
    with tenant_session(used, ACME) as session:
        before = session.connection.execute(count).scalar_one()
        intake.book([sms("meanwhile")], only_tenant=None, now=NOW)
        after = session.connection.execute(count).scalar_one()
    assert before == after


def test_an_operator_makes_keys(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        create_key(session, scopes=frozenset({Scope.READ}), label="x", tenant_id=ACME, now=NOW)
        user = session.connection.execute(sa.text("SELECT current_user")).scalar_one()
    assert OPERATOR_ROLE == user
