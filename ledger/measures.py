"""The measures of usage: how much, in disjoint counts. What is billed is a sum of these."""

from typing import NamedTuple


class Measures(NamedTuple):
    """Whole, disjoint counts of one event or of a sum of events; those of a reversal are negative.

    `quantity` is what people call the amount: segments, messages, started minutes, recipients, and
    for AI all tokens together. The other counts are zero outside the channel `ai`.
    """

    quantity: int
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    audio_in_tokens: int = 0
    audio_out_tokens: int = 0
    image_in_tokens: int = 0
    image_out_tokens: int = 0
    audio_ms: int = 0

    def plus(self, other: "Measures") -> "Measures":
        """Return the sum, count by count."""
        return Measures(*(a + b for a, b in zip(self, other, strict=True)))

    def negated(self) -> "Measures":
        """Return what takes these back."""
        return Measures(*(-count for count in self))


NOTHING = Measures(quantity=0)

MEASURE_COLUMNS: tuple[str, ...] = Measures._fields
