"""Answers in InfluxDB's shape: joined from what it said, or made from the lists of names."""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from api.gateway.errors import BadUpstreamError
from api.gateway.influxql.catalogue import MEASUREMENTS
from api.gateway.influxql.tree import ShowNames, Subject, Window
from collector.influx.errors import cut_short
from ledger.errors import InvalidError, shorten

Result = dict[str, Any]
"""What one statement came to: its series, without the number of the statement."""

_Series = list[dict[str, Any]]
_Item = TypeVar("_Item")

_POLICY = ("autogen", "0s", "168h0m0s", 1, True)
_POLICY_COLUMNS = ("name", "duration", "shardGroupDuration", "replicaN", "default")
_INNER_FAULT = re.compile(r"panic|goroutine|\.go:")
_MAX_REASON = 300


def join_documents(documents: Sequence[bytes]) -> Result:
    """Return the result of one statement, whose answer came in one document or several.

    Raises:
        InvalidError: `influx_refused`, with InfluxDB's reason, or since the end is missing.
        BadUpstreamError: `influx_unavailable`.
    """
    series: _Series = []
    is_cut = False
    try:
        # Nothing at all is no answer: InfluxDB says so where there are no points.
        for document in documents or (b"",):
            is_cut = _add_document(series, orjson.loads(document))
    except (AttributeError, KeyError, TypeError, orjson.JSONDecodeError):
        raise BadUpstreamError(
            "influx_unavailable", "what answers at this address is not InfluxDB"
        ) from None
    if is_cut:
        raise cut_short()
    return {"series": series} if series else {}


def write_answer(results: Sequence[Result]) -> bytes:
    """Return the body of an answer, a result for each statement."""
    numbered = [{"statement_id": number, **result} for number, result in enumerate(results)]
    return orjson.dumps({"results": numbered}) + b"\n"


def list_names(show: ShowNames, databases: Sequence[str]) -> Result:
    """Return what a SHOW of names comes to."""
    return {"series": found} if (found := _LISTS[show.subject](show, databases)) else {}


def _add_document(series: _Series, document: Any) -> bool:
    """Add what a document says; return whether more was to come after it."""
    for result in (document, *document.get("results", ())):
        if "error" in result:
            raise _read_error(str(result["error"]))
    is_partial = False
    for result in document["results"]:
        is_partial = result.get("partial", False)
        for part in result.get("series") or ():
            is_partial |= part.pop("partial", False)
            _add(series, part)
    return is_partial


def _read_error(reason: str) -> InvalidError | BadUpstreamError:
    if _INNER_FAULT.search(reason):
        return BadUpstreamError("influx_unavailable", "InfluxDB could not do this query")
    told = shorten(reason, _MAX_REASON)
    return InvalidError("influx_refused", f"InfluxDB refuses the query: {told}")


def _add(series: _Series, part: dict[str, Any]) -> None:
    """Add a part of a series to the one that it continues, or begin one."""
    last = series[-1] if series else None
    if last is not None and all(
        last.get(each) == part.get(each) for each in ("name", "tags", "columns")
    ):
        last["values"] += part["values"]
    else:
        series.append(part)


def _measurements(show: ShowNames, _databases: Sequence[str]) -> _Series:
    names = [
        name
        for name in MEASUREMENTS
        if show.named in {None, name} and (show.containing or "") in name
    ]
    values = [[name] for name in _cut(names, show.window)]
    return [{"name": "measurements", "columns": ["name"], "values": values}] if values else []


def _tag_keys(show: ShowNames, _databases: Sequence[str]) -> _Series:
    return [
        {
            "name": name,
            "columns": ["tagKey"],
            "values": [[tag] for tag in _cut(MEASUREMENTS[name].tags, show.window)],
        }
        for name in show.measurements or MEASUREMENTS
    ]


def _field_keys(show: ShowNames, _databases: Sequence[str]) -> _Series:
    return [
        {
            "name": name,
            "columns": ["fieldKey", "fieldType"],
            "values": _cut([*MEASUREMENTS[name].fields.items()], show.window),
        }
        for name in show.measurements or MEASUREMENTS
    ]


def _databases(_show: ShowNames, databases: Sequence[str]) -> _Series:
    values = [[name] for name in databases]
    return [{"name": "databases", "columns": ["name"], "values": values}]


def _policies(_show: ShowNames, _databases: Sequence[str]) -> _Series:
    return [{"columns": list(_POLICY_COLUMNS), "values": [list(_POLICY)]}]


_LISTS: dict[Subject, Callable[[ShowNames, Sequence[str]], _Series]] = {
    Subject.MEASUREMENTS: _measurements,
    Subject.TAG_KEYS: _tag_keys,
    Subject.FIELD_KEYS: _field_keys,
    Subject.DATABASES: _databases,
    Subject.RETENTION_POLICIES: _policies,
}


def _cut(items: Sequence[_Item], window: Window) -> list[_Item]:
    rest = items[window.offset or 0 :]
    return list(rest[: window.limit] if window.limit else rest)
