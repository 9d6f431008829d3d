"""What a whole answer comes to: a usage, several, an estimate, or nothing yet."""

from collections.abc import Iterator, Mapping
from typing import Any

from meterline.openai_hook.background import await_answer, find_awaited, find_scope
from meterline.openai_hook.calls import Call, make_usage
from meterline.openai_hook.counts import Counts, read_counts, read_seconds
from meterline.openai_hook.endpoints import RESPONSES, TRANSCRIPTIONS
from meterline.openai_hook.estimates import estimate_counts, measure_texts
from meterline.openai_hook.outgoing import read_request

Answer = Mapping[str, Any]

WANTED = ("usage", "id", "model", "created", "created_at", "service_tier", "status", "background")
"""Members of a large answer that are looked for; the first is worth a full parse."""

_UNFINISHED = {"queued", "in_progress"}
_FRUITLESS = {"failed", "cancelled"}
_ENDED = {"completed", "failed", "expired", "cancelled"}


def book_answer(call: Call, answer: Answer) -> None:
    """Hand over what an answer tells: at once, or nothing where it is told later."""
    endpoint = call.endpoint
    counts = read_counts(answer.get("usage"), all_output=endpoint.all_output)
    if endpoint.is_stored:
        if endpoint.is_batch:
            _book_batch(call, answer, counts)
        else:
            _book_stored(call, answer, counts)
    elif counts is not None:
        if answer.get("background") is True:
            _await(call, answer)
            _book_awaited(call, answer, counts)
        else:
            _book(call, answer, counts)
    elif endpoint is RESPONSES and answer.get("status") in _UNFINISHED:
        _await(call, answer)
    elif not has_failed(answer):
        _book_without_usage(call, answer)


def has_failed(answer: Answer) -> bool:
    """Whether an answer without usage says that nothing was made."""
    return bool(answer.get("error")) or answer.get("status") in _FRUITLESS


def book_estimate(call: Call, answer: Answer, written_tokens: int) -> None:
    """Hand over an estimate for an answer that tells no usage."""
    counts = estimate_counts(read_request(call.request), written_tokens)
    call.sink(make_usage(call, answer, counts, missing=True))


def _book(call: Call, answer: Answer, counts: Counts) -> None:
    call.sink(make_usage(call, answer, counts))
    if "tool_usage" in answer or "svg_usage" in answer:
        for part, model, inside in _inner_usages(answer):
            call.sink(make_usage(call, {**answer, "model": model}, inside, part=part))


def _book_without_usage(call: Call, answer: Answer) -> None:
    # Speech to text that is billed by duration says how long the audio was.
    seconds = read_seconds(answer.get("duration"))
    if call.endpoint is TRANSCRIPTIONS and seconds is not None:
        call.sink(make_usage(call, answer, seconds))
        return
    written = [answer.get(key) for key in ("choices", "output", "text")]
    book_estimate(call, answer, measure_texts(written))


def _book_stored(call: Call, answer: Answer, counts: Counts | None) -> None:
    """Book a response in the background when it is there; any other was booked when it was made."""
    awaited = find_awaited(answer.get("id")) is not None
    if counts is not None and (awaited or answer.get("background") is True):
        _await(call, answer)
        _book_awaited(call, answer, counts)


def _book_batch(call: Call, answer: Answer, counts: Counts | None) -> None:
    """Book a batch when it has ended: until then its usage grows, and it is told on every look."""
    _await(call, answer)
    if counts is not None and any(counts.values()) and answer.get("status") in _ENDED:
        _book_awaited(call, answer, counts)


def _await(call: Call, answer: Answer) -> None:
    await_answer(answer.get("id"), find_scope(answer, call.scope), call.sink)


def _book_awaited(call: Call, answer: Answer, counts: Counts) -> None:
    awaited = find_awaited(answer.get("id"))
    if awaited is None:
        _book(call, answer, counts)
    elif awaited.book():
        _book(call._replace(scope=awaited.scope), answer, counts)


def _inner_usages(answer: Answer) -> Iterator[tuple[str, object, Counts]]:
    """Find what other models used on the way: it is billed apart and not inside of `usage`."""
    drawn = answer.get("svg_usage")
    if isinstance(drawn, dict):
        counts = read_counts(drawn)
        if counts is not None and any(counts.values()):
            yield "/svg", drawn.get("model"), counts
    tools = answer.get("tool_usage")
    if isinstance(tools, dict):
        counts = read_counts(tools.get("image_gen"), all_output="image_tokens")
        if counts is not None and any(counts.values()):
            yield "/image_gen", _image_model(answer), counts


def _image_model(answer: Answer) -> object:
    tools = answer.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and tool.get("type") == "image_generation":
            return tool.get("model")
    return None
