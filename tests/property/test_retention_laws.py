"""Laws of retention: whatever was booked, whenever raw usage is taken, no figure changes."""

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from costing.pricing.flat import FlatMap
from costing.retention import Retention
from costing.verify import verify
from ledger.event import Status
from ledger.period import MIN_RETENTION_DAYS
from tests.builders import NOW
from tests.property.ledgers import BOOK, Event, Ledger, Ledgers
from tests.property.test_costing_laws import pieces, price_books, zones
from tests.soaking import examples

LAW = settings(max_examples=examples(8))


class Step(NamedTuple):
    """A batch, and what is done after it was booked."""

    batch: list[Event]
    book: FlatMap
    is_costed: bool
    is_taken: bool


histories = pieces.flatmap(
    lambda batches: st.tuples(
        *(
            st.builds(Step, st.just(batch), price_books, st.booleans(), st.booleans())
            for batch in batches
        )
    )
)


def take(ledger: Ledger) -> int:
    retention = Retention(ledger.engine, days=MIN_RETENTION_DAYS)
    return sum(sum(retention.take(due)) for due in retention.find_due(now=NOW))


def live(ledger: Ledger, history: tuple[Step, ...]) -> list[Event]:
    """Let a history happen, retention at its points and at the end; return all events."""
    for step in history:
        ledger.book(step.batch)
        if step.is_costed:
            ledger.cost(step.book)
        if step.is_taken:
            take(ledger)
    ledger.cost()
    take(ledger)
    return [event for step in history for event in step.batch]


def live_without(ledger: Ledger, history: tuple[Step, ...]) -> None:
    """Let the same history happen, and no retention."""
    for step in history:
        ledger.book(step.batch)
        if step.is_costed:
            ledger.cost(step.book)
    ledger.cost()


@given(history=histories, zone=zones)
@LAW
def test_retention_at_any_points_of_a_history_changes_no_figure(
    ledgers: Ledgers, history: tuple[Step, ...], zone: str
) -> None:
    with ledgers.open(zone) as ledger:
        live_without(ledger, history)
        expected = (ledger.rows(), ledger.lines())
    with ledgers.open(zone) as ledger:
        live(ledger, history)
        assert expected == (ledger.rows(), ledger.lines())


@given(history=histories)
@LAW
def test_a_ledger_ties_and_a_rebuild_changes_nothing_after_retention_at_any_points(
    ledgers: Ledgers, history: tuple[Step, ...]
) -> None:
    with ledgers.open() as ledger:
        live(ledger, history)
        before = ledger.content()
        ledger.rebuild()
        assert (before, ()) == (ledger.content(), verify(ledger.engine, BOOK).differences)


@given(history=histories)
@LAW
def test_every_event_is_a_duplicate_after_retention_at_any_points(
    ledgers: Ledgers, history: tuple[Step, ...]
) -> None:
    with ledgers.open() as ledger:
        events = live(ledger, history)
        results = ledger.intake.book(events, only_tenant=None, now=NOW)
        assert [Status.DUPLICATE] * len(events) == [result.status for result in results]


@given(history=histories)
@LAW
def test_another_content_conflicts_after_retention_at_any_points(
    ledgers: Ledgers, history: tuple[Step, ...]
) -> None:
    with ledgers.open() as ledger:
        events = [{**event, "feature": "another"} for event in live(ledger, history)]
        results = ledger.intake.book(events, only_tenant=None, now=NOW)
        assert [Status.CONFLICT] * len(events) == [result.status for result in results]
