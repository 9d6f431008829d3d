"""Builds price files and lays them down, so that a test names only what it is about."""

from collections.abc import Callable
from datetime import date, datetime
from fractions import Fraction
from operator import mul

import sqlalchemy as sa

from costing.pricing.card import Rates, build_multiplier
from costing.pricing.files import Line, parse_price_file
from costing.pricing.flat import load_flat_map
from costing.pricing.laying import lay_down
from ledger.measures import Measures
from ledger.rollups import RollupKey
from ledger.session import operator_session
from tests.builders import NOW

FILE = "prices.toml"

TODAY, TOMORROW = date(2026, 3, 10), date(2026, 3, 12)
"""Of all tenants: where `NOW` is, and the first date that has begun nowhere on earth."""


def rate(unit: str, amount: str | None, starts_on: date = TOMORROW, **said: object) -> str:
    """Return a table of a price file; an amount of None is withdrawn."""
    price = {"withdrawn": True} if amount is None else {"amount": amount, "currency": "USD"}
    return table("rates", unit=unit, **price, starts_on=starts_on, **said)


def table(name: str, **said: object) -> str:
    """Return a table of a price file."""
    return "\n".join([f"[[{name}]]", *(f"{key} = {_write(value)}" for key, value in said.items())])


def tokens(model: str, amount: str, starts_on: date = TOMORROW, **said: object) -> list[str]:
    """Return the tables of both sides of a model, each of which costs the same a token."""
    units = ("ai_input_token", "ai_output_token")
    return [rate(unit, amount, starts_on, model=model, **said) for unit in units]


def read(*tables: str) -> list[Line]:
    """Return the lines of a price file that has these tables, without a blank line between."""
    return parse_price_file("\n".join(tables), name=FILE)


def lay(
    engine: sa.Engine, *tables: str, now: datetime = NOW, backdated: bool = False
) -> list[Line]:
    """Lay tables down in a transaction of their own."""
    with operator_session(engine, write=True) as session:
        laying = lay_down(
            session,
            read(*tables),
            flat=load_flat_map(),
            origin=FILE,
            now=now,
            backdated=backdated,
        )
    return list(laying.new)


Lay = Callable[..., list[Line]]


def _write(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def exact_cost(rates: Rates, key: RollupKey, measures: Measures) -> Fraction | None:
    """Return the exact cost in nano-dollars, or None where a unit that was used has no rate."""
    multiplier = build_multiplier(rates, key.channel, key.direction, key.price_class)
    if multiplier is None or any(measures[place] for place in multiplier.unrated):
        return None
    return Fraction(sum(map(mul, multiplier.numerators, measures)), multiplier.denominator)
