"""A budget: what a tenant means to spend in each period, and at which parts of it to tell."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from costing.budgets.periods import Period
from ledger.errors import InvalidError
from ledger.event import parse_slug
from ledger.mail_address import parse_address
from ledger.money import MAX_NANOS, Nanos, parse_usd

DEFAULT_THRESHOLDS = (50, 80, 100)
MAX_THRESHOLD = 1000
MAX_THRESHOLDS = 10
MAX_RECIPIENTS = 5
MAX_BUDGETS = 50
"""Most budgets of one tenant."""

FIELDS = ("period", "feature", "amount", "thresholds", "recipients")


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """A budget of one tenant. A tenant has one at most for each period and feature.

    Attributes:
        feature: whose spending it is about; None: all of the tenant's.
        amount: more than zero.
        thresholds: percents of the amount, ascending.
        recipients: addresses that a mail goes to, in the order given.
        set_at: when it became what it is; None: not yet in the ledger.
    """

    period: Period
    feature: str | None
    amount: Nanos
    thresholds: tuple[int, ...] = DEFAULT_THRESHOLDS
    recipients: tuple[str, ...] = ()
    set_at: datetime | None = None

    @property
    def budget_id(self) -> str:
        """Its name within the tenant, whatever its amount: `monthly`, `daily:ai_sms`."""
        return make_budget_id(self.period, self.feature)

    def is_like(self, other: "Budget") -> bool:
        """Whether both say the same, whenever they were set."""
        return replace(self, set_at=None) == replace(other, set_at=None)


def make_budget_id(period: Period, feature: str | None) -> str:
    """Return the name of the budget for a period and a feature."""
    return str(period) if feature is None else f"{period}:{feature}"


def parse_budget(given: object) -> Budget:
    """Read a budget as callers write it: an object with the fields `FIELDS`.

    Raises:
        InvalidError: `not_an_object`, `unknown_field`, `missing_field`, or the code of the field.
    """
    if not isinstance(given, Mapping):
        raise InvalidError("not_an_object", "a budget is a JSON object", key="budgets")
    for key in sorted(map(str, given.keys() - set(FIELDS))):
        raise InvalidError("unknown_field", f"a budget has {', '.join(FIELDS)}", key=key)
    for key in ("period", "amount"):
        if given.get(key) is None:
            raise InvalidError("missing_field", f"{key} is needed", key=key)
    thresholds, recipients = given.get("thresholds"), given.get("recipients")
    return Budget(
        period=parse_period(given["period"]),
        feature=parse_feature(given.get("feature")),
        amount=parse_amount(given["amount"]),
        thresholds=DEFAULT_THRESHOLDS if thresholds is None else parse_thresholds(thresholds),
        recipients=() if recipients is None else parse_recipients(recipients),
    )


def parse_budgets(given: object) -> tuple[Budget, ...]:
    """Read all budgets of a tenant; return them in the order of their ids.

    Raises:
        InvalidError: `not_a_list`, as of `parse_budget`, or as of `check_together`.
    """
    if not isinstance(given, list):
        raise InvalidError("not_a_list", "budgets is a list", key="budgets")
    return check_together(parse_budget(one) for one in given)


def check_together(budgets: Iterable[Budget]) -> tuple[Budget, ...]:
    """Check that one tenant can have these budgets; return them in the order of their ids.

    Raises:
        InvalidError: `too_many_budgets` or `repeated_budget`.
    """
    ordered = tuple(sorted(budgets, key=lambda budget: budget.budget_id))
    if len(ordered) > MAX_BUDGETS:
        raise InvalidError(
            "too_many_budgets", f"a tenant has at most {MAX_BUDGETS} budgets", key="budgets"
        )
    for one, following in pairwise(ordered):
        if one.budget_id == following.budget_id:
            raise InvalidError(
                "repeated_budget",
                "there is one budget at most for a period and a feature",
                key="budgets",
                value=one.budget_id,
            )
    return ordered


def parse_period(text: object) -> Period:
    """Read the period of a budget.

    Raises:
        InvalidError: `unknown_period`.
    """
    if isinstance(text, str) and text in list(Period):
        return Period(text)
    raise InvalidError(
        "unknown_period", f"period is one of {', '.join(Period)}", key="period", value=text
    )


def parse_feature(text: object) -> str | None:
    """Read whose spending a budget is about; None: all of the tenant's.

    Raises:
        InvalidError: `invalid_slug`.
    """
    return None if text is None else parse_slug(text, key="feature")


def parse_amount(text: object) -> Nanos:
    """Read the amount of a budget in USD; a float has lost digits already and is refused.

    Raises:
        InvalidError: `amount_not_decimal` or `amount_out_of_range`.
    """
    if not isinstance(text, str):
        raise InvalidError(
            "amount_not_decimal",
            'an amount is a decimal string, like "250.00"',
            key="amount",
            value=text,
        )
    amount = parse_usd(text)
    if not 0 < amount <= MAX_NANOS:
        raise InvalidError(
            "amount_out_of_range",
            "a budget is more than zero and less than 9.2 billion USD",
            key="amount",
            value=text,
        )
    return amount


def parse_thresholds(given: object) -> tuple[int, ...]:
    """Read percents of the amount; return them ascending.

    Raises:
        InvalidError: `invalid_thresholds`.
    """
    numbers = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else []
    whole = [n for n in numbers if isinstance(n, int) and not isinstance(n, bool)]
    fits = all(1 <= n <= MAX_THRESHOLD for n in whole) and len(set(whole)) == len(numbers)
    if numbers and fits and len(numbers) <= MAX_THRESHOLDS:
        return tuple(sorted(whole))
    raise InvalidError(
        "invalid_thresholds",
        f"thresholds are 1 to {MAX_THRESHOLDS} different whole percents from 1 to {MAX_THRESHOLD}",
        key="thresholds",
    )


def parse_recipients(given: object) -> tuple[str, ...]:
    """Read the addresses that mails go to; a second one of the same kind is left out.

    Raises:
        InvalidError: `too_many_recipients` or `invalid_address`; no address is repeated.
    """
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) > MAX_RECIPIENTS:
        raise InvalidError(
            "too_many_recipients",
            f"recipients is a list of at most {MAX_RECIPIENTS} e-mail addresses",
            key="recipients",
        )
    return tuple(dict.fromkeys(parse_address(one, key="recipients") for one in given))
