"""Writes a tree as InfluxQL. Every name is in double quotes and every string in single ones."""

from api.gateway.influxql.durations import write_duration
from api.gateway.influxql.tree import (
    And,
    Argument,
    Arithmetic,
    Bound,
    Call,
    Column,
    Comparison,
    Condition,
    Duration,
    FromNow,
    Instant,
    Interval,
    Moment,
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
from collector.influx.query import quote_name, quote_text


def render_select(select: Select) -> str:
    """Return the text of a SELECT."""
    columns = ", ".join(map(_column, select.columns))
    sources = ", ".join(
        quote_name(source) if isinstance(source, str) else f"({render_select(source)})"
        for source in select.sources
    )
    parts = [f"SELECT {columns} FROM {sources}", *_where(select.condition, select.bounds)]
    dimensions = [*_intervals(select.interval), *map(_argument, select.dimensions)]
    if dimensions:
        parts.append(f"GROUP BY {', '.join(dimensions)}")
    if select.fill is not None:
        parts.append(f"fill({select.fill.value})")
    if select.descending is not None:
        parts.append(f"ORDER BY time {'DESC' if select.descending else 'ASC'}")
    parts += _window(select.window)
    if select.zone is not None:
        parts.append(f"tz({quote_text(select.zone)})")
    return " ".join(parts)


def render_show(show: ShowTagValues) -> str:
    """Return the text of a SHOW TAG VALUES."""
    parts = ["SHOW TAG VALUES"]
    if show.database is not None:
        parts.append(f"ON {quote_name(show.database)}")
    parts.append(f"FROM {', '.join(map(quote_name, show.measurements))}")
    parts.append(f"WITH KEY IN ({', '.join(map(quote_name, show.keys))})")
    parts += _where(show.condition, show.bounds)
    return " ".join([*parts, *_window(show.window)])


def _column(column: Column) -> str:
    text = _argument(column.value)
    return text if column.alias is None else f"{text} AS {quote_name(column.alias)}"


def _argument(argument: Argument) -> str:
    match argument:
        case Name(text, kind):
            return quote_name(text) + (f"::{kind}" if kind is not None else "")
        case Number(text):
            return text
        case Call(name, arguments):
            return f"{name}({', '.join(map(_argument, arguments))})"
        case Arithmetic(first, rest):
            return " ".join([_operand(first), *(f"{sign} {_operand(each)}" for sign, each in rest)])
        case Duration(nanos):
            return write_duration(nanos)
        case Star():
            return "*"


def _operand(operand: Argument) -> str:
    """Return an operand. A minus is never beside another, which would begin a comment."""
    text = _argument(operand)
    needs_brackets = isinstance(operand, Arithmetic) or text.startswith("-")
    return f"({text})" if needs_brackets else text


def _intervals(interval: Interval | None) -> list[str]:
    if interval is None:
        return []
    offset = f", {write_duration(interval.offset)}" if interval.offset else ""
    return [f"time({write_duration(interval.length)}{offset})"]


def _where(condition: Condition | None, bounds: tuple[Bound, ...]) -> list[str]:
    terms = [] if condition is None else [_condition(condition)]
    if isinstance(condition, Or):
        terms = [f"({terms[0]})"]
    terms += [f"time {bound.operator} {_moment(bound.moment)}" for bound in bounds]
    return [f"WHERE {' AND '.join(terms)}"] if terms else []


def _condition(condition: Condition) -> str:
    match condition:
        case Comparison(name, operator, value):
            return f"{_argument(name)} {operator} {_literal(value)}"
        case And(terms):
            return " AND ".join(f"({_condition(term)})" for term in terms)
        case Or(terms):
            return " OR ".join(f"({_condition(term)})" for term in terms)


def _literal(value: Number | Text | Truth | Pattern) -> str:
    match value:
        case Number(text):
            return text
        case Text(text):
            return quote_text(text)
        case Truth(truth):
            return "true" if truth else "false"
        case Pattern(body):
            return f"/{body}/"


def _moment(moment: Moment) -> str:
    match moment:
        case Instant(nanos):
            return str(nanos)
        case FromNow(nanos):
            return f"now(){_shift(nanos)}"
        case Written(text, nanos):
            return f"{quote_text(text)}{_shift(nanos)}"


def _shift(nanos: int) -> str:
    if not nanos:
        return ""
    return f" {'-' if nanos < 0 else '+'} {write_duration(abs(nanos))}"


def _window(window: Window) -> list[str]:
    counts = (
        ("LIMIT", window.limit),
        ("OFFSET", window.offset),
        ("SLIMIT", window.slimit),
        ("SOFFSET", window.soffset),
    )
    return [f"{word} {count}" for word, count in counts if count is not None]
