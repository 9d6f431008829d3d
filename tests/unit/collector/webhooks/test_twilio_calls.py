import json
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from collector.facts.claim import ClaimKind
from collector.facts.fact import Fact, Rank, Verdict
from collector.webhooks.claims import Ignored, Notice, Scope
from collector.webhooks.twilio_calls import read_call
from ledger.errors import InvalidError
from tests.webhooks import OWN, call_status

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def read(**changes: Any) -> Notice | Ignored:
    return read_call(call_status(**changes), Scope(), {f"number:{OWN}": "ivr"}, now=NOW)


def notice_of(**changes: Any) -> Notice:
    notice = read(**changes)
    assert isinstance(notice, Notice)
    return notice


def fact_of(**changes: Any) -> Fact:
    (fact,) = notice_of(**changes).facts
    return fact


@pytest.mark.parametrize(
    ("seconds", "minutes"),
    [("0", 0), ("1", 1), ("59", 1), ("60", 1), ("61", 2), ("78", 2), ("120", 2), ("86400", 1440)],
)
def test_every_minute_of_a_leg_that_was_started_is_billed(seconds: str, minutes: int) -> None:
    fact = fact_of(CallDuration=seconds)
    assert (minutes, int(seconds)) == (fact.quantity, fact.metadata["duration_seconds"])


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed", "canceled"])
def test_a_call_that_nobody_took_bills_nothing(status: str) -> None:
    fact = fact_of(CallStatus=status, CallDuration="0")
    assert (Rank.FINAL, Verdict.VOID, None) == (fact.rank, fact.verdict, fact.quantity)


@pytest.mark.parametrize("status", ["queued", "initiated", "ringing", "in-progress"])
def test_a_call_that_goes_on_says_nothing_yet(status: str) -> None:
    assert Ignored.PROGRESS is read(CallStatus=status, CallDuration=..., Direction=...)


@pytest.mark.parametrize(
    ("direction", "expected"),
    [("inbound", "inbound"), ("outbound-api", "outbound"), ("outbound-dial", "outbound")],
)
def test_a_leg_is_inbound_or_outbound(direction: str, expected: str) -> None:
    assert expected == fact_of(Direction=direction).direction


def test_the_number_that_was_called_tells_the_feature() -> None:
    assert "ivr" == fact_of().feature


def test_no_number_of_a_forwarded_leg_tells_whose_it_is_or_what_for() -> None:
    notice = notice_of(Direction="outbound-dial", From=OWN, To=OWN)
    kinds = [claim.kind for claim in notice.claims]
    assert ([ClaimKind.ACCOUNT], None) == (kinds, notice.facts[0].feature)


@pytest.mark.parametrize(
    ("direction", "fields"),
    [("inbound", {"To": "client:+14155550100"}), ("outbound-api", {"From": "client:12345"})],
)
def test_the_name_of_a_browser_is_no_number(direction: str, fields: dict[str, str]) -> None:
    claims = notice_of(Direction=direction, **fields).claims
    assert [ClaimKind.ACCOUNT] == [claim.kind for claim in claims]


@pytest.mark.parametrize("direction", ["trunking-originating", "trunking-terminating"])
def test_a_call_over_a_trunk_books_nothing(direction: str) -> None:
    assert Ignored.TRUNK is read(Direction=direction)


def test_two_durations_of_one_leg_are_two_facts_and_the_same_one_again_is_none() -> None:
    told = [fact_of(CallDuration=seconds).fact_id for seconds in ("78", "178", "78")]
    assert (told[0], True) == (told[2], told[1] > told[0])


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("Tue, 10 Mar 2026 11:58:30 +0000", NOW.replace(hour=11, minute=58, second=30)),
        ("Tue, 10 Mar 2026 13:58:30 +0200", NOW.replace(hour=11, minute=58, second=30)),
        ("Tue, 10 Mar 2026 11:58:30 -0000", NOW),
        (format_datetime(NOW.replace(minute=1)), NOW),
        (format_datetime(NOW.replace(year=2025)), NOW),
        ("yesterday", NOW),
        ("", NOW),
        (..., NOW),
        ("Tue, 99 Mar 2026 25:61:61 +9999", NOW),
        ("Fri, 31 Dec 9999 23:59:59 -1000", NOW),
        ("Tue, 10 Mar 99999999999999999999 11:58:30 +0000", NOW),
    ],
)
def test_a_call_is_of_the_time_that_twilio_tells_or_else_of_now(
    told: object, expected: datetime
) -> None:
    assert expected == fact_of(Timestamp=told).time


def test_a_completed_call_without_its_duration_is_refused_since_unknown_is_not_zero() -> None:
    with pytest.raises(InvalidError, match="CallDuration") as refused:
        read(CallDuration="", Duration="2")
    assert "missing_parameter" == refused.value.code


def test_an_error_repeats_no_value() -> None:
    with pytest.raises(InvalidError) as refused:
        read(CallSid="+1 415 555 0199")
    assert ("CallSid", None) == (refused.value.key, refused.value.value)


def test_a_call_of_twilios_specification_reads_as_its_callback(shared: Path) -> None:
    found = json.loads((shared / "data/twilio/call__get__fetch.json").read_text())
    form = {
        "AccountSid": found["account_sid"],
        "CallSid": found["sid"],
        "CallStatus": found["status"],
        "CallDuration": found["duration"],
        "Direction": found["direction"],
        "From": found["from"],
        "To": found["to"],
    }
    notice = read_call(form, Scope(), {}, now=NOW)
    assert isinstance(notice, Notice)
    (fact,) = notice.facts
    assert ("outbound", 1, 4) == (
        fact.direction,
        fact.quantity,
        fact.metadata["duration_seconds"],
    )
