"""Events that come alone and at one time share a transaction, and none is the worse for it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from ledger import one_message
from ledger.keys import Scope, create_key, look_up_key, revoke_key
from ledger.session import operator_session
from tests.builders import NOW, sms
from tests.onlooker import Onlooker
from tests.processes import wait_until
from tests.servers.postgresql import connect_as_driver

pytestmark = pytest.mark.ledger("postgresql")

_HOLD = (
    "BEGIN; INSERT INTO usage_metrics (tenant_id, event_id, id, batch_id, fingerprint, time, date,"
    " channel, direction, price_class, quantity, derived, provisional)"
    " VALUES ('acme', 'E0', 0, 0, '', now(), now(), 'sms', 'outbound', 'standard', 1, false, false)"
)

Post = Callable[..., list[str]]


@pytest.fixture
def post_together(engine: sa.Engine, intake: Intake, ledger_url: str) -> Iterator[Post]:
    """Post events, one a thread, while another one waits for its id; return what became of them."""
    waiting = one_message._changes._waiting  # noqa: SLF001 - who waits shows nowhere else
    superuser = ledger_url.replace("meterline@", "postgres@")

    def book(event_id: str) -> str:
        (result,) = intake.book([sms(event_id)], only_tenant=None, now=NOW)
        return str(result.status)

    def post(*event_ids: str) -> list[str]:
        with ThreadPoolExecutor(len(event_ids) + 1) as threads:
            with connect_as_driver(superuser) as holder:
                holder.execute(_HOLD.encode())
                threads.submit(book, "E0")
                wait_until(lambda: list(waiting.values()) == [[]], "the first waits for its id")
                futures = [threads.submit(book, event_id) for event_id in event_ids]
                wait_until(
                    lambda: [len(event_ids)] == [len(turns) for turns in waiting.values()],
                    "the others wait for it",
                )
                holder.execute(b"ROLLBACK")
            return [future.result() for future in futures]

    yield post
    engine.dispose()


def test_they_are_booked_in_one_transaction(post_together: Post, ledger: Onlooker) -> None:
    post_together("E1", "E2", "E3")
    query = "SELECT count(*), count(DISTINCT xmin::text) FROM usage_metrics WHERE event_id <> 'E0'"
    assert (3, 1) == ledger.row(query)


def test_each_is_told_what_became_of_it(post_together: Post) -> None:
    assert ["stored", "stored"] == post_together("E1", "E2")


def test_of_two_with_one_id_one_is_stored(post_together: Post, ledger: Onlooker) -> None:
    statuses = sorted(post_together("E1", "E1", "E2"))
    assert (["duplicate", "stored", "stored"], 3) == (statuses, ledger.count("usage_metrics"))


def test_one_that_is_past_retention_takes_no_other_with_it(
    engine: sa.Engine, post_together: Post
) -> None:
    gone = "INSERT INTO usage_tombstones VALUES ('acme', 'E2', '\\x00')"
    with operator_session(engine, write=True) as session:
        session.connection.exec_driver_sql(gone)
    assert ["stored", "duplicate", "stored"] == post_together("E1", "E2", "E3")


def test_each_event_is_a_batch_that_costing_finds(post_together: Post, ledger: Onlooker) -> None:
    post_together("E1", "E2", "E3")
    query = (
        "SELECT count(*), sum(event_count) FROM usage_batches"
        " JOIN usage_metrics USING (tenant_id, batch_id)"
    )
    assert (4, 4) == ledger.row(query)


def test_a_key_that_was_revoked_is_unknown_to_the_next_question(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        scopes = frozenset({Scope.INGEST})
        key, secret = create_key(session, scopes=scopes, label="x", tenant_id=None, now=NOW)
    before = look_up_key(engine, secret)
    with operator_session(engine, write=True) as session:
        revoke_key(session, key.key_id, now=NOW)
    assert (key, None) == (before, look_up_key(engine, secret))
