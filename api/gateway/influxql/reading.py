"""Builds the tree: what each rule of the grammar means as a value."""

from lark import v_args

from api.gateway.influxql.select_rules import SelectRules
from api.gateway.influxql.show_rules import ShowRules
from api.gateway.influxql.tree import Statement
from api.gateway.influxql.where_rules import WhereRules
from api.gateway.influxql.word_rules import WordRules


@v_args(inline=True)
class TreeBuilder(SelectRules, WhereRules, ShowRules, WordRules):
    """Called by the parser for every rule that it recognised, from the inside out."""

    def start(self, *statements: Statement) -> tuple[Statement, ...]:
        """Return the statements of a query."""
        return statements
