"""Rules of SELECT, but for its WHERE."""

from typing import Any

from lark import Token, Transformer, v_args

from api.gateway.influxql.durations import read_duration
from api.gateway.influxql.errors import refuse
from api.gateway.influxql.tree import (
    Arithmetic,
    Call,
    Column,
    Duration,
    Expression,
    Fill,
    Interval,
    Name,
    Number,
    Select,
    Star,
    Window,
)
from api.gateway.influxql.where_rules import Where

MAX_COUNT = 100_000
"""The most that LIMIT and its like may be: none of them is needed to be larger here."""

_FILLS = frozenset({"null", "none", "previous", "linear"})


@v_args(inline=True)
class SelectRules(Transformer[Token, Any]):
    """What lark calls for the rules of SELECT and its clauses."""

    def select(  # noqa: PLR0913, PLR0917 - the clauses there are, in the order of the grammar
        self,
        columns: tuple[Column, ...],
        sources: Any,
        where: Where,
        group: tuple[Interval | None, tuple[Name | Star, ...]],
        fill: Fill | None,
        descending: bool | None,  # noqa: FBT001 - as the parser hands it over
        window: Window,
        zone: str | None,
    ) -> Select:
        return Select(
            columns=columns,
            sources=sources,
            condition=where[0],
            bounds=where[1],
            interval=group[0],
            dimensions=group[1],
            fill=fill,
            descending=descending,
            window=window,
            zone=zone,
        )

    def columns(self, *columns: Column) -> tuple[Column, ...]:
        return columns

    def all_columns(self) -> Column:
        return Column(Star())

    def plain_column(self, value: Expression) -> Column:
        return Column(value)

    def named_column(self, value: Expression, alias: str) -> Column:
        return Column(value, alias)

    def total(self, first: Expression, *rest: Any) -> Arithmetic:
        return Arithmetic(first, tuple(zip(rest[::2], rest[1::2], strict=True)))

    product = total

    def add(self, sign: Token) -> str:
        return str(sign)

    multiply = operator = add

    def bracket(self, inner: Any) -> Any:
        return inner

    def star(self) -> Star:
        return Star()

    def call(self, name: Token, *arguments: Any) -> Call:
        return Call(name.lower(), arguments)

    def sources(self, sources: Any) -> Any:
        return sources

    def measurements(self, *names: str) -> tuple[str, ...]:
        return names

    def subqueries(self, *selects: Select) -> tuple[Select, ...]:
        return selects

    def group(self, *dimensions: Any) -> tuple[Interval | None, tuple[Name | Star, ...]]:
        intervals = [each for each in dimensions if isinstance(each, Interval)]
        if len(intervals) > 1:
            raise refuse("GROUP BY has one time()")
        rest = tuple(each for each in dimensions if not isinstance(each, Interval))
        return (intervals[0] if intervals else None), rest

    def interval(self, length: Duration, offset: Duration | None = None) -> Interval:
        return Interval(length.nanos, 0 if offset is None else offset.nanos)

    def by_name(self, name: Name) -> Name:
        return name

    def negative(self, duration: Token) -> Duration:
        return Duration(-read_duration(duration))

    def fill(self, fill: Fill | None = None) -> Fill | None:
        return fill

    def word(self, word: Token) -> Fill:
        if word.lower() not in _FILLS:
            raise refuse("fill() takes null, none, previous, linear or a number")
        return Fill(word.lower())

    def filled(self, number: Number) -> Fill:
        return Fill(number.text)

    def order(self, descending: bool | None = None) -> bool | None:  # noqa: FBT001 - as above
        return descending

    def ascending(self) -> bool:
        return False

    def descending(self) -> bool:
        return True

    def window(
        self, limit: int | None, offset: int | None, slimit: int | None, soffset: int | None
    ) -> Window:
        return Window(limit=limit, offset=offset, slimit=slimit, soffset=soffset)

    def limit(self, count: Token | None = None) -> int | None:
        if count is None:
            return None
        if not count.isdecimal() or int(count) > MAX_COUNT:
            raise refuse(f"LIMIT, OFFSET, SLIMIT and SOFFSET are at most {MAX_COUNT}")
        return int(count)

    offset = slimit = soffset = limit

    def zone(self, name: Token | None = None) -> str | None:
        return None if name is None else str(name)
