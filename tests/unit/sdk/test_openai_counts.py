from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.counts import count_usage
from meterline.openai_hook.counts import read_counts


def test_totals_keep_the_details_that_are_inside_of_them() -> None:
    usage = {
        "prompt_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10, "audio_tokens": 5},
        "completion_tokens": 50,
        "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 0},
        "total_tokens": 150,
    }
    expected = {
        "input_tokens": 100,
        "cached_tokens": 40,
        "cache_write_tokens": 10,
        "audio_input_tokens": 5,
        "output_tokens": 50,
        "reasoning_tokens": 20,
    }
    assert expected == read_counts(usage)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ([], None),
        ({"input_tokens": -1}, None),
        ({"prompt_tokens": True, "completion_tokens": 1.5}, None),
        ({"total_tokens": 9}, {"total_tokens": 9}),
        ({"prompt_tokens": 8, "total_tokens": 8}, {"input_tokens": 8, "output_tokens": 0}),
        ({"output_tokens": 3, "total_tokens": 8}, {"input_tokens": 5, "output_tokens": 3}),
        ({"type": "duration", "seconds": 9.5}, {"audio_seconds": 9.5}),
        ({"type": "duration", "seconds": None}, None),
        ({"type": "duration", "seconds": -1}, None),
    ],
)
def test_what_usage_tells(usage: object, expected: dict[str, Any] | None) -> None:
    assert expected == read_counts(usage)


def test_output_that_is_not_split_is_of_the_kind_that_the_endpoint_makes() -> None:
    usage = {"input_tokens": 1, "output_tokens": 7}
    assert {**usage, "image_output_tokens": 7} == read_counts(usage, all_output="image_tokens")


def test_details_beyond_their_total_are_cut_down_to_it() -> None:
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 8, "audio_tokens": 7, "image_tokens": 1},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 6},
    }
    expected = {
        "input_tokens": 10,
        "cached_tokens": 8,
        "audio_input_tokens": 2,
        "output_tokens": 5,
        "reasoning_tokens": 5,
    }
    assert expected == read_counts(usage)


NUMBERS = st.integers(0, 20) | st.integers(-5, 2000) | st.sampled_from([None, True, "7", 1.5])
DETAILS = st.none() | st.dictionaries(
    st.sampled_from(["cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens"])
    | st.just("reasoning_tokens"),
    NUMBERS,
)
USAGES = st.fixed_dictionaries(
    {},
    optional={
        "input_tokens": NUMBERS,
        "output_tokens": NUMBERS,
        "total_tokens": NUMBERS,
        "input_tokens_details": DETAILS,
        "output_tokens_details": DETAILS,
    },
)


@given(USAGES, st.sampled_from([None, "image_tokens", "audio_tokens"]))
def test_the_collector_takes_whatever_is_read(usage: dict[str, Any], kind: str | None) -> None:
    counts = read_counts(usage, all_output=kind)
    if counts is not None:
        assert 0 <= count_usage("ai", None, counts).measures.quantity
