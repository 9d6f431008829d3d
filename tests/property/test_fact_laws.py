"""Laws of facts: what a usage comes to depends on what is known of it, and on nothing else."""

from collections import Counter
from datetime import timedelta
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.facts.fact import Fact, Rank, Verdict
from costing.retention import Retention
from costing.verify import verify
from ledger.period import MIN_RETENTION_DAYS
from tests.builders import NOW
from tests.facts import fact, net_figures
from tests.property.ledgers import ACME, BOOK, Event, Ledger, Ledgers
from tests.property.test_costing_laws import NOONS, zones
from tests.soaking import examples

LAW = settings(max_examples=examples(8))
IDS = ("U1", "U2")
FEATURES = st.sampled_from(("broadcast", "ivr"))
TIMES = st.builds(
    lambda noon, hours: noon + timedelta(hours=hours),
    st.sampled_from(NOONS[-2:]),
    st.integers(-20, 20),
)

Known = Event | Fact


class Step(NamedTuple):
    """Something that becomes known, and whether costing comes after it."""

    known: Known
    is_costed: bool


@st.composite
def knowledge(draw: st.DrawFn) -> list[Known]:
    """Return all that is ever known of a few messages or mailings: events and facts, each once."""
    channel = draw(st.sampled_from(("sms", "email")))
    verdicts = list(Verdict) if channel == "sms" else [Verdict.BILLED, Verdict.VOID]
    known: list[Known] = []
    for usage_id in IDS:
        if draw(st.booleans()):
            known.append(draw(events(usage_id, channel)))
        ids = draw(st.lists(st.sampled_from("abcd"), unique=True, max_size=3))
        known += [draw(facts(usage_id, fact_id, channel, verdicts)) for fact_id in ids]
    return known


def events(usage_id: str, channel: str) -> st.SearchStrategy[Event]:
    return st.fixed_dictionaries(
        {
            "id": st.just(usage_id),
            "tenant": st.just(ACME),
            "time": TIMES.map(lambda time: time.isoformat()),
            "channel": st.just(channel),
            "direction": st.just("outbound"),
            "quantity": st.integers(0, 3),
            "metadata": st.fixed_dictionaries({"provisional": st.booleans()}),
        },
        optional={"feature": FEATURES},
    )


def facts(
    usage_id: str, fact_id: str, channel: str, verdicts: list[Verdict]
) -> st.SearchStrategy[Fact]:
    changes: dict[str, st.SearchStrategy[Any]] = {
        "rank": st.sampled_from((Rank.PROGRESS, Rank.FINAL)),
        "verdict": st.sampled_from(verdicts),
        "time": TIMES,
        "feature": st.none() | FEATURES,
        "quantity": st.none() | st.integers(0, 3),
        "adds": st.booleans() if channel == "email" else st.just(False),  # noqa: FBT003 - a value
    }
    return st.fixed_dictionaries(changes).map(
        lambda told: fact(fact_id, usage_id=usage_id, channel=channel, **told)
    )


@st.composite
def histories(draw: st.DrawFn, known: list[Known]) -> list[Step]:
    """Return an order in which all of it becomes known, some of it more than once."""
    again = draw(st.lists(st.sampled_from(known), max_size=4)) if known else []
    order = draw(st.permutations([*known, *again]))
    return [Step(one, draw(st.booleans())) for one in order]


two_histories = knowledge().flatmap(lambda known: st.tuples(histories(known), histories(known)))
one_history = knowledge().flatmap(histories)


def learn(ledger: Ledger, known: Known) -> None:
    if isinstance(known, Fact):
        ledger.facts.book(ACME, [known], now=NOW)
    else:
        ledger.book([known])


def live(ledger: Ledger, history: list[Step]) -> None:
    for step in history:
        learn(ledger, step.known)
        if step.is_costed:
            ledger.cost()
    ledger.cost()


def figures(ledger: Ledger) -> Counter[tuple[Any, ...]]:
    """Return what the rollups come to; a row that came to nothing is none."""
    found: Counter[tuple[Any, ...]] = Counter()
    for key, row in ledger.rows().items():
        values = (*row.tally, row.estimated_cost)
        if any((row.tally.events, *row.tally.measures, row.tally.provisional_count)):
            found[(key, *values)] += 1
    return found


@given(pair=two_histories, zone=zones)
@LAW
def test_any_two_orders_of_events_facts_replays_and_costing_have_the_same_figures(
    ledgers: Ledgers, pair: tuple[list[Step], list[Step]], zone: str
) -> None:
    found = []
    for history in pair:
        with ledgers.open(zone) as ledger:
            live(ledger, history)
            found.append((figures(ledger), net_figures(ledger.engine, ACME)))
    assert found[0] == found[1]


@given(history=one_history)
@LAW
def test_a_ledger_ties_after_each_thing_that_becomes_known(
    ledgers: Ledgers, history: list[Step]
) -> None:
    with ledgers.open() as ledger:
        for step in history:
            learn(ledger, step.known)
            if step.is_costed:
                ledger.cost()
            assert () == verify(ledger.engine, BOOK).differences


@given(history=one_history)
@LAW
def test_a_usage_counts_once_or_not_at_all(ledgers: Ledgers, history: list[Step]) -> None:
    with ledgers.open() as ledger:
        live(ledger, history)
        counts = [[one[6] for one in rows] for rows in net_figures(ledger.engine, ACME).values()]
        assert [[1]] * len(counts) == counts


MUCH_LATER = NOW + timedelta(days=2 * MIN_RETENTION_DAYS)


@given(pair=two_histories)
@LAW
def test_nothing_that_comes_again_after_retention_changes_a_figure_of_what_was_told(
    ledgers: Ledgers, pair: tuple[list[Step], list[Step]]
) -> None:
    with ledgers.open() as ledger:
        live(ledger, pair[0])
        before = figures(ledger)
        retention = Retention(ledger.engine, days=MIN_RETENTION_DAYS)
        for due in retention.find_due(now=MUCH_LATER):
            for _ in retention.take(due):
                assert () == verify(ledger.engine, BOOK).differences
        live(ledger, pair[1])
        assert (before, 0, ()) == (
            figures(ledger),
            ledger.rebuild(),
            verify(ledger.engine, BOOK).differences,
        )
