"""Watches an answer that is one document: JSON, plain text, or audio."""

import re

from meterline.faults import report_fault
from meterline.openai_hook.answers import WANTED, book_answer, book_estimate
from meterline.openai_hook.calls import Call, make_usage
from meterline.openai_hook.decoding import Decoder
from meterline.openai_hook.endpoints import Endpoint
from meterline.openai_hook.estimates import tokens_of
from meterline.openai_hook.scan import read_object
from meterline.streams import register, unregister

_CUE_END = re.compile(rb"--> *(?:(\d+):)?(\d+):(\d+)[.,](\d{3})")


class BodyTap:
    """Keeps the parts of a body until it ends, then reads its usage.

    A body that failed on the way books nothing, since the provider's client tries again; one that
    the caller left unread is estimated, since the provider has made it.
    """

    def __init__(self, call: Call, decoder: Decoder | None) -> None:
        self.sink = call.sink
        self._call: Call | None = call
        self._decoder = decoder
        self._parts: list[bytes] = []
        self._keep = call.endpoint is not Endpoint.SPEECH  # its answer is audio and tells nothing
        register(self)

    def feed(self, part: bytes) -> bytes:
        """Keep a part."""
        if self._keep:
            self._parts.append(part)
        return part

    def finish(self) -> bytes:
        """Read the usage."""
        call = self._take()
        if call is not None:
            try:
                self._book(call)
            except Exception as fault:  # noqa: BLE001 (a call is never broken by metering)
                report_fault("an answer of OpenAI", fault)
        return b""

    def fail(self) -> None:
        """Book nothing."""
        self._take()

    disown = fail

    def close(self) -> None:
        """Estimate what nobody read."""
        call = self._take()
        if call is not None:
            try:
                self._book_unread(call)
            except Exception as fault:  # noqa: BLE001 (a call is never broken by metering)
                report_fault("an unread answer of OpenAI", fault)

    settle = close

    def _take(self) -> Call | None:
        call, self._call = self._call, None
        unregister(self)
        return call

    def _book(self, call: Call) -> None:
        if not self._keep:
            book_estimate(call, {}, 0)
            return
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        if self._decoder is not None:
            body = self._decoder.decompress(body)
        try:
            answer = read_object(body, wanted=WANTED)
        except ValueError:
            _book_text(call, body)
        else:
            book_answer(call, answer)

    def _book_unread(self, call: Call) -> None:
        if call.endpoint not in (Endpoint.STORED_RESPONSE, Endpoint.BATCH):
            book_estimate(call, {}, 0)


def _book_text(call: Call, body: bytes) -> None:
    """Book a transcript that is text or subtitles; any other text is no answer of the provider."""
    if call.endpoint is not Endpoint.TRANSCRIPTIONS or b"<html" in body[:512].lower():
        return
    hours, minutes, seconds, milliseconds = 0, 0, 0, 0
    for cue in _CUE_END.finditer(body):
        hours, minutes, seconds, milliseconds = (int(number or 0) for number in cue.groups())
    length = round(((hours * 60 + minutes) * 60 + seconds) + milliseconds / 1000, 3)
    if length:  # the audio is at least as long as its subtitles
        call.sink(make_usage(call, {}, {"audio_seconds": length}, missing=True))
    else:
        book_estimate(call, {}, tokens_of(len(body)))
