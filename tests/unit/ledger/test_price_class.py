import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidError
from ledger.measures import Measures
from ledger.price_class import (
    PriceClass,
    classify_ai,
    name_tier,
    parse_price_class,
    split_price_class,
)

LONG = 272_000


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (PriceClass("standard"), "standard"),
        (PriceClass("flex"), "flex"),
        (PriceClass("standard", is_long=True), "long"),
        (PriceClass("batch", is_long=True), "batch.long"),
        (PriceClass("standard", apart="duration"), "duration"),
        (PriceClass("flex", is_long=True, apart="duration"), "flex.long.duration"),
        (PriceClass("v1.2"), "v1.2"),
    ],
)
def test_a_class_is_put_together_and_taken_to_pieces(pieces: PriceClass, text: str) -> None:
    assert (text, pieces) == (pieces.text, split_price_class(text))


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        (Measures(LONG, LONG), "standard"),
        (Measures(LONG + 1, LONG + 1), "long"),
        # All that went in counts, cached or not; what came out does not.
        (Measures(LONG + 1, LONG, cached_input_tokens=1), "long"),
        (Measures(LONG + 1, LONG, audio_in_tokens=1), "long"),
        (Measures(10 * LONG, LONG, output_tokens=9 * LONG), "standard"),
        (Measures(0, audio_ms=1), "duration"),
    ],
)
def test_the_length_of_the_context_and_the_unit_make_the_class(
    measures: Measures, expected: str
) -> None:
    assert expected == classify_ai("standard", measures)


@pytest.mark.parametrize(
    "text", ["standard", "flex", "long", "flex.long", "duration", "flex.long.duration", "tollfree"]
)
def test_a_class_that_usage_can_be_of_is_taken_as_it_is(text: str) -> None:
    assert text == parse_price_class(text, key="price_class")


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("default", "; write standard"),
        ("auto", "; write standard"),
        ("fast.long", "; write priority.long"),
        ("standard.duration", "; write duration"),
        ("long.flex", ""),
        ("duration.long", ""),
        ("sp3", ""),
    ],
)
def test_a_class_that_no_usage_is_of_is_refused_with_what_to_write(text: str, instead: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_price_class(text, key="price_class")
    assert f"no usage is of this class{instead}" == refused.value.message


@given(
    served=st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,20}", fullmatch=True),
    is_long=st.booleans(),
    is_duration=st.booleans(),
)
def test_a_class_that_usage_has_can_be_written_in_a_price_file_and_taken_to_pieces(
    served: str, *, is_long: bool, is_duration: bool
) -> None:
    measures = Measures(0, LONG + is_long, audio_ms=int(is_duration))._replace(quantity=2 * LONG)
    tier = name_tier(served)
    try:
        text = classify_ai(tier, measures)
    except InvalidError:
        return  # it has the name of something else
    assert text == parse_price_class(text, key="price_class")
    apart = "duration" if is_duration else None
    assert PriceClass(tier, is_long, apart) == split_price_class(text)


@pytest.mark.parametrize("tier", ["long", "duration", "flex.long", "a.duration.b"])
def test_a_tier_cannot_be_called_what_something_else_is_called(tier: str) -> None:
    with pytest.raises(InvalidError, match="cannot be called"):
        classify_ai(tier, Measures(1, 1))
