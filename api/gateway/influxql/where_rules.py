"""Rules of WHERE: what holds of a point, and its bounds in time."""

import re
from dataclasses import replace
from typing import Any

from lark import Token, Transformer, v_args

from api.gateway.influxql.durations import read_duration
from api.gateway.influxql.errors import refuse
from api.gateway.influxql.tree import (
    And,
    Bound,
    Comparison,
    Condition,
    FromNow,
    Instant,
    Moment,
    Name,
    Or,
    Pattern,
    Written,
)

Where = tuple[Condition | None, tuple[Bound, ...]]

_WHOLE = re.compile(r"[0-9]{1,19}", re.ASCII)


@v_args(inline=True)
class WhereRules(Transformer[Token, Any]):
    """What lark calls for the rules of conditions."""

    def where(self, condition: Any = None) -> Where:
        terms = _terms_of(condition, And) if condition is not None else ()
        bounds = tuple(term for term in terms if isinstance(term, Bound))
        rest = tuple(term for term in terms if not isinstance(term, Bound))
        if not rest:
            return None, bounds
        return (rest[0] if len(rest) == 1 else And(rest)), bounds

    def both(self, *terms: Any) -> And:
        return And(tuple(inner for term in terms for inner in _terms_of(term, And)))

    def either(self, *terms: Any) -> Or:
        if any(isinstance(inner, Bound) for term in terms for inner in _terms_of(term, And)):
            raise refuse("time is compared beside AND alone, never beside OR")
        return Or(tuple(inner for term in terms for inner in _terms_of(term, Or)))

    def comparison(self, name: Name, operator: str, value: Any) -> Comparison:
        return Comparison(name, operator, value)

    def matching(self, name: Name, operator: Token, body: Token) -> Comparison:
        return Comparison(name, str(operator), Pattern(str(body)))

    def bound(self, operator: str, moment: Moment) -> Bound:
        if operator == "!=":
            raise refuse("time is compared by >, >=, <, <= and =")
        return Bound(operator, moment)

    def moment(self, base: Moment, *shifts: int) -> Moment:
        return replace(base, nanos=base.nanos + sum(shifts))

    def now(self) -> FromNow:
        return FromNow(0)

    def since_1970(self, text: Token) -> Instant:
        return Instant(read_duration(text))

    def nanoseconds(self, text: Token) -> Instant:
        if _WHOLE.fullmatch(text) is None:
            raise refuse("a time that is a number is one of whole nanoseconds since 1970")
        return Instant(int(text))

    def written(self, text: Token) -> Written:
        return Written(str(text), 0)

    def later(self, text: Token) -> int:
        return read_duration(text)

    def earlier(self, text: Token) -> int:
        return -read_duration(text)


def _terms_of(condition: Any, kind: type[And | Or]) -> tuple[Any, ...]:
    return condition.terms if isinstance(condition, kind) else (condition,)
