import json

import pytest

from meterline.delivery.answers import Fate, Later, Plain, Settled, Split, judge


def results(*found: dict[str, object]) -> bytes:
    return json.dumps({"results": list(found)}).encode()


def problem(code: str) -> bytes:
    return json.dumps({"type": f"urn:meterline:problem:{code}", "code": code}).encode()


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"status": "stored"}, Fate.STORED),
        ({"status": "duplicate"}, Fate.DUPLICATE),
        ({"status": "conflict", "code": "id_conflict"}, Fate.DEAD),
        ({"status": "rejected", "code": "invalid_time"}, Fate.DEAD),
        ({"status": "rejected", "code": "closed_tenant"}, Fate.DEAD),
        ({"status": "rejected", "code": "unknown_tenant"}, Fate.HELD),
        ({"status": "rejected", "code": "future_time"}, Fate.HELD),
    ],
)
def test_a_result_tells_the_fate_of_its_event(result: dict[str, object], expected: Fate) -> None:
    outcome = judge(200, results(result), count=1)
    assert isinstance(outcome, Settled)
    assert [expected] == [verdict.fate for verdict in outcome.verdicts]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Welcome to the hotel</html>",
        b"[" * 100_000,
        b'{"results": 5}',
        b'{"results": []}',
        results({"status": "stored"}, {"status": "stored"}),
        results({"status": "fine"}),
        b'{"results": ["stored"]}',
        results({"status": "stored"})[:-5],
        b'{"results": [{"status": "st\xff"}]}',
    ],
)
def test_an_answer_that_does_not_tell_each_event_tells_nothing(body: bytes) -> None:
    assert Later("unreadable answer") == judge(200, body, count=1)


@pytest.mark.parametrize("status", [201, 204, 301, 302, 401, 403, 404, 408, 429, 500, 502, 503])
def test_other_answers_leave_everything_to_be_sent_again(status: int) -> None:
    assert isinstance(judge(status, b"", count=1), Later)


@pytest.mark.parametrize("code", ["invalid_credential", "missing_scope", "unknown_tenant"])
def test_a_refused_credential_costs_no_event(code: str) -> None:
    assert isinstance(judge(403, problem(code), count=1), Later)


@pytest.mark.parametrize(
    ("header", "expected"),
    [("7", 7.0), (None, 0.0), ("soon", 0.0), ("999999999", 300.0), ("-5", 0.0), ("1e9", 0.0)],
)
def test_retry_after_is_heeded_within_reason(header: str | None, expected: float) -> None:
    assert Later("status 503", expected) == judge(503, b"", count=1, retry_after=header)


@pytest.mark.parametrize("body", [problem("body_too_large"), b"<html>nginx</html>"])
def test_what_is_too_large_is_split(body: bytes) -> None:
    assert isinstance(judge(413, body, count=9), Split)


def test_a_proxys_413_condemns_no_event() -> None:
    outcome = judge(413, b"<html>nginx</html>", count=1)
    assert isinstance(outcome, Split)
    assert None is outcome.verdict


def test_our_own_400_is_split_until_the_event_is_found() -> None:
    assert isinstance(judge(400, problem("malformed_json"), count=9), Split)


@pytest.mark.parametrize("body", [b"<html>Bad Request</html>", problem("truncated_body")])
def test_a_400_that_says_nothing_of_an_event_condemns_none(body: bytes) -> None:
    assert isinstance(judge(400, body, count=1), Later)


def test_a_collector_without_gzip_gets_plain_bodies() -> None:
    expected = Plain("status 415, unsupported_encoding")
    assert expected == judge(415, problem("unsupported_encoding"), count=1)
