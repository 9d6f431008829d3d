"""What InfluxDB sent in parts is put together as it was, and what nobody understands is said so."""

from typing import Any

import orjson
import pytest

from api.gateway.answers import join_documents
from api.gateway.errors import BadUpstreamError
from ledger.errors import InvalidError


def part(*values: int, **others: Any) -> dict[str, Any]:
    """Return a series, or a part of one, with a column beside its times."""
    return {"name": "usage", "columns": ["time", "x"], "values": [[v, v] for v in values], **others}


def documents(*parts: dict[str, Any]) -> list[bytes]:
    """Return a document for each part, as InfluxDB sends them where it is asked for chunks."""
    *before, last = ({"statement_id": 0, "series": [each]} for each in parts)
    results = [*({**each, "partial": True} for each in before), last]
    return [orjson.dumps({"results": [each]}) for each in results]


def test_the_parts_of_a_series_are_one_series_that_is_not_partial() -> None:
    found = join_documents(documents(part(1, 2, partial=True), part(3, partial=True), part(4)))
    assert {"series": [part(1, 2, 3, 4)]} == found


@pytest.mark.parametrize(
    "cut", [{"series": [part(2)], "partial": True}, {"series": [part(2, partial=True)]}]
)
def test_an_answer_that_ends_before_its_last_part_is_none(cut: dict[str, Any]) -> None:
    whole = documents(part(1, partial=True), part(2))
    with pytest.raises(InvalidError, match="max-row-limit"):
        join_documents([whole[0], orjson.dumps({"results": [cut]})])


@pytest.mark.parametrize(
    "other",
    [
        part(2, tags={"channel": "sms"}),
        part(2, name="usage_cost"),
        part(2, columns=["time", "y"]),
    ],
)
def test_series_that_differ_stay_apart(other: dict[str, Any]) -> None:
    first = part(1, tags={"channel": "ai"}) if "tags" in other else part(1)
    assert {"series": [first, other]} == join_documents(documents(first, other))


@pytest.mark.parametrize(
    "last", [{"error": "timeout"}, {"results": [{"statement_id": 0, "error": "timeout"}]}]
)
def test_a_query_that_fails_on_its_way_has_no_answer(last: dict[str, Any]) -> None:
    with pytest.raises(InvalidError, match="timeout"):
        join_documents([*documents(part(1)), orjson.dumps(last)])


@pytest.mark.parametrize(
    "reason", ["panic: x", "goroutine 5 [running]", "at /go/src/tsdb/engine.go:5"]
)
def test_what_influxdb_says_of_its_own_code_is_told_to_nobody(reason: str) -> None:
    with pytest.raises(BadUpstreamError) as found:
        join_documents([orjson.dumps({"results": [{"error": reason}]})])
    assert reason not in found.value.message


@pytest.mark.parametrize(
    "document",
    [
        b"<html>", b"[]", b"1", b"null", b'"error"', b"{}", b'{"results":null}',
        b'{"results":5}', b'{"results":[null]}', b'{"results":[{"series":5}]}',
        b'{"results":[{"series":[null]}]}',
    ],
)  # fmt: skip
def test_what_is_no_answer_of_influxdb_is_a_fault_of_what_answers(document: bytes) -> None:
    with pytest.raises(BadUpstreamError, match="not InfluxDB"):
        join_documents([document])


def test_nothing_at_all_is_no_answer_without_points() -> None:
    with pytest.raises(BadUpstreamError, match="not InfluxDB"):
        join_documents([])
