"""Hypothesis strategies of statements that the gateway takes, as trees."""

from hypothesis import strategies as st

from api.gateway.influxql.catalogue import FUNCTIONS, MEASUREMENTS, MOST_PLACES
from api.gateway.influxql.tree import (
    And,
    Arithmetic,
    Bound,
    Call,
    Column,
    Comparison,
    Condition,
    Duration,
    Expression,
    Fill,
    FromNow,
    Instant,
    Interval,
    Kind,
    Name,
    Number,
    Or,
    Pattern,
    Select,
    ShowTagValues,
    Star,
    Text,
    Truth,
    Window,
    Written,
)

SECOND = 1_000_000_000
_START = 1_767_225_600 * SECOND  # 2026

_PRINTABLE = st.characters(exclude_categories=("C", "Zl", "Zp", "Zs"), include_characters=" ")
texts = st.text(st.one_of(_PRINTABLE, st.sampled_from("'\"\\/-*;()")), max_size=12)
plain_names = st.text(
    st.characters(exclude_categories=("C", "Zl", "Zp", "Zs"), exclude_characters='"\\'),
    min_size=1,
    max_size=8,
).filter(lambda name: not name.startswith("_") and name.lower() != "time")
patterns = st.text(st.sampled_from("abz019.*?|^$[]() '\";-"), min_size=1, max_size=8)
numbers = st.builds(
    Number, st.from_regex(r"-?([0-9]{1,15}(\.[0-9]{1,15})?|\.[0-9]{1,15})", fullmatch=True)
)
spans = st.integers(1, 400).flatmap(
    lambda count: st.sampled_from((1, 60, 90, 3600, 86_400)).map(lambda size: count * size * SECOND)
)
kinds = st.sampled_from((None, Kind.TAG, Kind.FIELD))


def columns_of(names: st.SearchStrategy[Name]) -> st.SearchStrategy[Column]:
    """Return columns over these names."""
    functions = st.sampled_from([n for n, f in FUNCTIONS.items() if f == FUNCTIONS["sum"]])
    simple = st.builds(Call, functions, st.tuples(st.one_of(names, st.just(Star()))))
    placed = st.builds(
        lambda name, column, count: Call(name, (column, Number(str(count)))),
        st.sampled_from(("top", "bottom", "moving_average")),
        names,
        st.integers(1, MOST_PLACES),
    )
    slopes = st.builds(
        lambda inner, unit: Call("derivative", (inner, Duration(unit))), simple, spans
    )
    leaves: st.SearchStrategy[Expression] = st.one_of(names, numbers, simple, placed, slopes)

    def grow(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        return st.one_of(*(_chain(inner, signs) for signs in ("+-", "*/%")))

    values = st.recursive(leaves, grow, max_leaves=4)
    named = st.builds(Column, values, st.none() | plain_names)
    return named | st.just(Column(Star()))


def _chain(inner: st.SearchStrategy[Expression], signs: str) -> st.SearchStrategy[Expression]:
    rest = st.lists(st.tuples(st.sampled_from(signs), inner), min_size=1, max_size=2)
    return st.builds(Arithmetic, inner, rest.map(tuple))


def conditions_of(tags: st.SearchStrategy[Name], fields: st.SearchStrategy[Name]) -> (
    st.SearchStrategy[Condition]
):  # fmt: skip
    """Return conditions in which nothing is of its own kind, as they are read."""
    equals, orders = (
        st.sampled_from(("=", "!=")),
        st.sampled_from(("=", "!=", "<", "<=", ">", ">=")),
    )
    matches = st.sampled_from(("=~", "!~"))
    leaves: st.SearchStrategy[Condition] = st.one_of(
        st.builds(Comparison, tags, equals, st.builds(Text, texts)),
        st.builds(Comparison, tags, matches, st.builds(Pattern, patterns)),
        st.builds(Comparison, fields, orders, numbers | st.builds(Truth, st.booleans())),
    )
    return st.recursive(leaves, lambda inner: _both(inner) | _either(inner), max_leaves=5)


def _both(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    return _pairs(inner).map(lambda found: And(_flat(found, And)))


def _either(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    return _pairs(inner).map(lambda found: Or(_flat(found, Or)))


def _pairs(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[list[Condition]]:
    return st.lists(inner, min_size=2, max_size=3)


def _flat(terms: list[Condition], kind: type[And | Or]) -> tuple[Condition, ...]:
    return tuple(
        inner for term in terms for inner in (term.terms if isinstance(term, kind) else (term,))
    )


moments = st.one_of(
    st.builds(Instant, st.integers(_START, _START + 90 * 86_400 * SECOND)),
    st.builds(FromNow, spans.map(lambda span: -span)),
    st.builds(Written, st.sampled_from(("2026-01-31", "2026-02-03 04:05:06.789")), spans),
)
bounds = st.lists(
    st.builds(Bound, st.sampled_from((">", ">=", "<", "<=", "=")), moments), max_size=2
).map(tuple)
windows = st.builds(
    Window,
    **{name: st.none() | st.integers(0, 50) for name in ("limit", "offset", "slimit", "soffset")},
)
_intervals = st.none() | st.builds(Interval, spans, spans | spans.map(lambda span: -span))
_fills = st.none() | st.sampled_from(("null", "none", "previous", "linear", "0", "-1.5")).map(Fill)
_zones = st.sampled_from((None, "Europe/Berlin", "Asia/Karachi"))


def _select(
    columns: st.SearchStrategy[Column],
    sources: st.SearchStrategy[tuple[str, ...]] | st.SearchStrategy[tuple[Select, ...]],
    conditions: st.SearchStrategy[Condition],
    dimensions: st.SearchStrategy[Name],
) -> st.SearchStrategy[Select]:
    return st.builds(
        Select,
        columns=st.lists(columns, min_size=1, max_size=3).map(tuple),
        sources=sources,
        condition=st.none() | conditions,
        bounds=bounds,
        interval=_intervals,
        dimensions=st.lists(st.one_of(dimensions, st.just(Star())), max_size=2).map(tuple),
        fill=_fills,
        descending=st.sampled_from((None, True, False)),
        window=windows,
        zone=_zones,
    )


def _from_measurement(name: str) -> st.SearchStrategy[Select]:
    measurement = MEASUREMENTS[name]
    tags = st.builds(Name, st.sampled_from(measurement.tags), st.sampled_from((None, Kind.TAG)))
    fields = st.builds(
        Name, st.sampled_from([*measurement.fields]), st.sampled_from((None, Kind.FIELD))
    )
    return _select(
        columns_of(st.one_of(fields, fields, tags)),
        st.just((name,)),
        conditions_of(tags, fields),
        tags,
    )


def _from_selects(inner: st.SearchStrategy[Select]) -> st.SearchStrategy[Select]:
    names = st.builds(Name, plain_names | st.sampled_from(("cost", "tenant", "sum")), kinds)
    sources = st.lists(inner, min_size=1, max_size=2).map(tuple)
    return _select(columns_of(names), sources, conditions_of(names, names), names)


selects = st.recursive(
    st.one_of(*map(_from_measurement, MEASUREMENTS)), _from_selects, max_leaves=3
)
_tags = st.builds(Name, st.sampled_from(MEASUREMENTS["usage_cost"].tags))
shows = st.builds(
    ShowTagValues,
    measurements=st.just(("usage_cost",)),
    keys=st.lists(st.sampled_from(MEASUREMENTS["usage_cost"].tags), min_size=1, max_size=3).map(
        tuple
    ),
    database=st.sampled_from((None, "meterline")),
    condition=st.none()
    | conditions_of(_tags, _tags).filter(lambda condition: "Number" not in repr(condition)),
    bounds=bounds,
    window=st.builds(Window, limit=st.none() | st.integers(0, 9), offset=st.none()),
)
