"""Watches an answer that is a stream of server-sent events."""

import re
from collections.abc import Mapping
from typing import Any

from meterline.faults import report_fault
from meterline.openai_hook.answers import WANTED, book_answer, book_estimate, has_failed
from meterline.openai_hook.background import await_answer, find_scope
from meterline.openai_hook.calls import Call, make_usage
from meterline.openai_hook.counts import read_counts
from meterline.openai_hook.decoding import Decoder
from meterline.openai_hook.estimates import Written, estimate_counts
from meterline.openai_hook.outgoing import read_request
from meterline.openai_hook.scan import read_object
from meterline.openai_hook.sse import Splitter, read_data
from meterline.streams import register, unregister
from meterline.usage import Usage

_NO_USAGE_YET = re.compile(rb',\s*"usage"\s*:\s*null(?=\s*[,}])')
_LAST = {
    "response.completed",
    "response.incomplete",
    "response.failed",
    "transcript.text.done",
    "speech.audio.done",
}
_IMAGES = {"image_generation.completed", "image_edit.completed"}
_ERROR = re.compile(rb'^\s*\{\s*"error"|"type"\s*:\s*"error"')
_TERMINAL = (b'"response.completed"', b'"response.incomplete"', b'"response.failed"')


class EventTap:
    """Follows a stream and books its usage as soon as the last word on it was seen.

    Usage counts on whatever event it comes, and the last one wins; it is the last word where the
    protocol says so, at `[DONE]`, and at the end. Without any, what came is estimated.
    """

    def __init__(self, call: Call, decoder: Decoder | None, *, hide_usage: bool) -> None:
        self.sink = call.sink
        self._call: Call | None = call
        self._decoder = decoder
        self._splitter = Splitter()
        self._hide_usage = hide_usage
        self._following = True
        self._answer: dict[str, Any] = {}
        self._written = Written(call.endpoint.written)
        self._begun = False
        self._failed = False
        self._ended = False
        self._images = 0
        register(self)

    def feed(self, part: bytes) -> bytes:
        """See a part; hold an event back until it is complete, if one may have to be hidden."""
        if not self._following:
            return part
        try:
            plain = part if self._decoder is None else self._decoder.decompress(part)
            events = self._splitter.feed(plain)
        except Exception as fault:  # noqa: BLE001 (a call is never broken by metering)
            return self._stop_following(part, fault)
        visible = [self._pass_on(event) for event in events]
        return b"".join(visible) if self._hide_usage else part

    def finish(self) -> bytes:
        """See the end of the stream."""
        rest = self._splitter.rest() if self._following else b""
        visible = self._pass_on(rest) if rest else b""
        self._ended = self._ended or self._following
        self.close()
        return visible if self._hide_usage else b""

    def fail(self) -> None:
        """Book what came before the stream broke: the provider has made it, and nobody retries."""
        self.close()

    def close(self) -> None:
        """Book what is known so far, or estimate it: nobody reads on."""
        call = self._take()
        if call is not None:
            try:
                self._book(call)
            except Exception as fault:  # noqa: BLE001 (a call is never broken by metering)
                report_fault("a stream of OpenAI", fault)

    settle = close

    def _end(self) -> None:
        """Book what is known, which was the last word on it."""
        self._ended = True
        self.close()

    def disown(self) -> None:
        """Book nothing: another process does."""
        self._take()

    def _take(self) -> Call | None:
        call, self._call = self._call, None
        unregister(self)
        return call

    def _stop_following(self, part: bytes, fault: Exception) -> bytes:
        """Let everything pass from now on, with what was held back."""
        self._following = False
        report_fault("the events of a stream of OpenAI", fault)
        # What is held back includes the part, unless it could not be split.
        return self._splitter.rest() or part if self._hide_usage else part

    def _pass_on(self, event: bytes) -> bytes:
        """See an event; return what the caller would have got had we not asked for usage."""
        try:
            data = read_data(event)
            self._see(data)
            if self._hide_usage and b'"usage"' in data:
                return _without_usage(event, data)
        except Exception as fault:  # noqa: BLE001 (a call is never broken by metering)
            report_fault("an event of a stream of OpenAI", fault)
        return event

    def _see(self, data: bytes) -> None:
        if self._call is None or not data:
            return
        if data.startswith(b"[DONE]"):
            self._end()
            return
        if self._begun and not _is_telling(data):
            self._written.add(data)
            return
        event = read_object(data, wanted=(*WANTED, "type", "response"))
        self._begun = True
        self._failed = self._failed or _ERROR.search(data[:256]) is not None
        kind = event.get("type")
        inner = event.get("response")
        answer: Mapping[str, Any] = inner if isinstance(inner, dict) else event
        self._remember(answer)
        self._written.add(data)
        if kind in _IMAGES:
            self._book_image(answer)
        elif kind in _LAST or (answer.get("usage") and event.get("choices") == []):
            self._end()
        elif answer.get("usage"):
            self._ended = _finishes(event)  # until more usage comes

    def _remember(self, answer: Mapping[str, Any]) -> None:
        """Keep what is new; an event that says nothing of something leaves it as it was."""
        for key in (*WANTED, "metadata", "tool_usage", "tools"):
            value = answer.get(key)
            if value is not None:
                self._answer[key] = value

    def _book_image(self, answer: Mapping[str, Any]) -> None:
        """Book one of the images of a stream: each tells its own usage."""
        call = self._call
        counts = read_counts(answer.get("usage"), all_output="image_tokens")
        if call is not None and counts is not None:
            part = f"/{self._images}" if self._images else ""
            self._images += 1
            call.sink(make_usage(call, answer, counts, part=part))

    def _book(self, call: Call) -> None:
        answer = self._answer
        if self._images:
            return
        if read_counts(answer.get("usage"), all_output=call.endpoint.all_output) is not None:
            book_answer(call if self._ended else _provisional(call), answer)
        elif call.endpoint.is_stored:
            return  # told again on another look
        elif answer.get("background") is True and answer.get("status") != "failed":
            call = call._replace(scope=find_scope(answer, call.scope))
            counts = estimate_counts(read_request(call.request), self._written.tokens)
            estimate = make_usage(call, answer, counts, missing=True)
            await_answer(answer.get("id"), call.scope, call.sink, estimate=estimate)
        elif not has_failed(answer) and (self._written.anything or not self._failed):
            book_estimate(call, answer, self._written.tokens)


def _finishes(event: Mapping[str, Any]) -> bool:
    """Whether an event says why a choice of a chat has ended."""
    choices = event.get("choices")
    return isinstance(choices, list) and any(
        isinstance(choice, dict) and choice.get("finish_reason") for choice in choices
    )


def _provisional(call: Call) -> Call:
    """Mark what a call books: usage that was told on the way may have grown since."""
    sink = call.sink

    def take(usage: Usage) -> None:
        sink(usage._replace(metadata={**usage.metadata, "provisional": True}))

    return call._replace(sink=take)


def _is_telling(data: bytes) -> bool:
    """Whether an event must be parsed: it may tell usage, the end, or an error."""
    if b'"usage"' in data and b'"usage":null' not in data:
        return True
    if b'"error"' in data and _ERROR.search(data[:256]):
        return True
    return any(kind in data for kind in _TERMINAL)


def _without_usage(event: bytes, data: bytes) -> bytes:
    """Take an event's usage out: the whole event where it is there for the usage alone."""
    answer = read_object(data, wanted=WANTED)
    if answer.get("usage") is not None:
        return b"" if answer.get("choices") == [] else event
    found = _NO_USAGE_YET.findall(event)
    return _NO_USAGE_YET.sub(b"", event) if len(found) == 1 else event
