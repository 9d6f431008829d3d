"""Watches an answer that is one document: JSON, plain text, or audio."""

import re

from meterline.faults import report_fault
from meterline.openai_hook.answers import WANTED, book_answer, book_estimate
from meterline.openai_hook.calls import Call, make_usage
from meterline.openai_hook.decoding import make_decoder
from meterline.openai_hook.endpoints import SPEECH, TRANSCRIPTIONS
from meterline.openai_hook.estimates import tokens_of
from meterline.openai_hook.scan import Fields, read_object
from meterline.streams import generation

_CUE_END = re.compile(rb"--> *(?:(\d+):)?(\d+):(\d+)[.,](\d{3})")


class BodyTap:
    """Keeps the parts of a body until it ends, then reads its usage; of speech it keeps nothing.

    A body that failed on the way books nothing, since the provider's client tries again; one that
    the caller left unread is estimated, since the provider has made it. Bodies are not among the
    open streams that are settled when the process ends: what is being read then is still to come.
    """

    __slots__ = ("_call", "_generation", "_keeps", "_library", "_parts")

    def __init__(self, call: Call, library: str) -> None:
        self._call: Call | None = call
        self._library = library
        self._keeps = call.endpoint is not SPEECH  # audio, which tells nothing
        self._parts: list[bytes] = []
        self._generation = generation()

    def feed(self, part: bytes) -> bytes:
        """Keep a part."""
        if self._keeps:
            self._parts.append(part)
        return part

    def finish(self) -> bytes:
        """Read the usage."""
        call, self._call = self._call, None
        if call is not None:
            try:
                self._book(call)
            except Exception as fault:  # noqa: BLE001 (a call is never broken by metering)
                report_fault("an answer of OpenAI", fault)
        return b""

    def fail(self) -> None:
        """Book nothing."""
        self._call = None

    def close(self) -> None:
        """Estimate what nobody read, unless it is another process's."""
        call, self._call = self._call, None
        if call is not None and self._generation == generation() and not call.endpoint.is_stored:
            try:
                book_estimate(call, {}, 0)
            except Exception as fault:  # noqa: BLE001 (a call is never broken by metering)
                report_fault("an unread answer of OpenAI", fault)

    def _book(self, call: Call) -> None:
        parts, self._parts = self._parts, []
        if not self._keeps:
            book_estimate(call, {}, 0)
            return
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        answer = self._read(call, body)
        if answer is not None:
            book_answer(call, answer)

    def _read(self, call: Call, body: bytes) -> Fields | None:
        if body.startswith(b"{"):  # nearly always; what is encoded hardly ever starts like this
            try:
                return read_object(body, wanted=WANTED)
            except ValueError:
                pass
        decoder = make_decoder(call.headers.get("content-encoding"), self._library)
        if decoder is not None:
            body = decoder.decompress(body)
        try:
            return read_object(body, wanted=WANTED)
        except ValueError:
            _book_text(call, body)
            return None


def _book_text(call: Call, body: bytes) -> None:
    """Book a transcript that is text or subtitles; any other text is no answer of the provider."""
    if call.endpoint is not TRANSCRIPTIONS or b"<html" in body[:512].lower():
        return
    hours, minutes, seconds, milliseconds = 0, 0, 0, 0
    for cue in _CUE_END.finditer(body):
        hours, minutes, seconds, milliseconds = (int(number or 0) for number in cue.groups())
    length = round(((hours * 60 + minutes) * 60 + seconds) + milliseconds / 1000, 3)
    if length:  # the audio is at least as long as its subtitles
        call.sink(make_usage(call, {}, {"audio_seconds": length}, missing=True))
    else:
        book_estimate(call, {}, tokens_of(len(body)))
