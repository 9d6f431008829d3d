"""Laws of the reports: every surface ties with every other, and tenants do not move each other."""

import csv
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from costing.export import read_export, write_csv
from costing.reports.features import FeatureRow, features
from costing.reports.figures import Figures, add_figures
from costing.reports.series import SeriesPoint, series
from costing.reports.shares import share_of, split_percent
from costing.reports.summary import Summary, summary
from costing.reports.tenant_grid import GridQuery, GridRow, tenant_grid
from ledger.money import Nanos, parse_usd
from ledger.period import DateRange
from ledger.session import operator_session, tenant_session
from tests.builders import NOW, sms
from tests.property.ledgers import ACME, OTHER, Ledger, Ledgers
from tests.soaking import examples

DAYS = 5
TODAY = date(2026, 3, 10)
DATES = DateRange(start=TODAY - timedelta(days=DAYS - 1), end=TODAY + timedelta(days=1))
ledgers_are_slow = settings(max_examples=examples(10))

TENTH = Fraction(1, 10)


@st.composite
def usage(draw: st.DrawFn, tenant: str) -> list[dict[str, Any]]:
    """Events of up to a week, of which some are before the range and some have no price."""
    events = []
    for number in range(draw(st.integers(0, 12))):
        channel = draw(st.sampled_from(["sms", "mms", "voice", "email", "ai"]))
        time = NOW - timedelta(hours=draw(st.integers(0, 7 * 24)))
        event: dict[str, Any] = {
            "id": f"{tenant}-{number}",
            "tenant": tenant,
            "time": time.isoformat(),
            "channel": channel,
            "direction": draw(st.sampled_from(["outbound", "inbound"])),
            "source": draw(st.sampled_from([None, "twilio", "internal"])),
            "feature": draw(st.sampled_from([None, "ivr", "broadcast"])),
            "quantity": draw(st.integers(0, 10**6)),
        }
        if channel == "ai":
            unpriced = {"model": "dictation", "audio_seconds": 7}
            tokens = {"model": "house", "input_tokens": draw(st.integers(0, 10**7))}
            event |= {"metadata": draw(st.sampled_from([unpriced, tokens])), "quantity": None}
        events.append({key: value for key, value in event.items() if value is not None})
    return events


def fill(ledger: Ledger, events: list[dict[str, Any]]) -> None:
    ledger.book(events)
    ledger.cost()


def summarise(ledger: Ledger, dates: DateRange = DATES) -> Summary:
    with tenant_session(ledger.engine, ACME) as session:
        return summary(session, dates)


def points(ledger: Ledger, dates: DateRange = DATES) -> tuple[SeriesPoint, ...]:
    with tenant_session(ledger.engine, ACME) as session:
        return series(session, dates)


def feature_rows(ledger: Ledger) -> tuple[FeatureRow, ...]:
    with tenant_session(ledger.engine, ACME) as session:
        return features(session, DATES)


def grid_row(ledger: Ledger) -> GridRow:
    with operator_session(ledger.engine) as session:
        rows = tenant_grid(session, GridQuery(days=DAYS), now=NOW).rows
    (row,) = [row for row in rows if row.tenant_id == ACME]
    return row


def shown(figures: Figures) -> tuple[int, int | None, int]:
    return figures.count, figures.estimated_cost, figures.unpriced_count


def csv_columns(ledger: Ledger) -> tuple[int, int | None, int]:
    """Add up the columns of the file, as somebody who knows nothing but the file."""
    with tenant_session(ledger.engine, ACME) as session:
        lines = list(csv.DictReader(write_csv(read_export(session, DATES))))
    costs = [parse_usd(line["estimated_cost"]) for line in lines if line["estimated_cost"]]
    unpriced = [int(line["count"]) for line in lines if not line["estimated_cost"]]
    cost = None if unpriced and not costs else sum(costs)
    return sum(int(line["count"]) for line in lines), cost, sum(unpriced)


def total_of(parts: Iterable[Any]) -> Figures:
    return add_figures(part.figures for part in parts)


@ledgers_are_slow
@given(usage("acme"))
def test_the_channels_sum_to_the_total(ledgers: Ledgers, events: list[dict[str, Any]]) -> None:
    with ledgers.open() as ledger:
        fill(ledger, events)
        found = summarise(ledger)
    assert found.total == total_of(found.channels)


@ledgers_are_slow
@given(usage("acme"))
def test_the_series_sums_to_the_total(ledgers: Ledgers, events: list[dict[str, Any]]) -> None:
    with ledgers.open() as ledger:
        fill(ledger, events)
        assert summarise(ledger).total == total_of(points(ledger))


@ledgers_are_slow
@given(usage("acme"))
def test_the_series_of_a_channel_sums_to_its_row(
    ledgers: Ledgers, events: list[dict[str, Any]]
) -> None:
    with ledgers.open() as ledger:
        fill(ledger, events)
        rows, found = summarise(ledger).channels, points(ledger)
    summed = [total_of(p for p in found if p.channel == row.channel) for row in rows]
    assert [row.figures for row in rows] == summed


@ledgers_are_slow
@given(usage("acme"))
def test_the_features_sum_to_the_total(ledgers: Ledgers, events: list[dict[str, Any]]) -> None:
    with ledgers.open() as ledger:
        fill(ledger, events)
        assert summarise(ledger).total == total_of(feature_rows(ledger))


@ledgers_are_slow
@given(usage("acme"))
def test_the_columns_of_the_csv_file_sum_to_the_total(
    ledgers: Ledgers, events: list[dict[str, Any]]
) -> None:
    with ledgers.open() as ledger:
        fill(ledger, events)
        assert shown(summarise(ledger).total) == csv_columns(ledger)


@ledgers_are_slow
@given(usage("acme"))
def test_the_grid_says_the_total_of_the_tenant(
    ledgers: Ledgers, events: list[dict[str, Any]]
) -> None:
    with ledgers.open() as ledger:
        fill(ledger, events)
        total, row = summarise(ledger).total, grid_row(ledger)
    assert (total.estimated_cost, total.unpriced_count) == (row.estimated_cost, row.unpriced_count)


@ledgers_are_slow
@given(usage("acme"), st.integers(1, DAYS - 1))
def test_a_range_is_the_sum_of_its_parts(
    ledgers: Ledgers, events: list[dict[str, Any]], days: int
) -> None:
    middle = DATES.start + timedelta(days=days)
    parts = DateRange(start=DATES.start, end=middle), DateRange(start=middle, end=DATES.end)
    with ledgers.open() as ledger:
        fill(ledger, events)
        halves = [summarise(ledger, part).total for part in parts]
        assert summarise(ledger).total == add_figures(halves)


@ledgers_are_slow
@given(usage("acme"), usage("other"))
def test_the_usage_of_another_tenant_moves_no_figure(
    ledgers: Ledgers, own: list[dict[str, Any]], others: list[dict[str, Any]]
) -> None:
    with ledgers.open() as ledger:
        fill(ledger, own)
        before = summarise(ledger), points(ledger), feature_rows(ledger), grid_row(ledger)
        fill(ledger, others)
        ledger.book([sms("waits", tenant=OTHER)])
        after = summarise(ledger), points(ledger), feature_rows(ledger), grid_row(ledger)
    assert before == after


costs = st.lists(st.none() | st.integers(0, 10**18).map(Nanos), max_size=9)


def shares(parts: list[Nanos | None]) -> list[Fraction | None]:
    whole = Nanos(sum(part or 0 for part in parts))
    return [share_of(part, whole) for part in parts]


@given(costs.filter(any))
def test_the_percentages_shown_sum_to_100(parts: list[Nanos | None]) -> None:
    assert Decimal("100.0") == sum(p for p in split_percent(shares(parts)) if p is not None)


@given(costs)
def test_a_percentage_shown_is_less_than_a_tenth_off(parts: list[Nanos | None]) -> None:
    exact = shares(parts)
    pairs = zip(exact, split_percent(exact), strict=True)
    off = [abs(Fraction(p) - share * 100) for share, p in pairs if share is not None and p]
    assert all(difference < TENTH for difference in off)


@given(costs)
def test_exactly_what_is_unknown_is_shown_as_unknown(parts: list[Nanos | None]) -> None:
    assert [part is None for part in parts] == [p is None for p in split_percent(shares(parts))]


@given(costs)
def test_of_two_the_dearer_is_never_shown_as_less(parts: list[Nanos | None]) -> None:
    found = zip(parts, split_percent(shares(parts)), strict=True)
    known = sorted((part, p) for part, p in found if part is not None and p is not None)
    percents = [p for _, p in known]
    assert sorted(percents) == percents
