"""The page about prices: its example is read, and its tables say what the code says."""

import re
from collections import Counter
from pathlib import Path

from collector.webhooks.twilio_messages import FREE_FAILURES
from costing.pricing.entries import KIND_NAMES
from costing.pricing.files import parse_price_file
from costing.pricing.resolution import SOURCES
from ledger.units import load_catalogue

PAGE = (Path(__file__).parents[3] / "docs/pricing.md").read_text()
(EXAMPLE,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_of_a_price_file_can_be_read() -> None:
    kinds = Counter(
        KIND_NAMES[type(line.entry)] for line in parse_price_file(EXAMPLE, name="prices.toml")
    )
    assert {"rate": 6, "markup": 1, "alias": 1} == kinds


def test_the_layers_are_in_the_order_in_which_they_are_asked() -> None:
    assert list(SOURCES) == re.findall(r"^\| \d \|[^|]*\| `([a-z-]+)` \|", PAGE, re.MULTILINE)


def test_the_error_codes_without_a_fee_are_those_of_the_code() -> None:
    (line,) = re.findall(r"free with the error codes ([\d, ]+)\.", PAGE)
    assert set(FREE_FAILURES) == set(line.split(", "))


def test_the_long_context_threshold_is_that_of_the_code() -> None:
    assert f"more than {load_catalogue().long_context_tokens:,} tokens in" in PAGE
