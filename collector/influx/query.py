"""Reads InfluxQL over `/query`: the one query language that 1.x, 2.x and 3.x share."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

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
        results = answer.read_json().get("results") or [{}]
        result: dict[str, Any] = results[0] or {}
        if "error" in result:
            raise _read_error(result["error"])
        found = result.get("series", [])
        if result.get("partial") or any(series.get("partial") for series in found):
            raise InvalidError(
                "influx_refused", "InfluxDB cuts its answers short; lift its max-row-limit"
            )
        return [
            Series(
                series.get("name", ""),
                series.get("tags", {}),
                tuple(series["columns"]),
                series.get("values", []),
            )
            for series in found
        ]


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
