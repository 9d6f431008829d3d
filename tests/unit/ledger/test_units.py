import copy
import tomllib
from importlib import resources
from typing import Any

import pytest

from ledger.measures import MEASURE_COLUMNS
from ledger.units import build_catalogue, load_catalogue


@pytest.fixture
def document() -> dict[str, Any]:
    text = resources.files("ledger").joinpath("units.toml").read_text(encoding="utf-8")
    return copy.deepcopy(tomllib.loads(text))


def test_channels_are_shown_in_the_order_that_people_expect() -> None:
    titles = [channel.title for channel in load_catalogue().channels]
    assert ["SMS", "MMS", "Voice", "Email", "AI"] == titles


def test_a_failed_message_is_counted_in_a_unit_of_its_own() -> None:
    catalogue = load_catalogue()
    names = [
        [unit.name for unit in catalogue.units_of(channel, "failed")]
        for channel in ("sms", "mms", "voice")
    ]
    assert [["sms_failed_message"], ["mms_failed_message"], ["voice_minute"]] == names


def test_a_price_class_whose_unit_counts_nothing_billable_is_refused(
    document: dict[str, Any],
) -> None:
    failed = next(u for u in document["units"] if u["name"] == "sms_failed_message")
    failed["column"] = "input_tokens"
    with pytest.raises(ValueError, match=r"sms failed\.quantity is counted in no unit"):
        build_catalogue(document)


def test_every_ai_count_is_in_exactly_one_unit() -> None:
    columns = sorted(unit.column for unit in load_catalogue().units_of("ai"))
    assert sorted(set(MEASURE_COLUMNS) - {"quantity"}) == columns


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"column": "input_tokens"}, "ai.input_tokens is counted twice"),
        ({"channel": "fax"}, "unit ai_audio_millisecond is of no known channel"),
        ({"column": "smiles"}, "unit ai_audio_millisecond counts in no known column"),
        ({"column": "quantity"}, "ai.quantity overlaps another count"),
    ],
)
def test_a_catalogue_with_a_gap_or_an_overlap_is_refused(
    document: dict[str, Any], change: dict[str, str], fault: str
) -> None:
    document["units"][-1] |= change
    with pytest.raises(ValueError, match=fault):
        build_catalogue(document)


def test_a_channel_without_a_unit_is_refused(document: dict[str, Any]) -> None:
    document["channels"].append({"name": "fax", "title": "Fax"})
    with pytest.raises(ValueError, match=r"fax\.quantity is counted in no unit"):
        build_catalogue(document)
