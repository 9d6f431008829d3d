"""Pricing of usages, one by one, against the package that the prices come from."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from itertools import islice

from bench.table import Line
from bench.timing import Side, Work, alternate
from bench.usages import Case, make_cases
from costing.pricing.flat import build_flat_map
from costing.pricing.published import take_snapshot
from costing.pricing.rating import Rating, make_ready
from costing.pricing.resolution import Book, Dated, Kind
from ledger.measures import Measures
from ledger.period import FIRST_DATE

USAGES = 10_000
ASKED = 100


def measure() -> list[Line]:
    """Price the same random usages on both sides: those that both sides have a price for."""
    flat = build_flat_map({"name": "s", "currency": "USD", "rates": {"sms": {"inbound": "0"}}})
    book = Book(flat=flat, laid=[Dated(FIRST_DATE, take_snapshot())])
    cases = list(islice(filter(partial(_is_priced, book), make_cases()), USAGES))
    usages = [(case.kind, case.measures) for case in cases]
    ratings = {kind: _make_ready(book, kind) for kind, _ in usages}
    sides: dict[str, Side] = {
        "ours": partial(_side, partial(_price, ratings, usages)),
        "package": partial(_side, partial(_price_by_package, cases)),
    }
    taken = alternate(sides)
    ours, package = taken["ours"], taken["package"]
    name = f"price {USAGES:,} AI usages, rates ready, times as fast as genai-prices"
    return [Line(name, ours, package, package / ours, f">= {ASKED}")]


def _make_ready(book: Book, kind: Kind) -> Rating | None:
    rates = book.resolve(kind)
    if rates is None:
        return None
    return make_ready(rates, kind.channel, kind.direction, kind.price_class)


def _is_priced(book: Book, case: Case) -> bool:
    rating = _make_ready(book, case.kind)
    return rating is not None and rating.cost(case.measures) is not None


@contextmanager
def _side(work: Work) -> Iterator[Work]:
    yield work


def _price(
    ratings: dict[Kind, Rating | None], usages: Sequence[tuple[Kind, Measures]]
) -> list[int | None]:
    """Price each usage by itself, as a repricing does rows: rates are ready once a kind."""
    return [
        None if (rating := ratings[kind]) is None else rating.cost(measures)
        for kind, measures in usages
    ]


def _price_by_package(cases: Sequence[Case]) -> list[Decimal]:
    return [case.price_by_package() for case in cases]
