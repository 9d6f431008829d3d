"""What the database makes of a row in a repricing is what `costing.pricing.rating` makes of it."""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from costing.pricing.card import Amount
from costing.pricing.entries import ALL, MarkupEntry, RateEntry, Scope
from costing.pricing.rating import rate_usage
from costing.pricing.resolution import Book
from costing.repricing.changes import PageChanges
from costing.repricing.job import Repricing
from costing.repricing.job import Scope as Dates
from costing.repricing.page import Row, Sums
from costing.rollup import Pricing
from ledger.measures import MEASURE_COLUMNS, Measures
from ledger.money import MAX_NANOS, Nanos
from ledger.period import DateRange
from ledger.rollups import RollupKey, RollupRow, State, Tally, write_rollups
from ledger.session import operator_session, tenant_session
from ledger.tenants import get_tenant
from tests.builders import NOW
from tests.costed import ACME, other_book, rows

SEED = 8
ROWS = 3000
FIRST = date(2026, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(9)]
DATES = DateRange(start=FIRST, end=date(2026, 4, 1))
FLAT = other_book(
    voice={"outbound": "0", "inbound": "0.0085"},
    ai={"input_per_1k_tokens": "0.0000005", "output_per_1k_tokens": "0.000033333333333"},
)
MODELS = [f"model-{n}" for n in range(30)]
# Halves of a nano-dollar, thirds, nothing, and numerators that no BIGINT holds.
AMOUNTS = ["0", "0.0000000005", "0.0000000015", "0.000000000499999", "1.000000000000001", "999999"]
PERS = [1, 2, 3, 7, 1_000_000, 1_000_000_000]
EDGES = [0, 0, 1, -1, 2, 3, -3, 2**31, 2**62 - 1, -(2**62), MAX_NANOS, -MAX_NANOS - 1]
UNITS = ["ai_input_token", "ai_output_token", "ai_cached_input_token", "ai_audio_in_token"]


def entries(rng: random.Random) -> Iterator[RateEntry | MarkupEntry]:
    for model in MODELS[:-3]:
        for unit in UNITS:
            if unit != UNITS[1] or rng.random() < 0.9:
                amount = Amount(rng.choice(AMOUNTS), rng.choice(PERS))
                yield RateEntry(
                    starts_on=rng.choice(DAYS), unit=unit, amount=amount, model=model, scope=ALL
                )
    for unit in ("sms_segment", "mms_message"):
        for direction in ("inbound", "outbound"):
            amount = Amount(rng.choice(AMOUNTS), rng.choice(PERS))
            yield RateEntry(starts_on=FIRST, unit=unit, amount=amount, direction=direction)
    for percent in ("33.333333", "-100", "-50"):
        yield MarkupEntry(starts_on=rng.choice(DAYS), percent=percent, scope=Scope(tenant_id=ACME))


def random_row(rng: random.Random, number: int) -> RollupRow:
    channel = rng.choice(("sms", "mms", "voice", "email", "ai", "ai", "ai", "pigeon"))
    direction = "outbound" if channel == "ai" else rng.choice(("inbound", "outbound"))
    model = rng.choice(MODELS) if channel == "ai" else rng.choice((None, "named"))
    price_class = rng.choice(("standard", "standard", "batch", "failed"))
    day = rng.choice(DAYS)
    key = RollupKey(day, channel, direction, None, f"f{number}", model, price_class)
    counts = [_count(rng) for _ in MEASURE_COLUMNS] if rng.random() < 0.9 else [0] * 10
    return RollupRow(
        key=key,
        tally=Tally(rng.randrange(-3, 9), Measures(*counts), 0, 0),
        day_start_utc=NOW,
        estimated_cost=Nanos(rng.choice((0, 5, MAX_NANOS, -MAX_NANOS))),
        price_version="older",
        price_source="flat",
        state=State.ESTIMATED,
        settled_count=0,
        revision=1,
    )


def _count(rng: random.Random) -> int:
    return rng.choice((0, 0, rng.choice(EDGES), rng.randrange(-1000, 10**6)))


def fill(engine: sa.Engine, rng: random.Random) -> None:
    with tenant_session(engine, ACME, write=True) as session:
        write_rollups(session, [random_row(rng, number) for number in range(ROWS)])


def as_rated(row: RollupRow) -> tuple[Any, ...]:
    return (row.estimated_cost, row.price_version, row.price_source, row.state, row.revision)


def test_random_rows_are_rated_by_the_database_as_by_python(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(SEED)
    fill(engine, rng)
    book = Book(flat=FLAT, laid=list(entries(rng)))
    with operator_session(engine) as session:
        tenant = get_tenant(session, ACME)
    pricing = Pricing(book=book, tenant=tenant)
    expected = {}
    for row in rows(engine):
        rates = pricing.rates_of(row.key)
        rated = rate_usage(rates, row.key, row.tally.measures)
        version = rates.price_version
        expected[row.key] = (rated.cost, version, rated.price_source, rated.state, 2)
    beyond: list[int] = []
    read = PageChanges.read_beyond

    def note(changes: PageChanges) -> list[Row]:
        found = read(changes)
        beyond.append(len(found))
        return found

    monkeypatch.setattr(PageChanges, "read_beyond", note)
    repricing = Repricing(engine, lambda _session: book, Dates(DATES))
    preview = repricing.preview(ACME)
    done = Sums()
    for part in repricing.run(ACME, clock=lambda: NOW + timedelta(days=60), reason="a test"):
        done = done.plus(part)
    found = {row.key: as_rated(row) for row in rows(engine)}
    assert expected == found
    assert (preview, ROWS) == (done, done.rows)
    # Most are the database's own work, some are not, and every state is met.
    assert 0 < beyond[-1] < ROWS / 2
    assert {State.ESTIMATED, State.FREE, State.UNPRICED} == {
        state for *_, state, _ in found.values()
    }
