"""Reads InfluxQL over `/query`: the one query language that 1.x, 2.x and 3.x share."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from collector.influx.errors import cut_short, reading_answer
from collector.influx.transport import Transport
from ledger.errors import InvalidError, MissingError

_UNSAFE_IN_TEXT = re.compile(r"([\\'])")
_UNSAFE_IN_NAME = re.compile(r'([\\"])')


class Series(NamedTuple):
    """One series of an answer; the first column is `time`, in nanoseconds."""

    name: str
    tags: Mapping[str, str]
    columns: tuple[str, ...]
    values: list[list[Any]]


class Reader:
    """Sends single statements of InfluxQL and reads what comes back."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def run(self, statement: str, *, bucket: str | None = None) -> list[Series]:
        """Run one statement; no `rp` is sent, since there is but one in each bucket.

        Raises:
            MissingError: `influx_bucket_missing`.
            InvalidError: `influx_refused`: the statement, or its answer is not complete.
            MeterlineError: see `Transport.send`.
        """
        parameters = {"epoch": "ns"} if bucket is None else {"db": bucket, "epoch": "ns"}
        answer = self._transport.send("POST", "/query", parameters, form={"q": statement})
        document = answer.read_json()
        with reading_answer():
            results = list(document["results"])
            result: dict[str, Any] = dict(results[0]) if results else {}
            found = [dict(series) for series in result.get("series", [])]
            series = list(map(_read_series, found))
        if "error" in result:
            raise _read_error(str(result["error"]))
        if result.get("partial") or any(each.get("partial") for each in found):
            raise cut_short()
        return series


def _read_series(document: dict[str, Any]) -> Series:
    columns = tuple(map(str, document["columns"]))
    rows = [dict(zip(columns, row, strict=True)) for row in document.get("values", [])]
    return Series(
        str(document.get("name", "")),
        dict(document.get("tags", {})),
        columns,
        [list(row.values()) for row in rows],
    )


def _read_error(text: str) -> MissingError | InvalidError:
    if "not found" in text:
        return MissingError(
            "influx_bucket_missing",
            f"InfluxDB has no such bucket; run `meterline influx setup`: {text}",
        )
    return InvalidError("influx_refused", f"InfluxDB refuses the query: {text}")


def quote_text(text: str) -> str:
    """Return a text as a string of InfluxQL."""
    return "'" + _UNSAFE_IN_TEXT.sub(r"\\\1", text) + "'"


def quote_name(name: str) -> str:
    """Return a name (measurement, field, tag, database) as an identifier of InfluxQL."""
    return '"' + _UNSAFE_IN_NAME.sub(r"\\\1", name) + '"'
