import pytest

from ledger.errors import InvalidError
from ledger.tenant import parse_label


@pytest.mark.parametrize(
    "label",
    [
        "Pro",
        "Pro plus",
        "O\N{COMBINING DIAERESIS}l & S\N{LATIN SMALL LETTER O WITH DIAERESIS}hne",
        "gpt-4o-mini-2024-07-18",
        "ft:gpt-4o-mini-2024-07-18:acme corp::AbC123",
        "text-embedding-3-large",
        "accounts/fireworks/models/llama-v3p1-8b-instruct",
        "anthropic.claude-3-5-sonnet-20240620-v1:0",
        "a deployment of ours",
    ],
)
def test_names_plans_and_models_are_kept_as_given(label: str) -> None:
    assert label == parse_label(label, key="name")


@pytest.mark.parametrize("label", ["", " ", "   ", " a", "a ", " a b "])
def test_a_label_with_a_blank_at_either_end_is_refused_and_told_why(label: str) -> None:
    with pytest.raises(InvalidError, match="none of them a blank at either end") as refused:
        parse_label(label, key="name")
    assert ("invalid_label", "name") == (refused.value.code, refused.value.key)
