from typing import Any

import pytest

from collector.counts import MAX_QUANTITY, Counted, count_usage
from ledger.errors import InvalidError
from ledger.measures import Measures


def count(channel: str, quantity: object = None, **metadata: Any) -> Counted:
    return count_usage(channel, quantity, metadata)


@pytest.mark.parametrize("channel", ["sms", "mms", "email", "voice"])
def test_usage_without_a_quantity_counts_one(channel: str) -> None:
    assert Counted(Measures(quantity=1)) == count(channel)


def test_a_quantity_of_zero_is_not_a_missing_one() -> None:
    assert 0 == count("sms", 0).measures.quantity


def test_sms_segments_are_taken_from_the_provider() -> None:
    assert 3 == count("sms", num_segments=3).measures.quantity


def test_zero_segments_mean_that_the_provider_did_not_say() -> None:
    assert 1 == count("sms", num_segments=0).measures.quantity


def test_a_started_minute_is_a_whole_one() -> None:
    assert 2 == count("voice", duration_seconds=78).measures.quantity


def test_fractions_of_a_minute_are_rounded_up() -> None:
    assert 2 == count("voice", 1.3).measures.quantity


def test_a_call_of_no_length_has_no_minutes() -> None:
    assert 0 == count("voice", duration_seconds=0).measures.quantity


def test_ai_tokens_become_disjoint_counts() -> None:
    counted = count(
        "ai",
        input_tokens=1000,
        cached_tokens=300,
        cache_write_tokens=50,
        audio_input_tokens=40,
        image_input_tokens=10,
        output_tokens=500,
        reasoning_tokens=200,
        audio_output_tokens=60,
        image_output_tokens=40,
    )
    expected = Measures(
        quantity=1500,
        input_tokens=600,
        cached_input_tokens=300,
        cache_write_tokens=50,
        output_tokens=400,
        audio_in_tokens=40,
        audio_out_tokens=60,
        image_in_tokens=10,
        image_out_tokens=40,
    )
    assert Counted(expected) == counted


def test_the_names_of_chat_completions_are_understood() -> None:
    counted = count("ai", prompt_tokens=19, completion_tokens=10, total_tokens=29)
    assert Counted(Measures(quantity=29, input_tokens=19, output_tokens=10)) == counted


def test_a_side_that_a_total_gives_away_is_measured_not_derived() -> None:
    counted = count("ai", total_tokens=100, input_tokens=70)
    assert Counted(Measures(quantity=100, input_tokens=70, output_tokens=30)) == counted


@pytest.mark.parametrize(
    ("metadata", "measures"),
    [
        ({"input_tokens": 1000}, Measures(quantity=1000, input_tokens=1000)),
        ({"prompt_tokens": 9, "output_tokens": None}, Measures(quantity=9, input_tokens=9)),
        ({"output_tokens": 50}, Measures(quantity=50, output_tokens=50)),
    ],
)
def test_usage_that_tells_one_side_alone_is_marked_partial(
    metadata: dict[str, Any], measures: Measures
) -> None:
    assert Counted(measures, partial=True) == count("ai", **metadata)


@pytest.mark.parametrize(
    "metadata",
    [
        {"input_tokens": 8, "output_tokens": 0},
        {"prompt_tokens": 8, "total_tokens": 8},
        {"audio_seconds": 60},
        {"audio_seconds": 60, "output_tokens": 100},
        {"input_tokens": 8, "audio_seconds": 2.5},
    ],
)
def test_usage_that_has_nothing_on_one_side_is_whole(metadata: dict[str, Any]) -> None:
    assert not count("ai", **metadata).partial


@pytest.mark.parametrize(
    ("total", "tokens_in", "tokens_out"), [(100, 75, 25), (1, 1, 0), (7, 6, 1), (0, 0, 0)]
)
def test_of_a_total_alone_a_quarter_is_output_and_it_is_marked_derived(
    total: int, tokens_in: int, tokens_out: int
) -> None:
    expected = Measures(quantity=total, input_tokens=tokens_in, output_tokens=tokens_out)
    assert Counted(expected, derived=True) == count("ai", total_tokens=total)


def test_the_quantity_of_ai_usage_is_its_total() -> None:
    assert count("ai", total_tokens=100) == count("ai", 100)


@pytest.mark.parametrize(
    ("seconds", "ms"), [(90.5, 90_500), (2.003, 2_003), (0.0001, 1), (60, 60_000)]
)
def test_audio_billed_by_duration_is_counted_in_started_milliseconds(
    seconds: float, ms: int
) -> None:
    assert Counted(Measures(quantity=0, audio_ms=ms)) == count("ai", audio_seconds=seconds)


@pytest.mark.parametrize(
    ("channel", "quantity", "metadata"),
    [
        ("ai", None, {"input_tokens": 10, "cached_tokens": 11}),
        ("ai", None, {"input_tokens": 10, "cached_tokens": 6, "cache_write_tokens": 5}),
        ("ai", None, {"input_tokens": 10, "output_tokens": 5, "total_tokens": 14}),
        ("ai", None, {"input_tokens": 10, "total_tokens": 9}),
        ("ai", None, {"output_tokens": 5, "reasoning_tokens": 6}),
        ("ai", None, {"output_tokens": 5, "image_output_tokens": 6}),
        ("ai", None, {"input_tokens": 10, "prompt_tokens": 11}),
        ("ai", 1, {"input_tokens": 10, "output_tokens": 5}),
        ("ai", 10, {"total_tokens": 11}),
        ("sms", 2, {"num_segments": 3}),
        ("voice", 1, {"duration_seconds": 61}),
    ],
)
def test_counts_that_contradict_each_other_are_refused(
    channel: str, quantity: object, metadata: dict[str, object]
) -> None:
    with pytest.raises(InvalidError) as refused:
        count_usage(channel, quantity, metadata)
    assert "contradictory_counts" == refused.value.code


def test_both_contradicting_counts_are_named() -> None:
    with pytest.raises(
        InvalidError, match=r"metadata\.cached_tokens contradicts metadata\.input_tokens"
    ):
        count("ai", input_tokens=10, cached_tokens=11)


@pytest.mark.parametrize(
    "quantity", [-1, True, "3", float("nan"), float("inf"), 1.5, MAX_QUANTITY + 1, 10**30, [], {}]
)
def test_a_quantity_that_is_no_whole_count_is_refused(quantity: object) -> None:
    with pytest.raises(InvalidError) as refused:
        count("sms", quantity)
    assert "invalid_quantity" == refused.value.code


@pytest.mark.parametrize("tokens", [-1, False, "3", float("nan"), 0.5])
def test_a_token_count_that_is_no_whole_count_is_refused(tokens: object) -> None:
    with pytest.raises(InvalidError) as refused:
        count("ai", input_tokens=tokens)
    assert "invalid_count" == refused.value.code


@pytest.mark.parametrize(
    "metadata", [{"model": "gpt-5.4"}, {"cached_tokens": 0}, {"reasoning_tokens": 0}]
)
def test_ai_usage_without_any_count_is_refused(metadata: dict[str, object]) -> None:
    with pytest.raises(InvalidError) as refused:
        count_usage("ai", None, metadata)
    assert "missing_count" == refused.value.code
