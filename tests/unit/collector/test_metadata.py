from typing import Any

import orjson
import pytest

from collector.metadata import (
    MAX_METADATA_BYTES,
    MAX_VALUE_CHARS,
    CleanMetadata,
    MetadataPolicy,
    check_identifier,
    check_size,
)
from ledger.errors import InvalidError

POLICY = MetadataPolicy(hash_key=b"a key that only tests know")


def clean(policy: MetadataPolicy, metadata: dict[str, Any]) -> CleanMetadata:
    return policy.clean(metadata, orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS))


def left(policy: MetadataPolicy, metadata: dict[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    return clean(policy, metadata)[:2]


def stored(**metadata: Any) -> Any:
    text = clean(POLICY, metadata).stored
    return {} if text is None else orjson.loads(text)


def test_allowed_scalars_are_kept() -> None:
    metadata = {"campaignId": "spring", "model": "gpt-5.4", "input_tokens": 3, "batch": False}
    assert metadata == stored(**metadata)


def test_keys_outside_the_allow_list_are_left_out_and_named() -> None:
    found = left(POLICY, {"campaignId": "spring", "shoeSize": 44})
    assert ('{"campaignId":"spring"}', ("shoeSize",)) == found


def test_the_allow_list_can_be_extended() -> None:
    policy = MetadataPolicy(allowed=frozenset({"shoeSize"}))
    assert ('{"shoeSize":44}', ()) == left(policy, {"shoeSize": 44})


@pytest.mark.parametrize(
    "value",
    [
        "+15551234567",
        "15551234567",
        "(555) 123-4567",
        "+49 30 901820",
        "call +1-555-123-4567 now",
        "jo@example.org",
        "Jo <jo.doe@mail.example.org>",
        "john%40example.com",
        "john@corp",
        "2026-03-09 call +15551234567",
        "555\u00a0123\u20114567",
        "555 - 123 - 4567",
        15551234567.0,
        15551234567,
    ],
)
def test_values_that_look_personal_are_stored_as_a_keyed_hash(value: object) -> None:
    kept = stored(phoneNumber=value)["phoneNumber"]
    assert (True, False) == (kept.startswith("hmac:"), str(value) in kept)


@pytest.mark.parametrize(
    "value", ["sms_14155552671", "14155552671_sms", "sms_415-555-2671", "tel14155552671"]
)
def test_a_phone_number_that_letters_touch_is_stored_as_a_keyed_hash(value: str) -> None:
    assert stored(campaignId=value)["campaignId"].startswith("hmac:")


def test_the_same_value_has_the_same_hash_under_the_same_key_only() -> None:
    other = MetadataPolicy(hash_key=b"another key of the tests")
    number = {"phoneNumber": "+15551234567"}
    same = clean(POLICY, number) == clean(POLICY, dict(number))
    assert (True, False) == (same, clean(POLICY, number) == clean(other, number))


def test_without_a_key_personal_values_are_left_out() -> None:
    policy = MetadataPolicy(hash_key=None)
    assert (None, ("phoneNumber",)) == left(policy, {"phoneNumber": "+15551234567"})


@pytest.mark.parametrize(
    "value",
    [
        "spring-2026",
        "2026-03-09",
        "2026-03-09 12:00",
        "claude-3-5-sonnet-20241022",
        "d-f43daeeaef504760851f727007e0b5d0",
        "msg_0123456789abcdef",
        "550e8400-e29b-41d4-a716-446655440000",
        "SMb7c0a2ce80504485a6f653a7110836f5",
        "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "123456",
        42,
        3.5,
        True,
        None,
    ],
)
def test_values_that_are_not_personal_are_kept_as_given(value: object) -> None:
    assert value == stored(campaignId=value)["campaignId"]


@pytest.mark.parametrize("key", ["prompt", "Prompt", "messages", "body", "completion", "subject"])
def test_content_is_refused_whatever_it_says(key: str) -> None:
    with pytest.raises(InvalidError) as refused:
        clean(POLICY, {key: "hi"})
    assert ("metadata_has_content", f"metadata.{key}") == (refused.value.code, refused.value.key)


@pytest.mark.parametrize("value", [["a"], {"a": 1}])
def test_values_that_are_not_scalars_are_refused(value: object) -> None:
    with pytest.raises(InvalidError) as refused:
        clean(POLICY, {"campaignId": value})
    assert "metadata_not_scalar" == refused.value.code


def test_text_as_long_as_a_message_is_refused_even_under_an_unknown_key() -> None:
    with pytest.raises(InvalidError) as refused:
        clean(POLICY, {"story": "x" * (MAX_VALUE_CHARS + 1)})
    assert "metadata_value_too_long" == refused.value.code


def test_metadata_over_the_limit_is_refused() -> None:
    with pytest.raises(InvalidError) as refused:
        check_size(b"x" * (MAX_METADATA_BYTES + 1))
    assert "metadata_too_large" == refused.value.code


@pytest.mark.parametrize(
    "text",
    ["mail-jo@example.org", "bob@corp", "sms:+15551234567", "+1 555 123 4567", "(555) 123-4567"],
)
def test_an_identifier_that_is_personal_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidError) as refused:
        check_identifier(text, key="id")
    assert ("personal_data", None) == (refused.value.code, refused.value.value)


def test_content_can_never_be_allowed() -> None:
    with pytest.raises(InvalidError) as refused:
        MetadataPolicy(allowed=frozenset({"orderId", "Prompt"}))
    assert "Prompt" == refused.value.key


@pytest.mark.parametrize("value", ["555123", "tel15551234567", "anonymous", "15551234567x12"])
def test_what_is_called_a_phone_number_is_always_hashed(value: str) -> None:
    assert stored(phone_number=value)["phone_number"].startswith("hmac:")


def test_the_ways_to_write_one_number_have_one_hash() -> None:
    written = ["+15551234567", "1 (555) 123-4567", 15551234567, 15551234567.0]
    assert 1 == len({stored(phoneNumber=value)["phoneNumber"] for value in written})


@pytest.mark.parametrize("key", ["input_tokens", "num_media", "duration_seconds", "num_segments"])
@pytest.mark.parametrize("value", ["jo@example.org", "+15551234567", True, -1, float("nan")])
def test_a_count_is_a_count_on_every_channel(key: str, value: object) -> None:
    with pytest.raises(InvalidError) as refused:
        POLICY.clean({key: value}, b"{}")
    assert "invalid_count" == refused.value.code


@pytest.mark.parametrize("key", ["model", "service_tier"])
@pytest.mark.parametrize("value", ["jo@example.org", "+15551234567", "15551234567"])
def test_what_gets_a_column_of_its_own_cannot_be_personal(key: str, value: str) -> None:
    with pytest.raises(InvalidError) as refused:
        clean(POLICY, {key: value})
    assert "personal_data" == refused.value.code


@pytest.mark.parametrize(
    "model", ["claude-sonnet-4@20250514", "ft:gpt-4o-mini-2024-07-18:acme::12345678"]
)
def test_a_model_may_end_with_a_day_or_a_serial_number(model: str) -> None:
    assert model == stored(model=model)["model"]


def test_personal_values_leave_no_trace_in_what_fingerprints_are_made_of() -> None:
    numbers = [
        {"phoneNumber": number, "myKey": number} for number in ("+15551234567", "+4930901820")
    ]
    assert 1 == len({clean(POLICY, metadata).traceless for metadata in numbers})


def test_an_estimate_for_usage_that_nobody_told_stays_marked() -> None:
    metadata = {"input_tokens": 3, "output_tokens": 7, "provisional": True, "usage_missing": True}
    assert metadata == stored(**metadata)
