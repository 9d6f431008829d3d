from typing import Any

import pytest

from costing.budgets.budget import MAX_BUDGETS, Budget, parse_budget, parse_budgets
from costing.budgets.periods import Period
from ledger.errors import InvalidError
from ledger.money import Nanos

PLAIN = {"period": "monthly", "amount": "250.5"}


def fault(**changes: Any) -> tuple[str, str | None]:
    with pytest.raises(InvalidError) as caught:
        parse_budget({**PLAIN, **changes})
    return caught.value.code, caught.value.key


def test_a_budget_of_a_period_and_an_amount_tells_at_50_80_and_100_percent() -> None:
    expected = Budget(
        period=Period.MONTHLY,
        feature=None,
        amount=Nanos(250_500_000_000),
        thresholds=(50, 80, 100),
        recipients=(),
    )
    assert expected == parse_budget(PLAIN)


def test_a_budget_is_named_by_period_and_feature() -> None:
    named = [parse_budget({**PLAIN, "feature": name}).budget_id for name in (None, "ai_sms")]
    assert ["monthly", "monthly:ai_sms"] == named


def test_thresholds_are_put_in_order() -> None:
    assert (25, 90, 120) == parse_budget({**PLAIN, "thresholds": [120, 25, 90]}).thresholds


def test_an_address_that_comes_twice_is_written_to_once() -> None:
    told = parse_budget({**PLAIN, "recipients": ["a@b.example", "a@b.example", "c@b.example"]})
    assert ("a@b.example", "c@b.example") == told.recipients


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"period": "weekly"}, ("unknown_period", "period")),
        ({"period": ["monthly"]}, ("unknown_period", "period")),
        ({"period": None}, ("missing_field", "period")),
        ({"amount": None}, ("missing_field", "amount")),
        ({"amount": 250.5}, ("amount_not_decimal", "amount")),
        ({"amount": "1e3"}, ("amount_not_decimal", None)),
        ({"amount": "0"}, ("amount_out_of_range", "amount")),
        ({"amount": "-1"}, ("amount_out_of_range", "amount")),
        ({"amount": "9223372037"}, ("amount_out_of_range", "amount")),
        ({"feature": "AI SMS"}, ("invalid_slug", "feature")),
        ({"thresholds": []}, ("invalid_thresholds", "thresholds")),
        ({"thresholds": "80"}, ("invalid_thresholds", "thresholds")),
        ({"thresholds": [80, 80]}, ("invalid_thresholds", "thresholds")),
        ({"thresholds": [0]}, ("invalid_thresholds", "thresholds")),
        ({"thresholds": [1001]}, ("invalid_thresholds", "thresholds")),
        ({"thresholds": [True]}, ("invalid_thresholds", "thresholds")),
        ({"thresholds": [80.5]}, ("invalid_thresholds", "thresholds")),
        ({"thresholds": list(range(1, 12))}, ("invalid_thresholds", "thresholds")),
        ({"recipients": "a@b.example"}, ("too_many_recipients", "recipients")),
        ({"recipients": [f"{n}@b.example" for n in range(6)]}, ("too_many_recipients",
         "recipients")),
        ({"recipients": ["Pat <pat@b.example>"]}, ("invalid_address", "recipients")),
        ({"recipients": ["pat@b.example\r\nBcc: x@y.example"]}, ("invalid_address",
         "recipients")),
        ({"recipients": ["pat@localhost"]}, ("invalid_address", "recipients")),
        ({"recipients": [7]}, ("invalid_address", "recipients")),
        ({"limit": "1"}, ("unknown_field", "limit")),
    ],
)  # fmt: skip
def test_what_cannot_be_a_budget_is_refused_by_name(
    changes: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    assert expected == fault(**changes)


def test_an_address_that_cannot_be_is_not_repeated() -> None:
    with pytest.raises(InvalidError) as caught:
        parse_budget({**PLAIN, "recipients": ["pat at b.example"]})
    assert (None, False) == (caught.value.value, "pat" in caught.value.message)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "not_a_list"),
        ([1], "not_an_object"),
        ([PLAIN, {**PLAIN, "amount": "3"}], "repeated_budget"),
        ([{**PLAIN, "feature": f"f{n}"} for n in range(MAX_BUDGETS + 1)], "too_many_budgets"),
    ],
)
def test_budgets_that_cannot_be_together_are_refused(given: object, code: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_budgets(given)
    assert code == caught.value.code
