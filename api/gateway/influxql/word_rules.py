"""Rules of single words: names, literals, durations."""

import re
from typing import Any

from lark import Token, Transformer, v_args

from api.gateway.influxql.durations import read_duration
from api.gateway.influxql.errors import refuse
from api.gateway.influxql.tree import Duration, Kind, Name, Number, Text, Truth

_SMALL = re.compile(r"-?(?:[0-9]{1,15}(?:\.[0-9]{1,15})?|\.[0-9]{1,15})", re.ASCII)


@v_args(inline=True)
class WordRules(Transformer[Token, Any]):
    """What lark calls for the rules of words."""

    def ident(self, name: Token) -> str:
        return str(name)

    def plain_name(self, name: str) -> Name:
        return Name(name)

    def cast_name(self, name: str, kind: Kind) -> Name:
        return Name(name, kind)

    def cast(self, kind: Token) -> Kind:
        return Kind(kind.lower())

    def number(self, text: Token) -> Number:
        return _number(text)

    def negative_number(self, text: Token) -> Number:
        return _number(f"-{text}")

    def text(self, value: Token) -> Text:
        return Text(str(value))

    def true(self) -> Truth:
        return Truth(value=True)

    def false(self) -> Truth:
        return Truth(value=False)

    def duration(self, text: Token) -> Duration:
        return Duration(read_duration(text))


def _number(text: str) -> Number:
    if _SMALL.fullmatch(text) is None:
        raise refuse("a number has at most 15 digits before the point, and 15 after it")
    return Number(str(text))
