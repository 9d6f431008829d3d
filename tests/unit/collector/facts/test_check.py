from datetime import datetime, timedelta
from typing import Any

import pytest

from collector.events import Rules
from collector.facts.check import check_fact
from collector.facts.fact import Verdict
from ledger.errors import InvalidError
from tests.builders import NOW
from tests.facts import fact

CALL: dict[str, Any] = {"channel": "voice", "verdict": Verdict.FAILED}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"usage_id": ""}, "invalid_id"),
        ({"usage_id": "meterline:1"}, "reserved_id"),
        ({"usage_id": "to-jane@example.com"}, "personal_data"),
        ({"fact_id": "x" * 256}, "invalid_id"),
        ({"channel": "ai"}, "unknown_channel"),
        ({"channel": "fax"}, "unknown_channel"),
        ({"direction": "up"}, "unknown_direction"),
        ({"source": "Twilio"}, "invalid_slug"),
        ({"feature": "My feature"}, "invalid_slug"),
        ({"time": datetime(2026, 3, 9)}, "missing_offset"),  # noqa: DTZ001 - that is the fault
        ({"time": NOW + timedelta(hours=1)}, "future_time"),
        ({"time": NOW - timedelta(days=15_000)}, "ancient_time"),
        ({"quantity": -1}, "invalid_quantity"),
        ({"quantity": True}, "invalid_quantity"),
        ({"quantity": 1.5}, "invalid_quantity"),
        ({"quantity": 10**6 + 1}, "invalid_quantity"),
        ({"metadata": {"body": "hello"}}, "metadata_has_content"),
        (CALL, "invalid_verdict"),
        ({**CALL, "channel": "email"}, "invalid_verdict"),
    ],
)
def test_a_fact_that_cannot_be_is_refused(rules: Rules, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidError) as refused:
        check_fact(fact(**changes), rules=rules, now=NOW)
    assert code == refused.value.code


def test_a_fact_that_can_be_stays_what_it_is(rules: Rules) -> None:
    told = fact(quantity=2, metadata={"num_media": 1})
    assert told == check_fact(told, rules=rules, now=NOW)


def test_personal_metadata_is_hidden_and_what_is_not_allowed_left_out(rules: Rules) -> None:
    told = fact(metadata={"phoneNumber": "+1 312 555 0100", "colour": "red"})
    kept = check_fact(told, rules=rules, now=NOW).metadata
    assert (["phoneNumber"], "hmac:") == (list(kept), str(kept["phoneNumber"])[:5])
