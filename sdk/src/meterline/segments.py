"""Counts the segments of an SMS by the rules of GSM 03.38. Pure.

A text of the GSM alphabet has 160 places in one segment, or 153 in each of several, since each then
carries a header; characters of the extension take two. One other character makes the whole text
UCS-2: 70 places in one segment, or 67 in each of several; a character beyond the basic plane, such
as an emoji, takes two. What takes two places is never parted. Twilio splits no grapheme either, so
an emoji of several characters at the very end of a segment can make one more there.
"""

import re

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = "\f^{}\\[~]|€"

_IS_BASIC = re.compile(f"[{re.escape(_BASIC)}]*")
_IS_GSM = re.compile(f"[{re.escape(_BASIC + _EXTENSION)}]*")
_WIDE_IN_GSM = frozenset(_EXTENSION)

_GSM_ONE, _GSM_EACH = 160, 153
_UCS2_ONE, _UCS2_EACH = 70, 67
_LAST_NARROW = "\uffff"


def count_segments(text: str) -> int:
    """Return how many segments a text is sent in; an empty one is sent in one."""
    if _IS_BASIC.fullmatch(text):
        length = len(text)
        return 1 if length <= _GSM_ONE else -(-length // _GSM_EACH)
    if _IS_GSM.fullmatch(text):
        widths = [2 if character in _WIDE_IN_GSM else 1 for character in text]
        return _pack(widths, one=_GSM_ONE, each=_GSM_EACH)
    widths = [2 if character > _LAST_NARROW else 1 for character in text]
    return _pack(widths, one=_UCS2_ONE, each=_UCS2_EACH)


def _pack(widths: list[int], *, one: int, each: int) -> int:
    if sum(widths) <= one:
        return 1
    segments, used = 1, 0
    for width in widths:
        used += width
        if used > each:
            segments, used = segments + 1, width
    return segments
