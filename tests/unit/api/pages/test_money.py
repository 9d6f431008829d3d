from collections.abc import Sequence
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pages.money import (
    choose_places,
    round_to_places,
    show_count,
    show_dates,
    show_exact_usd,
    show_tick,
    show_usd,
)
from ledger.money import NANOS_PER_USD, Nanos

AMOUNTS = st.integers(-(10**15), 10**15).map(Nanos)
PLACES = st.sampled_from((0, 2, 4, 6, 9))


@pytest.mark.parametrize(
    ("expected", "amount", "places"),
    [
        ("$0.00", 0, 2),
        ("$1,234.57", 1_234_567_890_000, 2),
        ("$0.0004", 350_000, 4),
        ("$0.000000001", 1, 9),
        ("\N{MINUS SIGN}$2.50", -2_500_000_000, 2),
        ("$0.00", -1, 2),
        ("$3", 2_500_000_001, 0),
        ("$1,000,000.00", 999_999_999_999_999, 2),
    ],
)
def test_an_amount_is_shown_in_dollars(expected: str, amount: int, places: int) -> None:
    assert expected == show_usd(Nanos(amount), places)


@pytest.mark.parametrize(
    ("expected", "amount"), [(0, 5_000_000), (20_000_000, 15_000_000), (0, -5_000_000)]
)
def test_a_half_is_rounded_to_the_even_cent(expected: int, amount: int) -> None:
    assert expected == round_to_places(Nanos(amount), 2)


@given(AMOUNTS, PLACES)
def test_rounding_moves_an_amount_by_half_a_unit_at_most(amount: Nanos, places: int) -> None:
    assert 2 * abs(round_to_places(amount, places) - amount) <= 10 ** (9 - places)


@given(AMOUNTS)
def test_the_exact_amount_has_all_its_digits(amount: Nanos) -> None:
    text = show_exact_usd(amount).replace("$", "").replace(",", "").replace("\N{MINUS SIGN}", "-")
    whole, _, decimals = text.lstrip("-").partition(".")
    nanos = int(whole) * NANOS_PER_USD + int(decimals.ljust(9, "0"))
    assert amount == (-nanos if text.startswith("-") else nanos)


@given(st.lists(AMOUNTS))
def test_nothing_that_is_not_zero_is_shown_as_zero(amounts: list[Nanos]) -> None:
    places = choose_places(amounts)
    assert [] == [one for one in amounts if one and not round_to_places(one, places)]


@pytest.mark.parametrize(
    ("expected", "amounts"),
    [
        (2, []),
        (2, [None, 0]),
        (2, [5_000_001]),
        (4, [5_000_000, 10**12]),
        (4, [-350_000]),
        (6, [35_000]),
        (9, [1]),
    ],
)
def test_the_smallest_amount_decides_the_decimals(
    expected: int, amounts: Sequence[Nanos | None]
) -> None:
    assert expected == choose_places(amounts)


@pytest.mark.parametrize(
    ("expected", "dollars", "step"),
    [
        ("$0.50", "0.5", "0.5"),
        ("$0.005", "0.005", "0.005"),
        ("$20", "20", "10"),
        ("$10,000", "10000", "5000"),
        ("$150k", "150000", "50000"),
        ("$2M", "2000000", "1000000"),
        ("\N{MINUS SIGN}$5", "-5", "5"),
    ],
)
def test_a_tick_is_short(expected: str, dollars: str, step: str) -> None:
    assert expected == show_tick(_nanos(dollars), _nanos(step))


def test_a_count_has_its_thousands_apart() -> None:
    assert ("12,345", "\N{MINUS SIGN}1") == (show_count(12345), show_count(-1))


def test_a_range_of_dates_names_its_year_once() -> None:
    assert "Feb 9 \N{EN DASH} Mar 10, 2026" == show_dates(_day("2026-02-09"), _day("2026-03-10"))


def test_a_range_over_new_year_names_both_years() -> None:
    expected = "Dec 12, 2025 \N{EN DASH} Jan 10, 2026"
    assert expected == show_dates(_day("2025-12-12"), _day("2026-01-10"))


def _nanos(dollars: str) -> Nanos:
    return Nanos(int(Fraction(dollars) * NANOS_PER_USD))


def _day(text: str) -> date:
    return date.fromisoformat(text)
