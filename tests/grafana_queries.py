"""What Grafana makes of a board: the range of each panel, and the queries that its backend sends.

Written after what its source does: date math and variables in the browser, `$timeFilter` and the
interval in the backend. A range is in milliseconds, both ends included.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

Json = dict[str, Any]
Values = Mapping[str, str | Sequence[str]]

ALL = "$__all"

_STEP = re.compile(r"([-+])(\d+)([dMhm])|/([dM])")
_LENGTHS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_SPECIAL = re.compile(r"[\\^$.*+?()\[\]{}|/]")
_MILLISECOND = timedelta(milliseconds=1)


class Span(NamedTuple):
    """A range of time, in milliseconds since 1970."""

    start: int
    end: int

    @property
    def condition(self) -> str:
        """What stands for `$timeFilter`."""
        return f"time >= {self.start}ms and time <= {self.end}ms"


class Query(NamedTuple):
    """What one target of a panel asks."""

    panel: int
    ref: str
    form: str
    text: str


def queries(
    board: Json,
    *,
    now: datetime,
    span: tuple[str, str] | None = None,
    values: Values | None = None,
) -> Iterator[Query]:
    """Yield the InfluxQL of a rendered board.

    Args:
        board: as it was rendered.
        now: the instant at which it is looked at.
        span: `from` and `to` of the address; None: those of the board.
        values: what is chosen for variables; others have what the board says.
    """
    chosen = {each["name"]: each["current"]["value"] for each in board["templating"]["list"]}
    for panel in board["panels"]:
        condition = span_of(board, panel, now=now, span=span).condition
        for target in panel["targets"]:
            text = put_values(target["query"], board, {**chosen, **(values or {})})
            text = text.replace("$timeFilter", condition).replace("$__interval", "1d")
            yield Query(panel["id"], target["refId"], target["resultFormat"], text)


def span_of(
    board: Json, panel: Json, *, now: datetime, span: tuple[str, str] | None = None
) -> Span:
    """Return the range of a panel; one of its own has the place of the board's."""
    start, end = span or (board["time"]["from"], board["time"]["to"])
    if "timeFrom" in panel:
        start, end = panel["timeFrom"], "now"
    zone = ZoneInfo("UTC") if board["timezone"] == "utc" else ZoneInfo(board["timezone"])
    return Span(
        _milliseconds(resolve(start, now=now, zone=zone, is_end=False)),
        _milliseconds(resolve(end, now=now, zone=zone, is_end=True)),
    )


def resolve(expression: str, *, now: datetime, zone: ZoneInfo, is_end: bool) -> datetime:
    """Return the instant of an expression like `now-29d/d`, whose days are those of the zone.

    A unit that is rounded to is taken from its start; where it is the end of a range, to its last
    millisecond.
    """
    assert expression.startswith("now"), expression
    steps = expression.removeprefix("now")
    assert steps == "".join(match.group() for match in _STEP.finditer(steps)), expression
    local = now.astimezone(zone)
    for sign, number, unit, rounded in _STEP.findall(steps):
        if rounded:
            local = _round(local, rounded, is_end=is_end)
        elif unit == "d":  # a day of the calendar, however long
            moved = local.date() + int(f"{sign}{number}") * _LENGTHS["d"]
            local = datetime.combine(moved, local.time(), zone)
        else:
            local = (local.astimezone(UTC) + int(f"{sign}{number}") * _LENGTHS[unit]).astimezone(
                zone
            )
    return local.astimezone(UTC)


def put_values(text: str, board: Json, values: Values) -> str:
    """Return a query with the values of the board's variables in it."""
    for variable in board["templating"]["list"]:
        name = variable["name"]
        parts = re.split(rf"\$(?:{name}\b|\{{{name}\}})", text)
        text = _format(variable, values[name]).join(parts)
    return text


def _format(variable: Json, value: str | Sequence[str]) -> str:
    several = [value] if isinstance(value, str) else list(value)
    if several == [ALL]:
        return str(variable["allValue"])
    if not variable["multi"] and not variable["includeAll"]:
        (only,) = several
        return only
    escaped = [_SPECIAL.sub(lambda match: "\\" + match.group(), each) for each in several]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _round(local: datetime, unit: str, *, is_end: bool) -> datetime:
    first = local.date() if unit == "d" else local.date().replace(day=1)
    if not is_end:
        return _midnight(first, local)
    after = (
        first + timedelta(days=1) if unit == "d" else (first + timedelta(days=32)).replace(day=1)
    )
    end = _midnight(after, local).astimezone(UTC) - _MILLISECOND
    return end.astimezone(local.tzinfo)


def _midnight(day: date, local: datetime) -> datetime:
    return datetime.combine(day, time(), local.tzinfo)


def _milliseconds(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // _MILLISECOND
