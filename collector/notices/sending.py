"""What becomes of an attempt to send a notice."""

from collections.abc import Callable
from typing import NamedTuple

from ledger.budget_notices import BudgetNotice

CUSTOM_ARGUMENT = "meterline_notice"
"""Carries the id of the notice into SendGrid's events and logs."""


class Attempt(NamedTuple):
    """How an attempt went.

    Attributes:
        error: what went wrong, without an address; None: it was taken.
        is_final: it would be refused again.
    """

    error: str | None = None
    is_final: bool = False


Send = Callable[[BudgetNotice], Attempt]
"""Sends a notice; whatever the other side does is an attempt and no exception."""
