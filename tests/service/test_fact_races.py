"""Facts and events of the same usage at once: each usage is booked once, whoever is first."""

import random
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import sqlalchemy as sa

from collector.events import Rules
from collector.facts.fact import Booked, Fact
from collector.intake import Intake
from costing.job import Costing
from costing.pricing.flat import FlatMap
from costing.retention import Retention
from ledger.engine import create_ledger_engine
from ledger.models import usage_balances, usage_batches, usage_facts, usage_metrics
from tests.builders import NOW, sms
from tests.costed import book, differences, rows
from tests.facts import ACME, Facts, canceled, count_rows, fact, failed, net_figures, sent
from tests.interleaving import at_once, before_statement

IDS = [f"SM{n:02}" for n in range(40)]
ONCE = dict.fromkeys(IDS, (1, 2))


@pytest.fixture
def other_engine(ledger_url: str) -> Iterator[sa.Engine]:
    """A second set of connections to the ledger, as another process has them."""
    other = create_ledger_engine(ledger_url)
    yield other
    other.dispose()


@pytest.fixture
def facts(engine: sa.Engine, rules: Rules) -> Facts:
    return Facts(engine, rules)


@pytest.fixture
def other_facts(other_engine: sa.Engine, rules: Rules) -> Facts:
    return Facts(other_engine, rules)


@pytest.fixture
def other_intake(other_engine: sa.Engine, rules: Rules) -> Intake:
    return Intake(other_engine, rules=rules)


def counted(engine: sa.Engine) -> dict[str, tuple[int, int]]:
    """Return count and quantity of each usage."""
    return {
        usage: (figures[6], figures[7])
        for usage, (figures,) in ((k, tuple(v)) for k, v in net_figures(engine).items())
    }


def meanwhile(act: Callable[[], object]) -> tuple[threading.Thread, Callable[[], None]]:
    """Return a thread that acts, and what starts it and gives it time to come to a lock."""
    thread = threading.Thread(target=act)

    def start() -> None:
        thread.start()
        thread.join(timeout=0.3)

    return thread, start


def shuffled(seed: int) -> list[str]:
    return random.Random(seed).sample(IDS, len(IDS))


@pytest.mark.parametrize("size", [1, 7, len(IDS)])
def test_callbacks_and_events_from_many_threads_count_each_usage_once(  # noqa: PLR0917 - fixtures
    engine: sa.Engine, intake: Intake, facts: Facts, costing: Costing, prices: FlatMap, size: int
) -> None:
    def parts(seed: int) -> Iterator[list[str]]:
        ids = shuffled(seed)
        return (ids[start : start + size] for start in range(0, len(ids), size))

    def tell(seed: int, build: Callable[..., Fact]) -> None:
        for ids in parts(seed):
            facts.book(ACME, [build(usage_id=one, feature="broadcast") for one in ids], now=NOW)

    def post(seed: int) -> None:
        for ids in parts(seed):
            events = [sms(one, quantity=3) for one in ids]
            intake.book(events, only_tenant=None, now=NOW)

    delivered: Callable[..., Fact] = partial(fact, quantity=2)
    builders: list[Callable[..., Fact]] = [sent, delivered, delivered]
    tellers = [partial(tell, n, build) for n, build in enumerate(builders)]
    at_once([*tellers, partial(post, 7), partial(post, 8)])
    costing.run(clock=lambda: NOW)
    assert (ONCE, []) == (counted(engine), differences(engine, prices))


def test_an_event_that_comes_while_its_first_fact_is_booked_counts_once(
    engine: sa.Engine, facts: Facts, other_intake: Intake, prices: FlatMap
) -> None:
    late, start = meanwhile(lambda: book(other_intake, sms(quantity=3)))
    with before_statement(engine, "INSERT INTO usage_facts", start):
        facts.book(ACME, [fact(quantity=2)], now=NOW)
    late.join()
    assert ({"SM1": (1, 2)}, []) == (counted(engine), differences(engine, prices))


def test_an_event_that_comes_while_a_later_fact_is_booked_counts_once(
    engine: sa.Engine, facts: Facts, other_intake: Intake, prices: FlatMap
) -> None:
    facts.book(ACME, [sent()], now=NOW)
    late, start = meanwhile(lambda: book(other_intake, sms(quantity=3)))
    with before_statement(engine, "INSERT INTO usage_facts", start):
        facts.book(ACME, [fact(quantity=2)], now=NOW)
    late.join()
    assert ({"SM1": (1, 2)}, []) == (counted(engine), differences(engine, prices))


def test_a_fact_that_comes_while_events_are_booked_counts_once(
    engine: sa.Engine, intake: Intake, other_facts: Facts, prices: FlatMap
) -> None:
    late, start = meanwhile(lambda: other_facts.book(ACME, [fact(quantity=2)], now=NOW))
    with before_statement(engine, "INSERT INTO usage_batches", start):
        book(intake, sms(quantity=3), sms("SM2", quantity=2))
    late.join()
    both = {"SM1": (1, 2), "SM2": (1, 2)}
    assert (both, []) == (counted(engine), differences(engine, prices))


def test_of_one_callback_that_comes_twice_at_once_one_is_stored(
    facts: Facts, other_facts: Facts
) -> None:
    tasks = [partial(one.book, ACME, [fact()], now=NOW) for one in (facts, other_facts) * 3]
    answers = sorted(answer for answered in at_once(tasks) for answer in answered)
    assert [*[Booked.DUPLICATE] * 5, Booked.STORED] == answers


def test_two_callbacks_of_one_message_at_once_come_to_the_higher(
    engine: sa.Engine, facts: Facts, other_facts: Facts, intake: Intake
) -> None:
    book(intake, sms(quantity=3))
    late, start = meanwhile(lambda: other_facts.book(ACME, [sent(quantity=9)], now=NOW))
    with before_statement(engine, "INSERT INTO usage_facts", start):
        facts.book(ACME, [fact(quantity=2)], now=NOW)
    late.join()
    assert {"SM1": (1, 2)} == counted(engine)


def test_a_fact_that_comes_while_retention_takes_its_usage_ties(
    engine: sa.Engine, intake: Intake, costing: Costing, other_facts: Facts, prices: FlatMap
) -> None:
    old = "2025-06-01T12:00:00Z"
    book(intake, sms(time=old, quantity=3), sms("SM2", time=old))
    other_facts.book(ACME, [failed(usage_id="SM2")], now=NOW)
    costing.run(clock=lambda: NOW)
    late, start = meanwhile(
        lambda: other_facts.book(ACME, [canceled(), canceled(usage_id="SM2")], now=NOW)
    )
    retention = Retention(engine, days=90)
    with before_statement(engine, "INSERT INTO usage_tombstones", start):
        for due in retention.find_due(now=NOW):
            list(retention.take(due))
    late.join()
    costing.run(clock=lambda: NOW)
    assert ([], 2) == (differences(engine, prices), sum(r.tally.events for r in rows(engine)))


@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO usage_facts", "UPDATE usage_balances", "INSERT INTO usage_batches"],
)
def test_what_ends_in_the_midst_leaves_nothing(
    engine: sa.Engine, facts: Facts, intake: Intake, statement: str
) -> None:
    book(intake, sms(quantity=3))

    def end() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), before_statement(engine, statement, end):
        facts.book(ACME, [fact(quantity=2)], now=NOW)
    tables = (usage_metrics, usage_batches, usage_facts, usage_balances)
    assert [1, 1, 0, 0] == [count_rows(engine, table) for table in tables]
