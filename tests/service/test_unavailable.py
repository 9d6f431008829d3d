"""A ledger that does not answer: the caller is told, and nothing is acknowledged in part."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from api.app import create_app
from api.services import Services
from collector.events import Rules
from collector.intake import TRANSACTION_EVENTS as CHUNK
from collector.intake import Intake
from collector.webhooks.claims import Notice
from collector.webhooks.reception import build_reception
from costing.job import Costing
from costing.pricing.flat import FlatMap
from ledger.engine import create_ledger_engine
from ledger.errors import UnavailableError
from ledger.event import Status
from ledger.keys import Scope, create_key
from ledger.session import operator_session
from ledger.settings import Settings
from ledger.tenant import TenantId
from tests.builders import NOW, sms
from tests.facts import fact
from tests.interleaving import before_write


@pytest.fixture
def impatient(engine: sa.Engine) -> Iterator[sa.Engine]:
    """Connections to the ledger of `engine` that wait 50 ms for a lock."""
    impatient = create_ledger_engine(str(engine.url))
    event.listen(impatient, "connect", lambda c, _r: c.execute("PRAGMA busy_timeout = 50").close())
    yield impatient
    impatient.dispose()


@pytest.fixture
def stranger(ledger_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that Meterline knows nothing of."""
    with closing(sqlite3.connect(ledger_path, isolation_level=None)) as connection:
        yield connection


def test_a_ledger_locked_longer_than_the_timeout_is_told_unavailable(
    impatient: sa.Engine, stranger: sqlite3.Connection, rules: Rules
) -> None:
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError, match="locked"):
        Intake(impatient, rules=rules).book([sms()], only_tenant=None, now=NOW)


def test_a_request_of_which_half_is_booked_when_the_ledger_is_locked_is_not_acknowledged(
    impatient: sa.Engine, stranger: sqlite3.Connection, rules: Rules
) -> None:
    intake = Intake(impatient, rules=rules)
    with (
        before_write(impatient, lambda: stranger.execute("BEGIN IMMEDIATE"), at=2),
        pytest.raises(UnavailableError),
    ):
        intake.book([sms(f"SM{n}") for n in range(2 * CHUNK)], only_tenant=None, now=NOW)


def test_a_request_that_was_not_acknowledged_is_booked_to_the_end_when_sent_again(
    impatient: sa.Engine, stranger: sqlite3.Connection, rules: Rules
) -> None:
    intake = Intake(impatient, rules=rules)
    events = [sms(f"SM{n}") for n in range(2 * CHUNK)]
    with (
        before_write(impatient, lambda: stranger.execute("BEGIN IMMEDIATE"), at=2),
        pytest.raises(UnavailableError),
    ):
        intake.book(events, only_tenant=None, now=NOW)
    stranger.execute("ROLLBACK")
    statuses = [result.status for result in intake.book(events, only_tenant=None, now=NOW)]
    assert [Status.DUPLICATE] * CHUNK + [Status.STORED] * CHUNK == statuses


def test_a_request_on_a_locked_ledger_is_answered_503_without_any_result(
    impatient: sa.Engine, stranger: sqlite3.Connection, rules: Rules
) -> None:
    with operator_session(impatient, write=True) as session:
        _, secret = create_key(
            session, scopes=frozenset({Scope.INGEST}), label="", tenant_id=None, now=NOW
        )
    services = Services(
        engine=impatient,
        intake=Intake(impatient, rules=rules),
        reception=build_reception(impatient, Settings()),
        settings=Settings(),
        clock=lambda: NOW,
    )
    stranger.execute("BEGIN IMMEDIATE")
    with create_app(services).test_client() as client:
        headers = {"Authorization": f"Bearer {secret}"}
        answer = client.post("/api/v1/events", json=[sms()], headers=headers)
    assert (503, "ledger_unavailable", None) == (
        answer.status_code,
        answer.get_json()["code"],
        answer.get_json().get("results"),
    )


@pytest.mark.parametrize("named", [TenantId("acme"), None], ids=str)
def test_a_fact_on_a_locked_ledger_is_never_taken_for_booked(
    named: TenantId | None, impatient: sa.Engine, stranger: sqlite3.Connection
) -> None:
    stranger.execute("BEGIN IMMEDIATE")
    said = [Notice(facts=(fact(),), claims=(), tenant=named)]
    with pytest.raises(UnavailableError):
        build_reception(impatient, Settings()).receive(said, now=NOW)


def test_costing_that_finds_the_ledger_locked_leaves_the_batch_to_the_next_run(
    impatient: sa.Engine, stranger: sqlite3.Connection, intake: Intake, prices: FlatMap
) -> None:
    intake.book([sms()], only_tenant=None, now=NOW)
    costing = Costing(impatient, prices)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError):
        costing.run(clock=lambda: NOW)
    stranger.execute("ROLLBACK")
    assert 1 == costing.run(clock=lambda: NOW).batches
