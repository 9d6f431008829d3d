"""The multiplication of `costing.pricing.rating`, as whole-number arithmetic of the database.

A property test holds the two against each other. What could come to more than the database computes
with is left to Python, which has no limit.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from costing.pricing.card import Rates
from costing.pricing.rating import Rating
from costing.repricing.page import KIND, RowKind
from ledger.columns import name_temporary
from ledger.measures import MEASURE_COLUMNS
from ledger.models import usage_rollups_daily
from ledger.money import MAX_NANOS
from ledger.rollups import State

_LIMIT = 2**62 - 1
"""Most that a sum of products comes to, so that twice a remainder fits into BIGINT, too."""

_ROW = usage_rollups_daily.c
_ONLY_PYTHON = -1
_ZERO: sa.ColumnElement[int] = sa.literal_column("0", sa.BigInteger)
_NO_MODEL: sa.ColumnElement[str] = sa.literal_column("''", sa.String)

_COLUMNS = (
    *(sa.Column(name, _ROW[name].type, primary_key=True) for name in KIND),
    sa.Column("price_version", _ROW.price_version.type, nullable=False),
    sa.Column("price_source", _ROW.price_source.type, nullable=False),
    # Without one no unit counts such usage.
    sa.Column("denominator", sa.BigInteger),
    # Most of each count that the database multiplies.
    sa.Column("most", sa.BigInteger, nullable=False),
    # Sets of measures, a bit each: those that are billed, and of these those that have no rate.
    sa.Column("billed", sa.Integer, nullable=False),
    sa.Column("unrated", sa.Integer, nullable=False),
    *(sa.Column(name, sa.BigInteger, nullable=False) for name in MEASURE_COLUMNS),
)
multipliers = sa.Table(
    name_temporary("multipliers", _COLUMNS),
    sa.MetaData(),
    *_COLUMNS,
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
    sqlite_with_rowid=False,
)
_BY = multipliers.c


class Multiplied(NamedTuple):
    """What rows come to, as expressions.

    Attributes:
        cost: None where a unit that was used has no rate.
        is_beyond: the row is left to Python, and the rest says nothing.
    """

    cost: sa.ColumnElement[Any]
    price_source: sa.ColumnElement[Any]
    state: sa.ColumnElement[Any]
    is_beyond: sa.ColumnElement[bool]


class Places(NamedTuple):
    """Which measures have a part in what some kinds of usage cost: an expression names no other."""

    rated: tuple[int, ...]
    billed: tuple[int, ...]
    unrated: tuple[int, ...]


def multiplier_values(kind: RowKind, rates: Rates, rating: Rating | None) -> dict[str, Any]:
    """Return the row of `multipliers` by which such usage is rated."""
    values = {
        **kind._asdict(),
        "model": kind.model or "",
        "price_version": rates.price_version,
        "price_source": rates.source,
        **dict.fromkeys(MEASURE_COLUMNS, 0),
        "denominator": None,
        "most": MAX_NANOS,
        "billed": 0,
        "unrated": 0,
    }
    if rating is None:
        return values
    numerators, denominator, unrated, billed = rating.multiplier
    values |= {"billed": _set_of(billed), "unrated": _set_of(unrated)}
    together = sum(map(abs, numerators))
    if max(together, denominator) > _LIMIT:
        return values | {"most": _ONLY_PYTHON}
    most = _LIMIT // together if together else MAX_NANOS
    return (
        values
        | dict(zip(MEASURE_COLUMNS, numerators, strict=True))
        | {"denominator": denominator, "most": most}
    )


def find_places(rows: Iterable[Mapping[str, Any]]) -> Places:
    """Return which measures have a part in what these rows of `multipliers` rate."""
    rated, billed, unrated = set(), 0, 0
    for row in rows:
        billed |= row["billed"]
        unrated |= row["unrated"]
        rated |= {place for place, name in enumerate(MEASURE_COLUMNS) if row[name]}
    return Places(tuple(sorted(rated)), _places_of(billed), _places_of(unrated))


def is_of_kind() -> sa.ColumnElement[bool]:
    """Return the condition that a rollup row is rated by a row of `multipliers`."""
    return sa.and_(
        *(_BY[name] == _ROW[name] for name in KIND if name != "model"),
        _BY.model == sa.func.coalesce(_ROW.model, _NO_MODEL),
    )


def scale(places: Places) -> tuple[sa.ColumnElement[Any], ...]:
    """Return what `multiply` takes: labelled `scaled`, `is_unrated` and `is_used`."""
    within = [_ROW[name].between(-_BY.most, _BY.most) for name in _names(places.rated)]
    products = [_ROW[name] * _BY[name] for name in _names(places.rated)]
    scaled = sum(products[1:], start=products[0]) if products else _ZERO
    return (
        # Nothing is multiplied before it is known to fit.
        sa.case((sa.and_(_BY.most >= 0, *within), scaled)).label("scaled"),
        _uses(places.unrated, _BY.unrated).label("is_unrated"),
        _uses(places.billed, _BY.billed).label("is_used"),
    )


def multiply(of: Any) -> Multiplied:
    """Return what rows come to.

    Args:
        of: columns of a query that has those of `scale`, and denominator and price source.
    """
    cost = sa.case(
        (of.is_unrated, sa.null()),
        (of.denominator == 1, of.scaled),
        else_=_round(of.scaled, of.denominator),
    )
    is_unpriced = cost.is_(None)
    return Multiplied(
        cost=cost,
        price_source=sa.case((sa.not_(is_unpriced), of.price_source)),
        state=sa.case(
            (is_unpriced, _text(State.UNPRICED)),
            # Zero that was rounded is no price of zero.
            (sa.and_(of.scaled == 0, of.is_used), _text(State.FREE)),
            else_=_text(State.ESTIMATED),
        ),
        is_beyond=of.scaled.is_(None),
    )


def _round(scaled: Any, denominator: Any) -> Any:
    """Round half to even, as `ledger.money.round_to_nanos` does.

    Whole numbers are divided towards zero, so what is left over has the sign of the sum.
    """
    whole = scaled.op("/", return_type=sa.BigInteger())(denominator)
    rest = sa.func.abs(scaled % denominator, type_=sa.BigInteger) * 2
    is_up = sa.or_(rest > denominator, sa.and_(rest == denominator, whole % 2 != 0))
    return whole + sa.case((sa.not_(is_up), 0), (scaled < 0, -1), else_=1)


def _uses(places: Iterable[int], among: Any) -> sa.ColumnElement[bool]:
    """Return the condition that one of the measures in a row's own set is not zero."""
    return sa.or_(
        sa.false(),
        *(
            sa.and_(among.bitwise_and(1 << place) != 0, _ROW[MEASURE_COLUMNS[place]] != 0)
            for place in places
        ),
    )


def _names(places: Iterable[int]) -> list[str]:
    return [MEASURE_COLUMNS[place] for place in places]


def _set_of(places: Iterable[int]) -> int:
    return sum(1 << place for place in places)


def _places_of(bits: int) -> tuple[int, ...]:
    return tuple(place for place in range(len(MEASURE_COLUMNS)) if bits >> place & 1)


def _text(state: State) -> sa.ColumnElement[str]:
    return sa.literal_column(f"'{state}'", sa.String)
