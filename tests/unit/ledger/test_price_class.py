import pytest

from ledger.errors import InvalidError
from ledger.measures import Measures
from ledger.price_class import PriceClass, classify_ai, split_price_class

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


@pytest.mark.parametrize("tier", ["long", "duration", "flex.long", "a.duration.b"])
def test_a_tier_cannot_be_called_what_something_else_is_called(tier: str) -> None:
    with pytest.raises(InvalidError, match="cannot be called"):
        classify_ai(tier, Measures(1, 1))
