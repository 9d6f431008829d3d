"""How prices are printed: exact, in units that people compare, in plain tables."""

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from fractions import Fraction

from tabulate import tabulate

from costing.pricing.comparing import Quote
from ledger.money import NANOS_PER_USD
from ledger.units import Unit

_PLACES = Decimal("1e-12")
_EXACT = Context(prec=60)
_MOST_NAMED = 3
_TOKENS, _HOUR = 1_000_000, 3_600_000


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are as they were given."""
    return tabulate(list(rows), headers=headers, tablefmt="plain", disable_numparse=True)


def per_of(unit: Unit) -> int:
    """Return how many of a unit a price is told for: a million tokens, an hour, else one."""
    if unit.side is not None:
        return _TOKENS
    return _HOUR if unit.name.endswith("_millisecond") else 1


def usd_text(usd: Fraction) -> str:
    """Return an amount as a plain decimal; one that is none is rounded, and marked by `≈`."""
    exact = _EXACT.divide(Decimal(usd.numerator), Decimal(usd.denominator))
    if Fraction(exact) == usd:
        return format(exact.normalize(_EXACT) + 0, "f")
    return f"≈{exact.quantize(_PLACES)}"


def quote_text(quote: Quote | None, unit: Unit) -> str:
    """Return what a unit costs, in USD for as many as `per_of` says; `-` where it has no price."""
    if quote is None:
        return "-"
    return usd_text(quote.nanos * per_of(unit) / NANOS_PER_USD)


def unit_text(unit: Unit) -> str:
    """Return the name of a unit and how many of it a price is told for."""
    per = per_of(unit)
    return unit.name if per == 1 else f"{unit.name} x {per}"


def names_text(names: Iterable[str]) -> str:
    """Return names, of many the first few and how many more there are."""
    every = sorted(names)
    shown = ", ".join(every[:_MOST_NAMED])
    rest = len(every) - _MOST_NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown
