"""Statements as frozen values. What is held is what is rendered, and nothing else is ever sent.

`And` and `Or` have two terms or more, and none of their own kind: brackets that change nothing
leave no trace, so that equal meanings are equal trees.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Kind(StrEnum):
    """What a cast says that a column is."""

    TAG = "tag"
    FIELD = "field"


@dataclass(frozen=True, slots=True)
class Name:
    """A column: of a measurement, or of what a subquery selects."""

    text: str
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written, perhaps with a minus before it."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    value: str


@dataclass(frozen=True, slots=True)
class Truth:
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression. Its body has neither a slash nor two backslashes in a row."""

    body: str


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time, perhaps a negative one."""

    nanos: int


@dataclass(frozen=True, slots=True)
class Star:
    """`*`: all columns."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function, by its name in lower case."""

    name: str
    arguments: "tuple[Argument, ...]"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Operators of one rank, from the left: `+` and `-`, or `*`, `/` and `%`."""

    first: "Expression"
    rest: "tuple[tuple[str, Expression], ...]"


Expression: TypeAlias = Name | Number | Call | Arithmetic
Argument: TypeAlias = Expression | Duration | Star


@dataclass(frozen=True, slots=True)
class Column:
    """What is selected, and what it is called in the answer."""

    value: Expression | Star
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column compared with a literal."""

    name: Name
    operator: str
    value: Number | Text | Truth | Pattern


@dataclass(frozen=True, slots=True)
class And:
    """All of its terms hold."""

    terms: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """One of its terms holds."""

    terms: "tuple[Condition, ...]"


Condition: TypeAlias = Comparison | And | Or


@dataclass(frozen=True, slots=True)
class Instant:
    """Nanoseconds since 1970."""

    nanos: int


@dataclass(frozen=True, slots=True)
class FromNow:
    """`now()` and so many nanoseconds."""

    nanos: int


@dataclass(frozen=True, slots=True)
class Written:
    """A date or a time as text, in the zone of its statement, and so many nanoseconds."""

    text: str
    nanos: int


Moment: TypeAlias = Instant | FromNow | Written


@dataclass(frozen=True, slots=True)
class Bound:
    """What `time` is compared with; a statement has all of its bounds at once."""

    operator: str
    moment: Moment


@dataclass(frozen=True, slots=True)
class Interval:
    """`time(length, offset)` of GROUP BY."""

    length: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Fill:
    """What stands where an interval has no point: a word, or a number."""

    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How much of an answer is wanted."""

    limit: int | None = None
    offset: int | None = None
    slimit: int | None = None
    soffset: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """`SELECT`. Its sources are measurements, or other selects, never both."""

    columns: tuple[Column, ...]
    sources: "tuple[str, ...] | tuple[Select, ...]"
    condition: Condition | None = None
    bounds: tuple[Bound, ...] = ()
    interval: Interval | None = None
    dimensions: tuple[Name | Star, ...] = ()
    fill: Fill | None = None
    descending: bool | None = None
    window: Window = Window()
    zone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowTagValues:
    """`SHOW TAG VALUES`, of one measurement or several, of one tag or several."""

    measurements: tuple[str, ...]
    keys: tuple[str, ...]
    database: str | None = None
    condition: Condition | None = None
    bounds: tuple[Bound, ...] = ()
    window: Window = Window()


class Subject(StrEnum):
    """What the other forms of `SHOW` list: the same for everybody."""

    MEASUREMENTS = "MEASUREMENTS"
    TAG_KEYS = "TAG KEYS"
    FIELD_KEYS = "FIELD KEYS"
    DATABASES = "DATABASES"
    RETENTION_POLICIES = "RETENTION POLICIES"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowNames:
    """A `SHOW` that is answered from lists.

    Attributes:
        subject: what is listed.
        measurements: those that were asked for; none: all.
        named: the one measurement to list, if it is there.
        containing: a part of the name of a measurement, in any case.
        database: what came after `ON`.
        window: how many, and from where on.
    """

    subject: Subject
    measurements: tuple[str, ...] = ()
    named: str | None = None
    containing: str | None = None
    database: str | None = None
    window: Window = Window()


Statement: TypeAlias = Select | ShowTagValues | ShowNames
