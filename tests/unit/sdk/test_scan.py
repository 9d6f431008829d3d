import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterline.openai_hook.scan import WINDOW, read_object
from meterline.parsing import parse_json, use_fast_parser

WANTED = ("usage", "model", "id")
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20)
# Texts that look like members, and members of the same name further down, are what could mislead.
TRAPS = st.sampled_from(
    ['"usage":{}', 'a\\"usage\\"', '"usage', 'x"usage":1,', "usage", "\\", '\\"']
)
VALUES = st.recursive(
    SCALARS | TRAPS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["usage", "model", "id", "a"]) | TRAPS, inner, max_size=3)
    ),
    max_leaves=12,
)
KEYS = st.sampled_from([*WANTED, "data", "choices", 'x"usage', "created"]) | st.text(max_size=5)
LARGE = st.sampled_from([[0.25] * 20_000, '\\"usage\\":' * 9_000, ["é"] * 20_000])


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an object that is larger than the window, with what is large at any place."""
    members: list[tuple[str, Any]] = list(draw(st.dictionaries(KEYS, VALUES, max_size=6)).items())
    members.insert(draw(st.integers(0, len(members))), ("large", draw(LARGE)))
    return dict(members)


@given(body=bodies(), spaced=st.booleans(), escaped=st.booleans())
def test_a_large_body_tells_what_a_full_parse_tells(
    *, body: dict[str, Any], spaced: bool, escaped: bool
) -> None:
    separators = (", ", ": ") if spaced else (",", ":")
    text = json.dumps(body, separators=separators, ensure_ascii=escaped).encode()
    found = read_object(text, wanted=WANTED)
    assert {key: body[key] for key in found} == dict(found)


@given(bodies())
def test_the_first_key_that_is_wanted_is_always_found(body: dict[str, Any]) -> None:
    found = read_object(json.dumps(body).encode(), wanted=WANTED)
    assert ("usage" in body, body.get("usage")) == ("usage" in found, found.get("usage"))


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_a_small_body_is_parsed_whole(body: dict[str, Any]) -> None:
    assert body == read_object(json.dumps(body).encode(), wanted=WANTED)


@given(VALUES)
def test_both_parsers_read_the_same(value: object) -> None:
    use_fast_parser()
    assert value == parse_json(json.dumps(value).encode())


def test_half_of_a_surrogate_pair_is_read_as_the_slow_parser_reads_it() -> None:
    use_fast_parser()
    assert {"text": "\ud83d", "usage": 1} == parse_json(b'{"text":"\\ud83d","usage":1}')


def test_the_middle_of_a_large_body_is_not_looked_at() -> None:
    text = b'{"id":"a","data":[' + b"?" * WINDOW + b'],"model":"m","usage":{"total_tokens":5}}'
    found = read_object(text, wanted=WANTED)
    assert {"id": "a", "model": "m", "usage": {"total_tokens": 5}} == found


def test_a_number_that_the_window_cuts_is_not_taken_for_a_shorter_one() -> None:
    padding = b'{"id":"' + b"a" * (WINDOW - 17) + b'","n":'
    text = padding + b"12345678" + b',"data":[' + b"?" * WINDOW + b'],"usage":1}'
    assert {"usage": 1} == {k: v for k, v in read_object(text, wanted=WANTED).items() if k != "id"}


@pytest.mark.parametrize("text", [b"", b"[]", b"7", b"<html>", b'{"a":', b"[" + b"1," * WINDOW])
def test_what_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_object(text, wanted=WANTED)
