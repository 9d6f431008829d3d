from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from collector.events import Read, Rules, read_event
from ledger.errors import InvalidError
from ledger.event import UsageEvent
from ledger.measures import Measures
from ledger.tenant import BEGINNING, Tenant, TenantId, TenantPeriod
from tests.builders import NOW, ai, sms

ACME = TenantId("acme")
IN_UTC = Tenant(
    tenant_id=ACME,
    name="Acme",
    periods=(TenantPeriod(valid_from=BEGINNING, plan="Pro", timezone="UTC"),),
)


TENANTS = {ACME: IN_UTC}


def read_with(rules: Rules, submitted: object, only_tenant: TenantId | None = None) -> Read:
    return read_event(
        submitted, rules=rules, find_tenant=TENANTS.get, only_tenant=only_tenant, now=NOW
    )


@pytest.fixture
def read(rules: Rules) -> Callable[..., UsageEvent]:
    """Read one event and return it as it would be booked."""
    return lambda submitted, only_tenant=None: read_with(rules, submitted, only_tenant).event


def test_a_valid_event_is_normalised(read: Any) -> None:
    event = read(ai(time="2026-03-09T17:00:00.1234567+05:00"))
    expected = UsageEvent(
        event_id="chatcmpl-1",
        fingerprint=event.fingerprint,
        time=datetime(2026, 3, 9, 12, 0, 0, 123456, tzinfo=UTC),
        date=date(2026, 3, 9),
        channel="ai",
        direction="outbound",
        source="openai",
        feature="ai_sms",
        model="house-llm",
        price_class="standard",
        measures=Measures(quantity=1500, input_tokens=1000, output_tokens=500),
        derived=False,
        provisional=False,
        metadata='{"input_tokens":1000,"model":"house-llm","output_tokens":500}',
    )
    assert expected == event


def test_an_sp3_event_without_source_feature_and_metadata_is_taken(read: Any) -> None:
    event = read(sms(source=..., feature=..., quantity=...))
    assert (None, None, None) == (event.source, event.feature, event.metadata)


@pytest.mark.parametrize(
    ("changes", "code", "key"),
    [
        ({"channel": "fax"}, "unknown_channel", "channel"),
        ({"channel": ...}, "unknown_channel", "channel"),
        ({"channel": ["sms"]}, "unknown_channel", "channel"),
        ({"direction": "sideways"}, "unknown_direction", "direction"),
        ({"time": "2026-03-10T12:05:01Z"}, "future_time", "time"),
        ({"time": "9999-12-31T23:59:59-12:00"}, "invalid_time", "time"),
        ({"time": "1999-12-31T23:59:59Z"}, "ancient_time", "time"),
        ({"time": "2026-03-09T12:00:00"}, "missing_offset", "time"),
        ({"time": "yesterday"}, "invalid_time", "time"),
        ({"time": "20260309120000Z"}, "invalid_time", "time"),
        ({"time": "2026-03-09x12:00:00Z"}, "invalid_time", "time"),
        ({"time": 1_700_000_000}, "invalid_time", "time"),
        ({"time": ...}, "missing_time", "time"),
        ({"id": ...}, "missing_id", "id"),
        ({"id": ""}, "invalid_id", "id"),
        ({"id": 7}, "invalid_id", "id"),
        ({"id": "x" * 256}, "invalid_id", "id"),
        ({"id": "a\nb"}, "invalid_id", "id"),
        ({"tenant": ...}, "missing_tenant", "tenant"),
        ({"tenant": "a/b"}, "invalid_tenant", "tenant"),
        ({"tenant": 5}, "invalid_tenant", "tenant"),
        ({"tenant": ["acme"]}, "invalid_tenant", "tenant"),
        ({"tenant": "umbrella"}, "unknown_tenant", "tenant"),
        ({"source": "Open AI"}, "invalid_slug", "source"),
        ({"feature": "x" * 65}, "invalid_slug", "feature"),
        ({"feature": "ai_sms\n"}, "invalid_slug", "feature"),
        ({"feature": 3}, "invalid_slug", "feature"),
        ({"feature": "15551234567"}, "personal_data", "feature"),
        ({"source": "15551234567"}, "personal_data", "source"),
        ({"metadata": []}, "invalid_metadata", "metadata"),
        ({"metadata": {f"k{n}": "x" * 100 for n in range(50)}}, "metadata_too_large", "metadata"),
        ({"metadata": {"prompt": "hi"}}, "metadata_has_content", "metadata.prompt"),
        ({"tennant": "acme"}, "unknown_field", "tennant"),
        ({"quantity": 10**30}, "invalid_quantity", "quantity"),
    ],
)
def test_bad_fields_are_refused_by_name(
    read: Any, changes: dict[str, Any], code: str, key: str | None
) -> None:
    with pytest.raises(InvalidError) as refused:
        read(sms(**changes))
    assert (code, key) == (refused.value.code, refused.value.key)


@pytest.mark.parametrize("submitted", [None, 1, "event", [sms()]])
def test_what_is_no_object_is_refused(read: Any, submitted: object) -> None:
    with pytest.raises(InvalidError) as refused:
        read(submitted)
    assert "not_an_object" == refused.value.code


@pytest.mark.parametrize("model", ["", 5, "a\tb"])
def test_a_model_that_cannot_be_shown_is_refused(read: Any, model: object) -> None:
    with pytest.raises(InvalidError) as refused:
        read(ai(metadata={"model": model, "total_tokens": 1}))
    assert ("invalid_label", "metadata.model") == (refused.value.code, refused.value.key)


def test_the_allowed_clock_skew_is_no_future(read: Any) -> None:
    assert read(sms(time="2026-03-10T12:05:00Z")).time > NOW


def test_a_tenant_key_needs_no_tenant_in_the_event(rules: Rules) -> None:
    assert ACME == read_with(rules, sms(tenant=...), ACME).tenant_id


def test_a_tenant_key_cannot_write_for_another_tenant(read: Any) -> None:
    with pytest.raises(InvalidError) as refused:
        read(sms(tenant="umbrella"), ACME)
    assert "foreign_tenant" == refused.value.code


@pytest.mark.parametrize(
    ("metadata", "price_class"),
    [
        ({}, "standard"),
        ({"service_tier": "default"}, "standard"),
        ({"service_tier": "flex"}, "flex"),
        ({"service_tier": "fast"}, "priority"),
        ({"service_tier": "default", "batch": True}, "batch"),
        ({"audio_seconds": 1}, "duration"),
        ({"audio_seconds": 0}, "standard"),
        ({"audio_seconds": 1, "service_tier": "flex"}, "flex.duration"),
    ],
)
def test_the_tier_as_served_and_the_kind_of_unit_set_the_price_class(
    read: Any, metadata: dict[str, object], price_class: str
) -> None:
    event = read(ai(metadata={"total_tokens": 8, **metadata}))
    assert price_class == event.price_class


@pytest.mark.parametrize("tier", ["long", "duration", "failed", "sp3", "flex.long"])
@pytest.mark.parametrize("build", [sms, ai])
def test_a_tier_with_the_name_of_something_else_is_refused_by_name(
    read: Any, build: Callable[..., dict[str, Any]], tier: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        read(build(metadata={"input_tokens": 1, "output_tokens": 1, "service_tier": tier}))
    found = (refused.value.code, refused.value.key, refused.value.value)
    assert ("reserved_price_class", "metadata.service_tier", tier) == found


@pytest.mark.parametrize(
    ("tokens", "price_class"),
    [
        ({"input_tokens": 272_000, "output_tokens": 9}, "standard"),
        ({"input_tokens": 272_001, "output_tokens": 0}, "long"),
        ({"input_tokens": 272_001, "output_tokens": 0, "cached_tokens": 272_000}, "long"),
        ({"input_tokens": 272_001, "output_tokens": 0, "service_tier": "flex"}, "flex.long"),
        ({"input_tokens": 272_001, "output_tokens": 0, "batch": True}, "batch.long"),
        ({"input_tokens": 9, "output_tokens": 300_000}, "standard"),
    ],
)
def test_a_call_with_more_tokens_in_than_the_threshold_is_of_the_class_long(
    read: Any, tokens: dict[str, object], price_class: str
) -> None:
    assert price_class == read(ai(metadata=tokens)).price_class


def test_a_tier_with_no_room_for_the_kind_of_unit_is_refused(read: Any) -> None:
    with pytest.raises(InvalidError) as refused:
        read(ai(metadata={"audio_seconds": 1, "service_tier": "f" * 60}))
    assert ("invalid_slug", "metadata.service_tier") == (refused.value.code, refused.value.key)


@pytest.mark.parametrize(
    "changes",
    [
        {"time": "2026-03-09T13:00:00+01:00"},
        {"quantity": 1.0},
        {"metadata": {}},
        {"tenant": "acme"},
    ],
)
def test_the_same_event_written_otherwise_has_the_same_fingerprint(
    read: Any, changes: dict[str, Any]
) -> None:
    assert read(sms()).fingerprint == read(sms(**changes)).fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"time": "2026-03-09T12:00:00.000001Z"},
        {"quantity": 2},
        {"quantity": ...},
        {"direction": "inbound"},
        {"source": ...},
        {"feature": "ivr"},
        {"source": "broadcast", "feature": "twilio"},
        {"metadata": {"campaignId": "a"}},
    ],
)
def test_another_event_has_another_fingerprint(read: Any, changes: dict[str, Any]) -> None:
    assert read(sms()).fingerprint != read(sms(**changes)).fingerprint


def test_the_fingerprint_is_pinned(read: Any) -> None:
    # Stored fingerprints are compared with new ones for ever: a change needs a new version byte.
    metadata = {"model": "m", "input_tokens": 1, "audio_seconds": 1.25, "batch": False}
    assert "012c8c33cfb1a06c5a5f4eeb8108c8b9bd" == read(ai(metadata=metadata)).fingerprint.hex()


def test_the_fingerprint_knows_no_phone_number(read: Any) -> None:
    # Whoever holds the ledger could undo a plain hash by trying all numbers.
    one, other = (
        read(sms(metadata={"phoneNumber": number})) for number in ("+15551234567", "+4930901820")
    )
    assert (True, False) == (one.fingerprint == other.fingerprint, one.metadata == other.metadata)


def test_the_fingerprint_does_not_depend_on_the_hash_key(rules: Rules) -> None:
    other = rules._replace(policy=type(rules.policy)(hash_key=b"another key of tests"))
    submitted = sms(metadata={"phoneNumber": "+15551234567"})
    prints = {read_with(each, submitted).event.fingerprint for each in (rules, other)}
    assert 1 == len(prints)
