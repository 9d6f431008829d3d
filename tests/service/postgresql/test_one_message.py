"""A transaction in one message has the walls of any other, and happens as a whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC

import pytest
import sqlalchemy as sa
from psycopg import Connection
from sqlalchemy.exc import ProgrammingError

from collector.intake import Intake
from ledger.event import Status
from ledger.keys import Scope, create_key, look_up_key
from ledger.models import tenants
from ledger.one_message import ask, tell
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import add_tenant, find_tenants, look_up_tenant
from tests.builders import NOW, sms
from tests.onlooker import Onlooker

pytestmark = pytest.mark.ledger("postgresql")

ACME, KARACHI = TenantId("acme"), TenantId("karachi")
_ADD = (
    "INSERT INTO usage_batches (tenant_id, batch_id, event_count, booked_at)"
    " VALUES (%(tenant)s, %(batch)s, 1, %(now)s)"
)


def add(engine: sa.Engine, session_tenant: TenantId, tenant: str, batch: int) -> list[int] | None:
    values = {"tenant": tenant, "batch": batch, "now": NOW}
    return tell(engine, session_tenant, [_ADD], values, order=str(batch))


@contextmanager
def counting_messages(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Count how often the driver waits for an answer of the server."""
    with operator_session(engine):
        pass  # connects
    waits: list[int] = []
    wait = Connection.wait

    def count(self: Connection, *given: object, **options: object) -> object:
        if "_rollback_gen" not in str(given[0]):  # sends nothing between transactions
            waits.append(1)
        return wait(self, *given, **options)  # type: ignore[arg-type] # handed on as they are

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "wait", count)
        yield waits


def test_a_message_of_a_tenant_changes_its_rows(engine: sa.Engine) -> None:
    assert [1] == add(engine, ACME, "acme", 1)


def test_a_message_of_a_tenant_writes_for_nobody_else(engine: sa.Engine) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"):
        add(engine, ACME, "karachi", 1)


def test_a_message_that_fails_in_the_end_has_done_nothing(
    engine: sa.Engine, ledger: Onlooker
) -> None:
    values = {"tenant": "acme", "batch": 1, "now": NOW}
    with pytest.raises(ProgrammingError):
        tell(engine, ACME, [_ADD, "SELECT nonsense FROM nowhere"], values, order="")
    assert 0 == ledger.count("usage_batches")


def test_after_a_message_its_connection_is_nobodys(engine: sa.Engine) -> None:
    add(engine, ACME, "acme", 1)
    query = sa.text("SELECT current_user, current_setting('meterline.tenant_id', true)")
    with engine.connect().execution_options(meterline_begin="BEGIN") as connection:
        user, tenant = connection.execute(query).one()
    assert ("meterline", "") == (user, tenant or "")


def test_after_a_message_that_failed_its_connection_is_nobodys(engine: sa.Engine) -> None:
    with pytest.raises(ProgrammingError):
        tell(engine, ACME, ["SELECT nonsense FROM nowhere"], {}, order="")
    query = sa.text("SELECT current_user, current_setting('meterline.tenant_id', true)")
    with engine.connect().execution_options(meterline_begin="BEGIN") as connection:
        user, tenant = connection.execute(query).one()
    assert ("meterline", "") == (user, tenant or "")


def test_a_question_in_one_message_is_over_all_tenants(engine: sa.Engine) -> None:
    assert {("acme",), ("karachi",)} == set(ask(engine, sa.select(tenants.c.tenant_id)))


@pytest.mark.parametrize("name", ["O'Brien; DROP TABLE tenants --", '100 %s \\ "x"', "%(tenant)s"])
def test_values_in_a_message_are_never_read_as_sql(engine: sa.Engine, name: str) -> None:
    query = sa.select(tenants.c.name).where(tenants.c.name == sa.bindparam("name"))
    with operator_session(engine, write=True) as session:
        add_tenant(session, TenantId("odd"), name=name, now=NOW)
    assert [(name,)] == ask(engine, query, name=name)


def test_a_tenant_looked_up_in_one_message_is_the_same_as_found_in_a_session(
    engine: sa.Engine,
) -> None:
    with operator_session(engine) as session:
        found = find_tenants(session, {KARACHI})[KARACHI]
    assert found == look_up_tenant(engine, KARACHI)


def test_instants_in_a_message_are_in_utc_as_in_a_session(engine: sa.Engine) -> None:
    tenant = look_up_tenant(engine, ACME)
    assert tenant is not None
    assert UTC is tenant.current.valid_from.tzinfo


def test_a_key_looked_up_in_one_message_is_the_one_that_was_made(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        scopes = frozenset({Scope.INGEST})
        key, secret = create_key(session, scopes=scopes, label="x", tenant_id=ACME, now=NOW)
    assert key == look_up_key(engine, secret)


def test_an_event_that_is_alone_is_booked_with_two_messages(
    engine: sa.Engine, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counting_messages(engine, monkeypatch) as messages:
        intake.book([sms("E1")], only_tenant=None, now=NOW)
    assert 2 == len(messages)


def test_an_event_that_is_alone_is_stored_once(intake: Intake) -> None:
    results = [intake.book([sms("E1")], only_tenant=None, now=NOW)[0].status for _ in range(2)]
    assert [Status.STORED, Status.DUPLICATE] == results


def test_in_a_cluster_nothing_is_told_in_one_message(engine: sa.Engine, ledger: Onlooker) -> None:
    engine.dispose()
    sa.event.listen(
        engine.pool, "connect", lambda _, record: record.info.update(meterline_citus=True)
    )
    assert (None, 0) == (add(engine, ACME, "acme", 1), ledger.count("usage_batches"))
