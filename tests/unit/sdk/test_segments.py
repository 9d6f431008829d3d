import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterline.segments import count_segments

GSM = st.text(st.sampled_from("aZ0 @£é\nØΔ^{}[~]|€\\"))
ANY = st.text(st.characters(codec="utf-8"))


@pytest.mark.parametrize(
    ("segments", "text"),
    [
        (1, ""),
        (1, "a" * 160),
        (2, "a" * 161),
        (2, "a" * 306),
        (3, "a" * 307),
        (1, "€" * 80),
        (2, "€" * 81),
        (2, "a" * 152 + "€" + "a" * 151),  # the pair does not fit the first segment
        (3, "a" * 152 + "€" + "a" * 152),
        (1, "ç" * 70),
        (2, "ç" * 71),
        (2, "ç" * 134),
        (3, "ç" * 135),
        (1, "😀" * 35),
        (2, "😀" * 36),
        (2, "😀" * 66),  # 33 in each, since the 67th place would part one
        (3, "😀" * 67),
        (2, "“" + "a" * 70),
    ],
)
def test_segments_of_a_text(segments: int, text: str) -> None:
    assert segments == count_segments(text)


@given(GSM)
def test_a_text_of_the_alphabet_needs_no_fewer_than_its_places_and_little_more(text: str) -> None:
    places = sum(2 if character in "\f^{}\\[~]|€" else 1 for character in text)
    least = 1 if places <= 160 else -(-places // 153)
    most = 1 if places <= 160 else -(-places // 152)
    assert least <= count_segments(text) <= most


@given(ANY, ANY)
def test_a_longer_text_needs_no_fewer_segments(text: str, more: str) -> None:
    assert count_segments(text) <= count_segments(text + more)
