"""Amounts as people read them: dollars with the same decimals throughout a page, and exact ones."""

from collections.abc import Iterable
from datetime import date
from typing import Final

from ledger.money import NANOS_PER_USD, Nanos, format_usd

CENTS: Final = 2
"""Decimals of a cent."""

_PLACES: Final = (CENTS, 4, 6, 9)
_MINUS = "\N{MINUS SIGN}"
_LETTERS: Final = ((10**9, "B"), (10**6, "M"), (10**3, "k"))
_PLAIN_BELOW = 100_000


def choose_places(amounts: Iterable[Nanos | None]) -> int:
    """Return the fewest decimals at which none of the amounts shows as zero unless it is zero."""
    smallest = min((abs(amount) for amount in amounts if amount), default=0)
    for places in _PLACES:
        if not smallest or round_to_places(Nanos(smallest), places):
            return places
    raise AssertionError("a nano-dollar has nine decimals")


def round_to_places(amount: Nanos, places: int) -> Nanos:
    """Round an amount half to even, for showing it and nothing else."""
    unit = 10 ** (9 - places)
    whole, rest = divmod(amount, unit)
    up = rest * 2 > unit or (rest * 2 == unit and whole % 2 == 1)
    return Nanos((whole + up) * unit)


def show_usd(amount: Nanos, places: int) -> str:
    """Write an amount for people: `$1,234.50`."""
    shown = abs(round_to_places(amount, places))
    whole, nanos = divmod(shown, NANOS_PER_USD)
    decimals = f".{nanos:09d}"[: places + 1] if places else ""
    sign = _MINUS if amount < 0 and shown else ""
    return f"{sign}${whole:,}{decimals}"


def show_exact_usd(amount: Nanos) -> str:
    """Write an amount with all the decimals that it has."""
    whole, _, decimals = format_usd(Nanos(abs(amount))).partition(".")
    sign = _MINUS if amount < 0 else ""
    return f"{sign}${int(whole):,}" + (f".{decimals}" if decimals else "")


def show_tick(amount: Nanos, step: Nanos) -> str:
    """Write a tick of an axis whose ticks are `step` apart: `$0.05`, `$20`, `$150k`."""
    if step < NANOS_PER_USD:
        places = next(p for p in range(10) if step % 10 ** (9 - p) == 0)
        return show_usd(amount, max(places, 2))
    dollars = abs(amount) // NANOS_PER_USD
    sign = _MINUS if amount < 0 else ""
    if dollars >= _PLAIN_BELOW:
        for size, letter in _LETTERS:
            if dollars % size == 0:
                return f"{sign}${dollars // size:,}{letter}"
    return f"{sign}${dollars:,}"


def show_count(count: int) -> str:
    """Write a count for people: `12,345`."""
    return f"{count:,}".replace("-", _MINUS)


def show_unpriced(count: int, *, exists: bool) -> str | None:
    """Write how many usages have no price; None: there are none.

    Where corrections cancel the count there are some all the same.
    """
    if not exists:
        return None
    return show_count(count) if count else "some"


def show_date(day: date) -> str:
    """Write a date for people: `Mar 9, 2026`."""
    return f"{day:%b} {day.day}, {day.year}"


def show_dates(first: date, last: date) -> str:
    """Write a range of dates for people, both included."""
    if first == last:
        return show_date(first)
    if first.year == last.year:
        return f"{first:%b} {first.day} \N{EN DASH} {show_date(last)}"
    return f"{show_date(first)} \N{EN DASH} {show_date(last)}"
