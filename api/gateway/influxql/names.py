"""Checks that every name is one of the catalogue, and every function takes what it is given."""

from collections.abc import Iterator, Sequence

from api.gateway.influxql.catalogue import FUNCTIONS, MEASUREMENTS, Further, Measurement
from api.gateway.influxql.errors import refuse
from api.gateway.influxql.tree import (
    And,
    Argument,
    Arithmetic,
    Call,
    Comparison,
    Condition,
    Duration,
    Kind,
    Name,
    Number,
    Or,
    Pattern,
    Select,
    ShowNames,
    ShowTagValues,
    Star,
    Text,
)

_HIDDEN = "_"
"""How names begin that InfluxDB has a use of its own for, such as `_name`."""


class Known:
    """The columns of some measurements; of subqueries there is no list, and any name will do."""

    def __init__(self, measurements: Sequence[str] = ()) -> None:
        found = [_find(name) for name in measurements]
        self._is_open = not found
        self._of = " and ".join(measurements)
        self.tags = sorted({tag for one in found for tag in one.tags})
        self.fields = sorted({field for one in found for field in one.fields})

    def check(self, name: Name, *kinds: Kind) -> Kind | None:
        """Check that a column is there, as one of these kinds; return which it is, if known."""
        _check_not_hidden(name.text)
        if self._is_open:
            return None
        is_tag, is_field = name.text in self.tags, name.text in self.fields
        allowed = [kind for kind in kinds if name.kind in {None, kind}]
        if is_tag and Kind.TAG in allowed:
            return Kind.TAG
        if is_field and Kind.FIELD in allowed:
            return Kind.FIELD
        lists = {Kind.TAG: ("tags", self.tags), Kind.FIELD: ("fields", self.fields)}
        named = "; ".join(f"{lists[kind][0]} are {', '.join(lists[kind][1])}" for kind in kinds)
        raise refuse(f'{self._of} has no "{name.text}" that can stand there; {named}')


def check_select(select: Select) -> None:
    """Check the names of a SELECT and of all in it.

    Raises:
        InvalidError: `query_refused`.
    """
    measurements = [source for source in select.sources if isinstance(source, str)]
    for source in select.sources:
        if isinstance(source, Select):
            check_select(source)
    known = Known(measurements)
    for column in select.columns:
        _check_value(column.value, known)
        if column.alias is not None:
            _check_not_hidden(column.alias)
    for dimension in select.dimensions:
        if isinstance(dimension, Name):
            known.check(dimension, Kind.TAG)
    for comparison in _comparisons(select.condition):
        _check_comparison(comparison, known, Kind.TAG, Kind.FIELD)


def check_show(show: ShowTagValues | ShowNames) -> None:
    """Check the names of a SHOW.

    Raises:
        InvalidError: `query_refused`.
    """
    known = Known(show.measurements or tuple(MEASUREMENTS))
    if isinstance(show, ShowTagValues):
        for key in show.keys:
            known.check(Name(key), Kind.TAG)
        for comparison in _comparisons(show.condition):
            _check_comparison(comparison, known, Kind.TAG)


def _find(name: str) -> Measurement:
    measurement = MEASUREMENTS.get(name)
    if measurement is None:
        raise refuse(f'there is no measurement "{name}"; there are {", ".join(MEASUREMENTS)}')
    return measurement


def _check_not_hidden(name: str) -> None:
    if name.startswith(_HIDDEN):
        raise refuse("no name begins with an underscore")


def _check_value(value: Argument, known: Known) -> None:
    match value:
        case Name():
            known.check(value, Kind.TAG, Kind.FIELD)
        case Call():
            _check_call(value, known)
        case Arithmetic(first, rest):
            for operand in (first, *(each for _, each in rest)):
                _check_value(operand, known)
        case _:
            return


def _check_call(call: Call, known: Known) -> None:
    further = FUNCTIONS.get(call.name)
    if further is None:
        raise refuse(f"there is no function {call.name}(); there are {', '.join(FUNCTIONS)}")
    first, *rest = call.arguments
    if not isinstance(first, Name | Call | Star):
        raise refuse(f"{call.name}() takes a column or a function")
    _check_value(first, known)
    if not _takes(further, rest, known):
        raise refuse(f"{call.name}() takes {_told(further)}")


def _takes(further: Further, rest: Sequence[Argument], known: Known) -> bool:
    left = list(rest)
    if further.number is not None:
        if not left or not isinstance(last := left.pop(), Number):
            return False
        if not _is_within(last, further.number):
            return False
    if further.duration and left and isinstance(left[-1], Duration):
        left.pop()
    names = [each for each in left if isinstance(each, Name)]
    for name in names:
        known.check(name, Kind.TAG, Kind.FIELD)
    return len(names) == len(left) and (further.names or not left)


def _is_within(number: Number, most: int) -> bool:
    whole, _, _ = number.text.partition(".")
    return not number.text.startswith("-") and int(whole or 0) <= most and number.text != "0"


def _told(further: Further) -> str:
    parts = ["a column or a function"]
    if further.names:
        parts.append("tags")
    if further.number is not None:
        parts.append(f"a number up to {further.number}")
    if further.duration:
        parts.append("perhaps a duration")
    return ", then ".join(parts)


def _comparisons(condition: Condition | None) -> Iterator[Comparison]:
    match condition:
        case None:
            return
        case Comparison():
            yield condition
        case And(terms) | Or(terms):
            for term in terms:
                yield from _comparisons(term)


def _check_comparison(comparison: Comparison, known: Known, *kinds: Kind) -> None:
    kind = known.check(comparison.name, *kinds)
    is_pattern = isinstance(comparison.value, Pattern)
    if kind is Kind.TAG and not is_pattern:
        is_text = isinstance(comparison.value, Text)
        if comparison.operator not in {"=", "!="} or not is_text:
            raise refuse("a tag is compared with a string by = and !=, or by =~ and !~")
