"""Reads a query: words, then the grammar, then the tree."""

from pathlib import Path
from typing import cast

from lark import Lark
from lark.exceptions import UnexpectedToken

from api.gateway.influxql.errors import refuse
from api.gateway.influxql.lexer import InfluxqlLexer
from api.gateway.influxql.reading import TreeBuilder
from api.gateway.influxql.tree import Statement
from ledger.errors import shorten

MAX_TEXT = 20_000
MAX_STATEMENTS = 8

_GRAMMAR = Path(__file__).with_name("grammar.lark")


class Parser:
    """Reads queries. Building one takes a tenth of a second; it keeps nothing between queries."""

    def __init__(self) -> None:
        # Cast: the stubs of lark know a parser that returns trees of its own alone.
        self._lark = Lark(
            _GRAMMAR.read_text(),
            parser="lalr",
            lexer=InfluxqlLexer,
            transformer=TreeBuilder(visit_tokens=False),
        )

    def parse(self, text: str) -> tuple[Statement, ...]:
        """Return the statements of a query.

        Raises:
            InvalidError: `query_refused`.
        """
        if len(text) > MAX_TEXT:
            raise refuse(f"a query has at most {MAX_TEXT} characters")
        try:
            statements = cast("tuple[Statement, ...]", self._lark.parse(text))
        except UnexpectedToken as error:
            raise _unexpected(error) from None
        if len(statements) > MAX_STATEMENTS:
            raise refuse(f"a query has at most {MAX_STATEMENTS} statements")
        return statements


def _unexpected(error: UnexpectedToken) -> Exception:
    where = "at its end" if error.token.type == "$END" else f"at {shorten(error.token.value, 40)!r}"
    return refuse(
        f"the query is not taken, {where}; what is taken: SELECT columns and functions FROM a"
        " measurement or subqueries WHERE … GROUP BY … fill() ORDER BY time LIMIT … tz(), and SHOW"
        " MEASUREMENTS, TAG KEYS, TAG VALUES, FIELD KEYS, DATABASES, RETENTION POLICIES"
    )
