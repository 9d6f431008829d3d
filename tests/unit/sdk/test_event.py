import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.personal import is_personal, is_personal_label
from meterline.delivery.event import MAX_METADATA_BYTES, encode_usage
from meterline.usage import Usage

TOUCHED = [
    "sms_14155552671",
    "tel14155552671",
    "14155552671_sms",
    "4155552671ext",
    "sms_14155552671_done",
    "sms-14155552671",
    "sms_415-555-2671",
    "wa.14155552671",
]
"""Phone numbers with letters at them."""

NAMES = [
    "gpt-4o-2024-08-06",
    "claude-sonnet-4-20250514",
    "claude-sonnet-4@20250514",
    "ft:gpt-4o-mini-2024-07-18:acme::12345678",
    "ft:gpt-4o-mini-2024-07-18:acme:suffix:12345678:ckpt-step-100",
]
"""Models whose names hold versions and serial numbers."""


class Feature(StrEnum):
    AI_SMS = "ai_sms"


class Broken(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise RuntimeError(key)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no items")

    def __len__(self) -> int:
        return 1


def usage(**changes: Any) -> Usage:
    fields = {
        "id": "SM1",
        "time": 1795601656.25,
        "channel": "sms",
        "direction": "outbound",
        "source": "twilio",
        "tenant": "acme",
        "feature": "broadcast",
        "quantity": 2,
        "metadata": {},
    }
    return Usage(**{**fields, **changes})


def event_of(**changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(encode_usage(usage(**changes)).line)
    return event


def test_a_usage_becomes_the_event_that_the_collector_reads() -> None:
    expected = {
        "id": "SM1",
        "time": "2026-11-25T10:14:16.250000Z",
        "channel": "sms",
        "direction": "outbound",
        "tenant": "acme",
        "source": "twilio",
        "feature": "broadcast",
        "quantity": 2,
        "metadata": {"model": "gpt-4o-2024-08-06", "input_tokens": 12, "batch": True, "x": None},
    }
    metadata = {"model": "gpt-4o-2024-08-06", "input_tokens": 12, "batch": True, "x": None}
    assert expected == event_of(metadata=metadata)


def test_what_is_not_known_is_left_out() -> None:
    expected = {"id", "time", "channel", "direction"}
    assert expected == set(event_of(tenant=None, source=None, feature=None, quantity=None))


@pytest.mark.parametrize(
    "time",
    [
        1795601656.25,
        datetime(2026, 11, 25, 10, 14, 16, 250000, tzinfo=UTC),
        datetime(2026, 11, 25, 15, 14, 16, 250000, tzinfo=timezone(timedelta(hours=5))),
    ],
)
def test_a_time_is_written_in_utc(time: object) -> None:
    assert datetime(2026, 11, 25, 10, 14, 16, 250000, UTC) == datetime.fromisoformat(
        event_of(time=time)["time"]
    )


def test_a_text_of_an_enumeration_is_written_as_text() -> None:
    assert "ai_sms" == event_of(feature=Feature.AI_SMS)["feature"]


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_line_is_one_line_of_json_whatever_is_in_it(name: str, value: str) -> None:
    line = encode_usage(usage(metadata={name: value})).line
    assert (1, dict) == (len(line.splitlines()), type(json.loads(line)))


@pytest.mark.parametrize(
    "metadata",
    [
        {"prompt": "What is the meaning of life?"},
        {"Body": "Your code is 1234"},
        {"to": "someone"},
        {"phoneNumber": "hidden"},
        {"note": "call +1 555 123 4567"},
        {"note": "ann@example.com"},
        *({"note": number} for number in TOUCHED),
        {"model": "sms_14155552671"},
        {"model": "ann@example20250514"},
        {"model": "ft:gpt-4o:ann@example.com::12345678"},
        {"model": "gpt-4o::4155552671"},
        {"model": "ann@example.com"},
        {"number": 15551234567},
        {"number": 15551234567.0},
        {"note": "x" * 129},
        {"note": "two\nlines"},
        {"note": "\ud800"},
        {"note": ["a", "list"]},
        {"note": {"an": "object"}},
        {"note": b"bytes"},
        {"note": math.nan},
        {"note": math.inf},
        {"note": Decimal("1.5")},
        {"note": object()},
        {5: "five"},
        {"ann@example.com": 1},
    ],
)
def test_metadata_that_must_not_or_cannot_be_sent_is_left_out_and_counted(
    metadata: dict[str, Any],
) -> None:
    encoded = encode_usage(usage(metadata={"model": "gpt-4o", **metadata} | metadata))
    kept = json.loads(encoded.line).get("metadata", {})
    assert (1, set()) == (encoded.withheld, set(kept) & {str(key) for key in metadata})


@pytest.mark.parametrize("model", NAMES)
def test_a_model_whose_name_holds_a_version_is_sent_and_taken(model: str) -> None:
    metadata = event_of(metadata={"model": model})["metadata"]
    assert (model, False) == (metadata.get("model"), is_personal_label(model))


@pytest.mark.parametrize(
    "value",
    [
        "d-f43daeeaef504760851f727007e0b5d0",
        "123e4567-e89b-12d3-a456-426614174000",
        "SM12345678901234567890123456789012",
        "msg_0123456789abcdef",
        "2026-11-26T10:14:16Z",
        "v20250514",
    ],
)
def test_an_id_whose_letters_touch_digits_is_no_phone_number(value: str) -> None:
    assert value == event_of(metadata={"note": value})["metadata"].get("note")


@pytest.mark.parametrize("name", ["source", "feature"])
@pytest.mark.parametrize(
    "value", ["AI SMS", "", "x" * 65, "+15551234567", "5551234567", "sms_14155552671"]
)
def test_a_label_that_the_collector_would_refuse_costs_no_usage(name: str, value: str) -> None:
    encoded = encode_usage(usage(**{name: value}))
    assert (1, False) == (encoded.withheld, name in json.loads(encoded.line))


def test_too_much_metadata_is_cut_down_to_its_counts() -> None:
    texts = {f"key{number}": "x" * 100 for number in range(100)}
    event = event_of(metadata={**texts, "input_tokens": 5})
    assert {"input_tokens": 5} == event["metadata"]


def test_metadata_is_never_larger_than_what_the_collector_takes() -> None:
    event = event_of(metadata={f"counter{number:0100}": number for number in range(200)})
    assert MAX_METADATA_BYTES >= len(json.dumps(event["metadata"], separators=(",", ":")))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": "x" * 256},
        {"id": None},
        {"id": "ann@example.com"},
        {"id": "call +1 555 123 4567"},
        {"id": "\ud800"},
        {"time": "yesterday"},
        {"time": math.nan},
        {"time": math.inf},
        {"time": 1e30},
        {"time": None},
        {"time": datetime(2026, 11, 25, 10, 14, 16)},  # noqa: DTZ001 - a time that has no offset
        {"channel": None},
        {"channel": "x" * 9000},
        {"direction": 5},
        {"tenant": ""},
        {"tenant": 5},
        {"tenant": "ann@example.com"},
        {"feature": ["unhashable"]},
        {"quantity": "many"},
        {"quantity": True},
        {"quantity": math.nan},
        {"metadata": Broken()},
        {"metadata": 5},
    ],
)
def test_a_usage_that_cannot_be_sent_is_an_error_and_nothing_else(changes: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError, RuntimeError, AttributeError)):
        encode_usage(usage(**changes))


@given(st.text(alphabet="+()-. 0123456789abc@%_:", min_size=1, max_size=40))
@example("claude@20250514")
@example("ft:gpt::12345678")
def test_no_model_that_the_collector_refuses_is_sent(model: str) -> None:
    metadata = event_of(metadata={"model": model}).get("metadata", {})
    assert ("model" in metadata) == (not is_personal_label(model))


@given(st.text(alphabet="+()-. 0123456789abc@%_", min_size=1, max_size=40))
def test_no_text_that_looks_personal_to_the_collector_is_written(value: str) -> None:
    kept = event_of(metadata={"note": value}).get("metadata", {})
    assert not is_personal(kept.get("note"))
