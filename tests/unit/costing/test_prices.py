from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from costing.pricing.flat import build_flat_map, load_flat_map, restore_flat_map
from ledger.errors import InvalidError
from ledger.units import load_catalogue

UNITS = {unit.name: unit for unit in load_catalogue().units}


def document(**rates: Any) -> dict[str, Any]:
    return {"name": "test", "currency": "USD", "rates": rates or {"sms": {"outbound": "0.01"}}}


@pytest.mark.parametrize(
    ("unit", "direction", "nanos"),
    [
        ("sms_segment", "outbound", 8_900_000),
        ("sms_segment", "inbound", 7_900_000),
        ("mms_message", "outbound", 20_000_000),
        ("mms_message", "inbound", 20_000_000),
        ("voice_minute", "outbound", 8_500_000),
        ("voice_minute", "inbound", 8_500_000),
        ("email_recipient", "outbound", 350_000),
        ("ai_input_token", "outbound", 2_000),
        ("ai_cached_input_token", "outbound", 2_000),
        ("ai_audio_in_token", "outbound", 2_000),
        ("ai_output_token", "outbound", 6_000),
        ("ai_image_out_token", "outbound", 6_000),
    ],
)
def test_the_book_that_ships_has_the_rates_of_the_brief(
    unit: str, direction: str, nanos: int
) -> None:
    assert Fraction(nanos) == load_flat_map().rate(UNITS[unit], direction)


@pytest.mark.parametrize(
    ("unit", "direction"), [("email_recipient", "inbound"), ("ai_audio_millisecond", "outbound")]
)
def test_what_nobody_priced_has_no_rate(unit: str, direction: str) -> None:
    assert load_flat_map().rate(UNITS[unit], direction) is None


def test_without_the_flat_fallback_ai_has_no_rate() -> None:
    book = load_flat_map(ai_flat_fallback=False)
    assert book.rate(UNITS["ai_input_token"], "outbound") is None


AI_ALONE = """
name = "ours"
currency = "USD"

[rates.ai]
input_per_1k_tokens = "0.002"
output_per_1k_tokens = "0.006"
"""


def test_a_map_of_ai_alone_rates_nothing_without_the_flat_fallback(tmp_path: Path) -> None:
    path = tmp_path / "flat.toml"
    path.write_text(AI_ALONE)
    flat = load_flat_map(path, ai_flat_fallback=False)
    ways = ("outbound", "inbound")
    assert {None} == {flat.rate(unit, way) for unit in UNITS.values() for way in ways}


def test_a_fault_of_ai_rates_is_told_without_the_flat_fallback_too(tmp_path: Path) -> None:
    path = tmp_path / "flat.toml"
    path.write_text(AI_ALONE.replace('"0.006"', "0.006"))
    with pytest.raises(InvalidError, match=r"rates\.ai\.output_per_1k_tokens"):
        load_flat_map(path, ai_flat_fallback=False)


def test_other_rates_are_another_version() -> None:
    one, other = (build_flat_map(document(sms={"outbound": rate})) for rate in ("0.01", "0.02"))
    assert one.price_version != other.price_version


def test_the_order_of_entries_makes_no_other_version() -> None:
    one = build_flat_map(document(sms={"outbound": "1"}, mms={"outbound": "2"}))
    other = build_flat_map(document(mms={"outbound": "2"}, sms={"outbound": "1"}))
    assert one.price_version == other.price_version


def test_a_kept_book_is_the_same_book() -> None:
    book = load_flat_map()
    assert book == restore_flat_map(book.document)


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        ({"name": "Flat Rates"}, "name: a slug"),
        ({"currency": "EUR"}, 'currency: "USD"'),
        ({"valid": True}, "valid: no such entry"),
        ({"rates": {}}, "rates: give at least one table"),
        ({"rates": {"fax": {"outbound": "1"}}}, "rates.fax: no such channel"),
        ({"rates": {"sms": "1"}}, "rates.sms: a table of rates"),
        ({"rates": {"sms": {"upwards": "1"}}}, "rates.sms.upwards: no such rate"),
        ({"rates": {"ai": {"outbound": "1"}}}, "rates.ai.outbound: no such rate"),
        ({"rates": {"voice": {"failed": "1"}}}, "rates.voice.failed: no such rate"),
        ({"rates": {"ai": {"input_per_1k_tokens": "1"}}}, "rates.ai: give both input_per_1k_tok"),
        ({"rates": {"sms": {"outbound": 0.0089}}}, "rates.sms.outbound must be a decimal string"),
        ({"rates": {"sms": {"outbound": "-1"}}}, "rates.sms.outbound must be a plain decimal"),
    ],
)
def test_faults_of_a_book_are_named(broken: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidError) as refused:
        build_flat_map({**document(), **broken})
    assert fault in refused.value.message


def test_all_faults_of_a_file_are_listed_together_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\ncurrency = "EUR"\n[rates.sms]\noutbound = 0.1\n')
    with pytest.raises(InvalidError) as refused:
        load_flat_map(path)
    found = [part in refused.value.message for part in ("mine.toml", "currency", "rates.sms")]
    assert [True, True, True] == found


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"name = " + b"[" * 5000])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(InvalidError) as refused:
        load_flat_map(path)
    assert "invalid_price_book" == refused.value.code


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError) as refused:
        load_flat_map(tmp_path / "mine.toml")
    assert "invalid_price_book" == refused.value.code
