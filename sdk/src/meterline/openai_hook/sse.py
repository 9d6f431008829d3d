"""Splits server-sent events out of a byte stream whose parts end anywhere. Pure."""

import re

MAX_HELD = 64 * 1024 * 1024
"""Bytes of one unfinished event after which a stream is not followed any further."""

# A line ends with CR LF, LF or CR; an event ends with an empty line. The groups give nothing back,
# so that one CR LF is never taken for two ends.
_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE = re.compile(rb"\r\n|\n|\r")


class Splitter:
    """Collects bytes and hands out whole events, each with the empty line that ends it."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._searched = 0

    def feed(self, part: bytes) -> list[bytes]:
        """Return the events that this part completes; joined with what is held, nothing is lost."""
        held = self._held
        held += part
        if len(held) > MAX_HELD:
            raise ValueError("an event without an end")
        events: list[bytes] = []
        start = 0
        while end := _END.search(held, max(start, self._searched)):
            if end.end() == len(held) and held[-1:] == b"\r":
                break  # an LF that belongs to this line's end may follow
            events.append(bytes(held[start : end.end()]))
            start = self._searched = end.end()
        if start:
            del held[:start]
        self._searched = max(0, len(held) - 3)  # an empty line may have begun
        return events

    def rest(self) -> bytes:
        """Hand out what is held: the last event, if the stream ended without an empty line."""
        rest = bytes(self._held)
        self._held.clear()
        self._searched = 0
        return rest


def read_data(event: bytes) -> bytes:
    """Return the data of an event: its `data` lines, joined by line feeds."""
    text = event.rstrip(b"\r\n")
    if text.startswith(b"data: ") and b"\n" not in text and b"\r" not in text:
        return text[6:]  # nearly always
    lines = [line for line in _LINE.split(text) if line == b"data" or line.startswith(b"data:")]
    return b"\n".join(line[6:] if line[5:6] == b" " else line[5:] for line in lines)
