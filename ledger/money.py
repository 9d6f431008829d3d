"""Money: signed integers of nano-US-dollars inside, plain decimal text at the edges."""

import re
from fractions import Fraction
from typing import NewType

from ledger.errors import InvalidError

Nanos = NewType("Nanos", int)
"""An amount in nano-US-dollars (10⁻⁹ USD), rounded once."""

NANOS_PER_USD = 1_000_000_000

MAX_NANOS = 2**63 - 1
"""What a column holds: 9.2 billion USD. Sums beyond it are made in Python, which has no limit."""

_AMOUNT = re.compile(r"-?\d{1,30}(\.\d{1,9})?", re.ASCII)
_DECIMAL = re.compile(r"\d{1,9}(\.\d{1,15})?", re.ASCII)


def parse_rate(text: object, *, key: str) -> Fraction:
    """Read a rate in USD from a plain decimal string and return it in exact nano-dollars.

    Args:
        text: such as `"0.00035"`. A float would already have lost digits, so it is refused.
        key: where the rate stands, for the message.

    Raises:
        InvalidError: `rate_not_text` or `rate_not_decimal`.
    """
    if not isinstance(text, str):
        raise InvalidError(
            "rate_not_text", f'{key} must be a decimal string, like "0.0089"', key=key, value=text
        )
    if _DECIMAL.fullmatch(text) is None:
        raise InvalidError(
            "rate_not_decimal",
            f"{key} must be a plain decimal, zero or more, of at most 15 places",
            key=key,
            value=text,
        )
    return Fraction(text) * NANOS_PER_USD


def round_to_nanos(exact: Fraction) -> Nanos:
    """Round an exact amount in nano-dollars half to even: the only rounding of money there is."""
    return Nanos(round(exact))


def format_usd(amount: Nanos) -> str:
    """Write an amount as plain decimal USD without trailing zeros: `69255730000` is `69.25573`."""
    whole, nanos = divmod(abs(amount), NANOS_PER_USD)
    sign = "-" if amount < 0 else ""
    fraction = f"{nanos:09d}".rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def parse_usd(text: str) -> Nanos:
    """Read what `format_usd` wrote.

    Raises:
        InvalidError: `amount_not_decimal`.
    """
    if _AMOUNT.fullmatch(text) is None:
        raise InvalidError(
            "amount_not_decimal", "an amount is a plain decimal with at most 9 places", value=text
        )
    return Nanos(int(Fraction(text) * NANOS_PER_USD))
