"""Rows that wait for a price: each is found when there is one, and looked at no more than that."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.job import Costing
from costing.pricing.flat import load_flat_map
from costing.store import lock_costing
from ledger.engine import create_ledger_engine
from ledger.session import tenant_session
from tests.builders import NOW, ai, sms
from tests.costed import ACME, book, only_row, tamper
from tests.interleaving import before_statement, before_write
from tests.pricing import lay, rate

INBOUND = {"channel": "email", "direction": "inbound"}
AUDIO = {"model": "house-llm", "audio_seconds": 1}
EARLIER = ("2026-03-07", "2026-03-08")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def other_engine(ledger_url: str) -> Iterator[sa.Engine]:
    """The same ledger, as another process has it."""
    engine = create_ledger_engine(ledger_url)
    yield engine
    engine.dispose()


def lay_price(engine: sa.Engine) -> None:
    lay(engine, rate("email_recipient", "0.5", date(2026, 1, 1), direction="inbound"))


@contextmanager
def counting(engine: sa.Engine) -> Iterator[list[str]]:
    """Collect the statements that read a page of unpriced rows."""
    found: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "'unpriced'" in statement and "LIMIT" in statement:
            found.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(engine, "before_cursor_execute", note)


# On SQLite nobody lays a price down amid a transaction.
@pytest.mark.ledger("postgresql")
def test_a_row_that_another_process_leaves_as_its_price_comes_is_priced_within_a_minute(
    engine: sa.Engine, other_engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a", **INBOUND))

    def price_comes() -> None:
        lay_price(engine)
        costing.run(clock=lambda: NOW)  # nothing waits yet that it could see

    with before_statement(other_engine, "DELETE FROM usage_batches", price_comes):
        Costing(other_engine, load_flat_map()).run(clock=lambda: NOW, wait=True)
    before = only_row(engine).estimated_cost
    priced = costing.run(clock=lambda: NOW + MINUTE).backpriced
    assert (None, 1, 500_000_000) == (before, priced, only_row(engine).estimated_cost)


def test_a_tenant_that_fails_lets_no_row_of_another_be_looked_at_again(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a", **INBOUND), sms("k", tenant="karachi", **INBOUND))
    costing.run(clock=lambda: NOW)
    lay(engine, rate("email_recipient", "0.5", date(2026, 1, 1), tenant="acme"))
    tamper(engine, "DELETE FROM tenant_periods WHERE tenant_id = 'acme'")
    with counting(engine) as pages:
        runs = [costing.run(clock=lambda: NOW) for _ in range(3)]
    failed = [[failure.tenant_id for failure in outcome.failures] for outcome in runs]
    assert ([[ACME]] * 3, 1) == (failed, len(pages))


def test_rows_that_have_no_price_yet_are_looked_at_once_a_price(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, ai("a", metadata=AUDIO))
    costing.run(clock=lambda: NOW)
    with counting(engine) as pages:
        costing.run(clock=lambda: NOW + MINUTE)
        costing.run(clock=lambda: NOW + 2 * MINUTE)
        lay_price(engine)
        costing.run(clock=lambda: NOW + 3 * MINUTE)
    # By the first of these runs, to which they are new, and for the price.
    assert 2 == len(pages)


# On SQLite a transaction waits for its turn at the whole ledger.
@pytest.mark.ledger("postgresql")
def test_a_tenant_that_somebody_takes_amid_its_rows_is_gone_on_with_where_it_was(
    engine: sa.Engine,
    other_engine: sa.Engine,
    intake: Intake,
    costing: Costing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("costing.backpricing.ROWS_AT_ONCE", 1)
    book(intake, *(ai(day, time=f"{day}T12:00:00Z", metadata=AUDIO) for day in EARLIER))
    book(intake, sms("a", **INBOUND))
    costing.run(clock=lambda: NOW)
    lay_price(engine)
    with ExitStack() as held, counting(engine) as pages:

        def take() -> None:
            session = held.enter_context(tenant_session(other_engine, ACME, write=True))
            lock_costing(session)

        with before_write(engine, take, at=3):
            first = costing.run(clock=lambda: NOW)
        before = len(pages)
        held.close()
        then = costing.run(clock=lambda: NOW)
    # Two rows without a price; then the third, once more with its rates kept, and no fourth.
    assert (((), 0, 2), ((), 1, 3)) == (
        (first.failures, first.backpriced, before),
        (then.failures, then.backpriced, len(pages) - before),
    )
