from fractions import Fraction

import pytest

from ledger.errors import InvalidError
from ledger.money import Nanos, format_usd, parse_rate, parse_usd, round_to_nanos


def test_a_rate_is_read_exactly() -> None:
    assert Fraction(350_000) == parse_rate("0.00035", key="email")


def test_a_rate_finer_than_a_nano_dollar_keeps_its_digits() -> None:
    assert Fraction(1, 4) == parse_rate("0.00000000025", key="ai")


@pytest.mark.parametrize("value", [0.002, 1, None, True])
def test_a_rate_that_is_not_text_is_refused(value: object) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_rate(value, key="rates.ai")
    assert "rate_not_text" == refused.value.code


@pytest.mark.parametrize("text", ["-0.1", "1e-3", "NaN", "", "0,1", " 1", "1.", "٣"])
def test_a_rate_that_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_rate(text, key="rates.ai")
    assert "rate_not_decimal" == refused.value.code


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [(Fraction(1, 2), 0), (Fraction(3, 2), 2), (Fraction(-1, 2), 0), (Fraction(5, 3), 2)],
)
def test_money_is_rounded_half_to_even(exact: Fraction, rounded: int) -> None:
    assert rounded == round_to_nanos(exact)


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (69_255_730_000, "69.25573"),
        (0, "0"),
        (1, "0.000000001"),
        (-1_500_000_000, "-1.5"),
        (10**18, "1000000000"),
    ],
)
def test_an_amount_is_plain_decimal_text(nanos: int, text: str) -> None:
    assert text == format_usd(Nanos(nanos))


@pytest.mark.parametrize("text", ["1.0000000001", "1e3", "", "--1"])
def test_text_that_no_amount_is_written_as_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        parse_usd(text)
