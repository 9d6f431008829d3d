"""Laws of prices: of layers, starts and markups, on exact numbers and in the ledger."""

import decimal
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import available_timezones

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from costing.job import Costing
from costing.pricing.card import Amount
from costing.pricing.catalogue import Catalogue
from costing.pricing.entries import ALL, AliasEntry, Entry, MarkupEntry, RateEntry, Scope
from costing.pricing.published import take_snapshot
from costing.pricing.rating import rate_usage
from costing.pricing.resolution import Book, Dated, kind_of
from costing.pricing.store import append_entries
from costing.verify import verify
from ledger.measures import Measures
from ledger.period import FIRST_DATE, DateRange
from ledger.price_class import classify_ai
from ledger.rollups import RollupKey, State
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.units import load_catalogue
from tests.builders import NOW
from tests.pricing import exact_cost
from tests.property.ledgers import ACME, BOOK, OTHER, Event, Ledger, Ledgers
from tests.property.test_costing_laws import DAYS, LAW, pieces, sum_lines, usage

ZONES = sorted(available_timezones() - {"localtime", "Factory"})

PURE = settings(max_examples=200)

CATALOGUE: Catalogue = take_snapshot()
MODELS = ("house-llm", "gpt-4o", "gpt-5.6-sol", "whisper-1")
CLASSES = ("standard", "flex", "batch")
UNITS = ("sms_segment", "mms_message", "voice_minute", "email_recipient")

days = st.sampled_from(DAYS)
# With more places than a nano-dollar has, so that rounding anywhere but once would show.
texts = st.sampled_from(("0", "0.01", "0.0000000003", "1.000000000499999", "0.123456789012345"))
amounts = st.builds(Amount, texts, st.sampled_from((1, 7, 1000)))
scopes = st.sampled_from(
    (ALL, Scope(tenant_id=ACME), Scope(tenant_id=OTHER), Scope(plan="unassigned"))
)
channel_rates = st.builds(
    RateEntry,
    starts_on=days,
    unit=st.sampled_from(UNITS),
    amount=st.none() | amounts,
    scope=scopes,
    direction=st.sampled_from((None, "inbound", "outbound")),
)


@st.composite
def model_rates(draw: st.DrawFn) -> tuple[RateEntry, ...]:
    """Draw both sides of a model: one alone would be refused."""
    fields: dict[str, Any] = {
        "starts_on": draw(days),
        "scope": draw(scopes),
        "model": draw(st.sampled_from(MODELS)),
        "price_class": draw(st.sampled_from((None, *CLASSES))),
    }
    units = ("ai_input_token", "ai_output_token")
    return tuple(RateEntry(unit=unit, amount=draw(amounts), **fields) for unit in units)


markups = st.builds(
    MarkupEntry,
    starts_on=days,
    percent=st.sampled_from(("10", "-100", "33.333333")),
    scope=scopes.filter(lambda scope: scope != ALL),
)
aliases = st.builds(
    AliasEntry,
    starts_on=days,
    model=st.just("house-llm"),
    prices_as=st.sampled_from(("gpt-4o", "nobody-knows")),
)
entries = st.lists(
    model_rates() | (channel_rates | markups | aliases).map(lambda entry: (entry,)),
    max_size=8,
).map(lambda groups: [entry for group in groups for entry in group])
books = st.builds(
    lambda laid, dated: Book(flat=BOOK, laid=[*dated, *laid]),
    entries,
    st.sampled_from(([], [Dated(FIRST_DATE, CATALOGUE)])),
)
counts = st.integers(0, 10**6)
tokens = st.builds(
    lambda sent, cached, received: Measures(
        sent + cached + received, sent, cached_input_tokens=cached, output_tokens=received
    ),
    counts,
    counts,
    counts,
)


@st.composite
def usages(draw: st.DrawFn) -> tuple[RollupKey, Measures]:
    """Draw usage of one kind."""
    direction = draw(st.sampled_from(("inbound", "outbound")))
    day = draw(days)
    if draw(st.booleans()):
        channel = draw(st.sampled_from(("sms", "mms", "voice", "email")))
        key = RollupKey(day, channel, direction, None, None, None, "standard")
        return key, Measures(draw(counts))
    measures = draw(tokens)
    price_class = classify_ai(draw(st.sampled_from(CLASSES)), measures)
    model = draw(st.sampled_from(MODELS))
    return RollupKey(day, "ai", direction, None, None, model, price_class), measures


def for_other(laid: Sequence[Entry]) -> list[Entry]:
    """Return the entries as those of the other tenant; an alias is nobody's alone."""
    scope = Scope(tenant_id=OTHER)
    return [replace(entry, scope=scope) for entry in laid if not isinstance(entry, AliasEntry)]


def cost_of(book: Book, key: RollupKey, measures: Measures, tenant: TenantId = ACME) -> Any:
    rates = book.resolve(kind_of(tenant, "unassigned", key))
    return None if rates is None else exact_cost(rates, key, measures)


@given(book=books, drawn=usages(), parts=st.lists(tokens, min_size=1, max_size=4))
@PURE
def test_cost_is_additive_over_disjoint_usage(
    book: Book, drawn: tuple[RollupKey, Measures], parts: list[Measures]
) -> None:
    key, _ = drawn
    whole = Measures(0)
    for part in parts:
        whole = whole.plus(part)
    costs = [cost_of(book, key, part) for part in parts]
    known = None if None in costs else sum(costs, Fraction())
    assert known == cost_of(book, key, whole)


@given(book=books, drawn=usages())
@PURE
def test_the_rounded_cost_is_the_exact_one_rounded_half_to_even(
    book: Book, drawn: tuple[RollupKey, Measures]
) -> None:
    key, measures = drawn
    rates = book.resolve(kind_of(ACME, "unassigned", key))
    exact = cost_of(book, key, measures)
    rated = None if rates is None else rate_usage(rates, key, measures).cost
    assert (None if exact is None else round(exact)) == rated


@given(book=books, more=entries, drawn=usages())
@PURE
def test_a_new_price_changes_no_day_before_its_start(
    book: Book, more: list[Entry], drawn: tuple[RollupKey, Measures]
) -> None:
    key, measures = drawn
    later = [entry for entry in more if entry.starts_on > key.date]
    after = Book(flat=book.flat, laid=[*book.laid, *later])
    assert cost_of(book, key, measures) == cost_of(after, key, measures)


@given(book=books, more=entries, drawn=usages())
@PURE
def test_what_is_laid_down_for_one_tenant_moves_no_other(
    book: Book, more: list[Entry], drawn: tuple[RollupKey, Measures]
) -> None:
    key, measures = drawn
    after = Book(flat=book.flat, laid=[*book.laid, *for_other(more)])
    assert cost_of(book, key, measures) == cost_of(after, key, measures)


@given(
    book=books,
    drawn=usages(),
    precision=st.integers(1, 60),
    rounding=st.sampled_from((decimal.ROUND_UP, decimal.ROUND_FLOOR, decimal.ROUND_HALF_UP)),
)
@PURE
def test_the_ambient_decimal_context_is_irrelevant(
    book: Book, drawn: tuple[RollupKey, Measures], precision: int, rounding: str
) -> None:
    key, measures = drawn
    markup = MarkupEntry(starts_on=FIRST_DATE, percent="33.333333", scope=Scope(plan="unassigned"))
    once, again = (Book(flat=book.flat, laid=[*book.laid, markup]) for _ in range(2))
    expected = cost_of(once, key, measures)
    with decimal.localcontext(prec=precision, rounding=rounding):
        found = cost_of(again, key, measures)
    assert expected == found


@given(book=books, drawn=usages())
@PURE
def test_what_may_have_rated_usage_is_what_any_beginning_of_the_book_rates_it_by(
    book: Book, drawn: tuple[RollupKey, Measures]
) -> None:
    kind = kind_of(ACME, "unassigned", drawn[0])
    beginnings = [Book(flat=BOOK, laid=book.laid[:end]) for end in range(len(book.laid) + 1)]
    found = [each.resolve(kind) for each in beginnings]
    versions = {"" if rates is None else rates.price_version for rates in found}
    assert versions == book.resolve_ever(kind, ()).keys()


@given(book=books, drawn=usages())
@PURE
def test_unknown_is_never_zero(book: Book, drawn: tuple[RollupKey, Measures]) -> None:
    key, measures = drawn
    rates = book.resolve(kind_of(ACME, "unassigned", key))
    if rates is None:
        return
    units = load_catalogue().units_of(key.channel, key.price_class)
    used = [unit for unit in units if getattr(measures, unit.column)]
    is_known = all(rates.rate(unit, key.direction) is not None for unit in used)
    rated = rate_usage(rates, key, measures)
    assert (is_known, is_known) == (rated.cost is not None, rated.state is not State.UNPRICED)


def lay(ledger: Ledger, laid: Sequence[Entry]) -> None:
    with operator_session(ledger.engine, write=True) as session:
        append_entries(session, laid, origin="laws", now=NOW)


def ties(engine: sa.Engine) -> bool:
    return not verify(engine, BOOK).differences


@given(batches=pieces, laid=entries)
@LAW
def test_with_entries_batches_in_any_pieces_give_the_rows_of_one(
    ledgers: Ledgers, batches: list[list[Event]], laid: list[Entry]
) -> None:
    with ledgers.open() as ledger:
        lay(ledger, laid)
        ledger.book([event for batch in batches for event in batch])
        ledger.cost()
        expected = ledger.rows()
    with ledgers.open() as ledger:
        lay(ledger, laid)
        for batch in reversed(batches):
            ledger.book(batch)
            ledger.cost()
        assert (expected, True) == (ledger.rows(), ties(ledger.engine))


@given(events=usage, laid=entries)
@LAW
def test_entries_of_another_tenant_leave_all_that_a_tenant_has_as_it_is(
    ledgers: Ledgers, events: list[Event], laid: list[Entry]
) -> None:
    with ledgers.open() as ledger:
        ledger.book(events)
        ledger.cost()
        before = ledger.content()
        del before["price_entries"]  # those of acme: there are none, and others' are not acme's
        lay(ledger, for_other(laid))
        ledger.book([{**event, "tenant": OTHER} for event in events])
        ledger.cost()
        after = ledger.content()
        del after["price_entries"]
        assert before == after


@given(events=usage, laid=entries)
@LAW
def test_a_price_that_comes_prices_the_unpriced_rows_and_no_other(
    ledgers: Ledgers, events: list[Event], laid: list[Entry]
) -> None:
    with ledgers.open() as ledger:
        ledger.book(events)
        ledger.cost()
        before = ledger.rows()
        lay(ledger, laid)
        ledger.cost()
        after = ledger.rows()
        touched = {key for key, row in after.items() if row != before[key]}
        waiting = {key for key, row in before.items() if row.state is State.UNPRICED}
        assert touched <= waiting
        assert all(after[key].state is not State.UNPRICED for key in touched)
        again = Costing(ledger.engine, BOOK).run(clock=lambda: NOW)
        assert (0, True) == (again.backpriced, ties(ledger.engine))


@given(events=usage, laid=entries, zone=st.sampled_from(ZONES))
@LAW
def test_with_entries_that_start_amid_the_days_sum_up_to_the_range(
    ledgers: Ledgers, events: list[Event], laid: list[Entry], zone: str
) -> None:
    with ledgers.open(zone) as ledger:
        lay(ledger, laid)
        ledger.book(events)
        ledger.cost()
        whole = DateRange(start=date(2011, 1, 1), end=date(2027, 1, 1))
        dates = sorted({line.date for line in ledger.lines(whole)})
        parts = [
            sum_lines(ledger.lines(DateRange(start=day, end=day + timedelta(days=1))))
            for day in dates
        ]
        total = sum_lines(ledger.lines(whole))
        for part in parts:
            total.subtract(part)
        assert not any(total.values())
