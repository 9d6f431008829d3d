"""Laws of costing: however usage arrives and is costed, the figures are the same."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from functools import reduce
from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from costing.export import ExportLine
from costing.pricing.flat import FlatMap
from ledger.period import DateRange
from ledger.rollups import RollupKey, RollupRow, Tally
from tests.property.ledgers import ACME, BOOK, OTHER, OTHER_BOOK, RATES, Event, Ledger, Ledgers
from tests.soaking import examples

LAW = settings(max_examples=examples(8))

HALF = Fraction(1, 2)


counts = st.integers(0, 3000)
# Days around clock changes, a date that Apia skipped, days that are closed and days still open.
NOONS = [
    datetime.fromisoformat(f"{day}T12:00:00Z")
    for day in ("2011-12-30", "2025-03-30", "2025-11-02", "2026-03-08", "2026-03-09")
]
DAYS = sorted({(noon + timedelta(days=n)).date() for noon in NOONS for n in range(-3, 4)})
times = st.builds(
    lambda noon, minutes, part: noon + timedelta(minutes=minutes, microseconds=part),
    st.sampled_from(NOONS),
    st.integers(-1440, 1440),
    # Just before midnight, too: such a time must not be rounded into the next day.
    st.sampled_from((0, -1, -300, -501)),
)
labels = {
    "tenant": st.just(ACME),
    "time": times.map(datetime.isoformat),
    "direction": st.sampled_from(("inbound", "outbound")),
}
features = {"feature": st.sampled_from(("broadcast", "ai_sms"))}
details = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(("house-llm", "gpt-4o")),
        "batch": st.booleans(),
        "provisional": st.booleans(),
    },
)
messages = st.fixed_dictionaries(
    {**labels, "channel": st.sampled_from(("sms", "mms", "voice", "email"))}, optional=features
)
totals = st.fixed_dictionaries({**labels, "channel": st.just("ai")})
calls = st.fixed_dictionaries(
    {**labels, "channel": st.just("ai"), "metadata": details}, optional=features
)
# Few kinds of events and many of each, so that rows are met again and again.
usage = st.lists(messages | calls | totals, min_size=1, max_size=3).flatmap(
    lambda kinds: st.lists(
        st.tuples(st.sampled_from(kinds), counts, counts), min_size=1, max_size=12
    ).map(lambda drawn: [count(f"e{n}", *parts) for n, parts in enumerate(drawn)])
)
pieces = usage.flatmap(
    lambda events: st.lists(st.integers(0, 3), min_size=len(events), max_size=len(events)).map(
        lambda numbers: split(events, numbers)
    )
)
"""Events in batches, in order."""


zones = st.sampled_from(
    ("UTC", "Asia/Karachi", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia")
)
price_books = st.sampled_from((BOOK, OTHER_BOOK))


def count(event_id: str, kind: Event, first: int, second: int) -> Event:
    """Return an event of a kind: with tokens in and out, or with a quantity."""
    if "metadata" not in kind:
        return {**kind, "id": event_id, "quantity": first}
    tokens = {"input_tokens": first, "output_tokens": second}
    return {**kind, "id": event_id, "metadata": {**kind["metadata"], **tokens}}


def split(events: Sequence[Event], numbers: Sequence[int]) -> list[list[Event]]:
    """Cut events into batches: a zero starts a new one."""
    starts = [sum(1 for n in numbers[: i + 1] if n == 0) for i in range(len(numbers))]
    pairs = zip(starts, events, strict=True)
    return [[event for _, event in group] for _, group in groupby(pairs, key=lambda pair: pair[0])]


def in_two_orders(events: list[Event]) -> st.SearchStrategy[tuple[list[Event], list[Event]]]:
    return st.tuples(st.just(events), st.permutations(events))


def sum_lines(lines: Iterable[ExportLine]) -> Counter[str]:
    total: Counter[str] = Counter()
    for line in lines:
        unpriced = line.estimated_cost is None
        total["unpriced" if unpriced else "priced"] += line.count
        total["nanos"] += line.estimated_cost or 0
    return total


def sum_tallies(rows: Iterable[RollupRow]) -> Tally:
    return reduce(Tally.plus, (row.tally for row in rows))


def price_by_hand(key: RollupKey, tally: Tally) -> int | None:
    """Price a row of quantities, or of tokens in and out, by `RATES`; None where one is missing."""
    used = {key.direction: tally.measures.quantity}
    if key.channel == "ai":
        used = {
            "input_per_1k_tokens": tally.measures.input_tokens,
            "output_per_1k_tokens": tally.measures.output_tokens,
        }
    rates = RATES.get(key.channel, {})
    if any(count and name not in rates for name, count in used.items()):
        return None
    per = 1000 if key.channel == "ai" else 1
    exact = sum(Fraction(rates.get(name, "0")) * 10**9 * n / per for name, n in used.items())
    below, rest = divmod(exact, 1)
    is_up = rest > HALF or (rest == HALF and below % 2 == 1)
    return int(below) + is_up


@given(orders=usage.flatmap(in_two_orders))
@LAW
def test_the_order_of_events_never_matters(
    ledgers: Ledgers, orders: tuple[list[Event], list[Event]]
) -> None:
    figures = []
    for events in orders:
        with ledgers.open() as ledger:
            ledger.book(events)
            ledger.cost()
            figures.append(ledger.rows())
    assert figures[0] == figures[1]


@given(orders=usage.flatmap(in_two_orders))
@LAW
def test_replaying_events_changes_nothing(
    ledgers: Ledgers, orders: tuple[list[Event], list[Event]]
) -> None:
    events, again = orders
    with ledgers.open() as ledger:
        ledger.book(events)
        ledger.cost()
        before = ledger.content()
        ledger.book(again)
        ledger.cost()
        assert before == ledger.content()


@given(batches=pieces, runs=st.lists(st.booleans(), min_size=12, max_size=12))
@LAW
def test_batches_costed_at_any_points_give_the_rows_of_one_batch(
    ledgers: Ledgers, batches: list[list[Event]], runs: list[bool]
) -> None:
    with ledgers.open() as ledger:
        ledger.book([event for batch in batches for event in batch])
        ledger.cost()
        expected = ledger.rows()
    with ledgers.open() as ledger:
        for batch, is_costed in zip(batches, runs, strict=False):
            ledger.book(batch)
            if is_costed:
                ledger.cost()
        ledger.cost()
        assert expected == ledger.rows()


@given(events=usage, foreign=usage)
@LAW
def test_figures_never_move_when_another_tenant_is_booked_costed_and_rebuilt(
    ledgers: Ledgers, events: list[Event], foreign: list[Event]
) -> None:
    with ledgers.open() as ledger:
        ledger.book(events)
        ledger.cost()
        before = ledger.content()
        ledger.book([{**event, "tenant": OTHER} for event in foreign])
        ledger.cost()
        ledger.rebuild(OTHER)
        assert before == ledger.content()


@given(events=usage, foreign=usage)
@LAW
def test_figures_are_the_same_when_another_tenant_is_in_the_same_request(
    ledgers: Ledgers, events: list[Event], foreign: list[Event]
) -> None:
    with ledgers.open() as ledger:
        ledger.book(events)
        ledger.cost()
        alone = ledger.rows()
    with ledgers.open() as ledger:
        ledger.book([{**event, "tenant": OTHER} for event in foreign] + events)
        ledger.cost()
        assert alone == ledger.rows()


@given(events=usage, zone=zones)
@LAW
def test_the_sum_of_the_days_is_the_total_in_every_zone(
    ledgers: Ledgers, events: list[Event], zone: str
) -> None:
    with ledgers.open(zone) as ledger:
        ledger.book(events)
        ledger.cost()
        days = [ledger.lines(DateRange.inclusive(day, day)) for day in DAYS]
        assert sum_lines(ledger.lines()) == sum_lines([line for day in days for line in day])


@given(events=usage, zone=zones)
@LAW
def test_the_total_of_all_counts_is_the_same_in_every_zone(
    ledgers: Ledgers, events: list[Event], zone: str
) -> None:
    totals = []
    for timezone in ("UTC", zone):
        with ledgers.open(timezone) as ledger:
            ledger.book(events)
            ledger.cost()
            totals.append(sum_tallies(ledger.rows().values()))
    assert totals[0] == totals[1]


@given(batches=pieces, books=st.lists(price_books, min_size=12, max_size=12), last=price_books)
@LAW
def test_a_rebuild_changes_nothing_whatever_was_costed_at_whatever_prices(
    ledgers: Ledgers, batches: list[list[Event]], books: list[FlatMap], last: FlatMap
) -> None:
    with ledgers.open() as ledger:
        for batch, book in zip(batches, books, strict=False):
            ledger.book(batch)
            ledger.cost(book)
        before = ledger.content()
        ledger.rebuild(book=last)
        assert before == ledger.content()


@given(batches=pieces)
@LAW
def test_a_rebuild_costs_what_is_pending_as_a_run_does(
    ledgers: Ledgers, batches: list[list[Event]]
) -> None:
    figures = []
    for finish in (Ledger.cost, Ledger.rebuild):
        with ledgers.open() as ledger:
            for batch in batches:
                ledger.book(batch)
            finish(ledger)
            figures.append(ledger.rows())
    assert figures[0] == figures[1]


@given(batches=pieces)
@LAW
def test_the_cost_of_a_row_is_its_exact_cost_rounded_once(
    ledgers: Ledgers, batches: list[list[Event]]
) -> None:
    with ledgers.open() as ledger:
        for batch in batches:
            ledger.book(batch)
            ledger.cost()
        rows = ledger.rows()
    expected = {key: price_by_hand(key, row.tally) for key, row in rows.items()}
    assert expected == {key: row.estimated_cost for key, row in rows.items()}
