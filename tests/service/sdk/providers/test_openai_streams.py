"""Streams: usage is taken when it is seen, the last word wins, and silence is estimated."""

import gc
import os
import signal
from collections.abc import Callable
from typing import Any

import openai
import pytest

from meterline.streams import settle_open_streams
from meterline.usage import Usage
from tests.service.sdk.providers.conftest import KINDS, GetClient, Run
from tests.service.sdk.providers.openai_paths import ASK, RESPOND, USAGE, each, opened, settled
from tests.standins.openai_api import (
    COUNTS,
    STREAM_ID,
    WORDS,
    OpenAIAnswers,
    chat_chunks,
    response_events,
)
from tests.standins.server import Answer, Asked, StandIn, as_events, as_json, zipped

Script = Callable[[Answer], None]


@pytest.fixture
def answer_with(openai_api: StandIn, answers: OpenAIAnswers) -> Script:  # noqa: ARG001
    """Let the stand-in answer every request with the same."""

    def use(answer: Answer) -> None:
        def say(_asked: Asked) -> Answer:
            return answer

        openai_api.answer = say

    return use


async def read(client: Any, **options: Any) -> list[Any]:
    stream = await settled(client.chat.completions.create(**ASK, stream=True, **options))
    return [chunk async for chunk in each(stream)]


def tokens(usage: Usage) -> tuple[Any, Any]:
    return usage.metadata["input_tokens"], usage.metadata["output_tokens"]


@pytest.mark.parametrize("kind", KINDS)
def test_usage_counts_on_a_chunk_that_also_has_choices(
    kind: str, get_client: GetClient, run: Run, sink: list[Usage], answer_with: Script
) -> None:
    *chunks, last = chat_chunks()
    answer_with(as_events([*chunks, {**last, "usage": COUNTS}]))
    run(read(get_client(kind, sink.append)))
    assert [(120, 30)] == [tokens(usage) for usage in sink]


def test_the_last_usage_of_a_stream_wins(
    get_client: GetClient, run: Run, sink: list[Usage], answer_with: Script
) -> None:
    answer_with(as_events(GROWING))
    run(read(get_client("OpenAI", sink.append)))
    assert [((120, 4), None)] == [
        (tokens(usage), usage.metadata.get("provisional")) for usage in sink
    ]


NAMED = {"meterline_tenant": "acme", "meterline_feature": "ai_sms"}

GROWING = [
    {**chunk, "usage": {"prompt_tokens": 120, "completion_tokens": n, "total_tokens": 120 + n}}
    for n, chunk in enumerate(chat_chunks())
]


@pytest.mark.parametrize("reads", [2, 5])
def test_usage_that_was_still_growing_when_its_stream_was_left_is_provisional(
    reads: int, get_client: GetClient, sink: list[Usage], answer_with: Script
) -> None:
    answer_with(as_events(GROWING))
    with get_client("OpenAI", sink.append).chat.completions.create(**ASK, stream=True) as stream:
        for _ in range(reads):
            next(stream)
    marked = None if reads == len(GROWING) else True  # the last chunk says why the chat ended
    assert [((120, reads - 1), marked)] == [
        (tokens(usage), usage.metadata.get("provisional")) for usage in sink
    ]


def test_usage_that_was_still_growing_when_its_stream_broke_is_provisional(
    get_client: GetClient, run: Run, sink: list[Usage], answer_with: Script
) -> None:
    answer_with(as_events(GROWING[:2], end=False)._replace(is_broken=True))
    with pytest.raises(Exception, match=r"."):
        run(read(get_client("OpenAI", sink.append)))
    assert [((120, 1), True)] == [
        (tokens(usage), usage.metadata.get("provisional")) for usage in sink
    ]


def test_usage_is_handed_over_when_it_is_seen_and_not_when_the_stream_ends(
    get_client: GetClient, sink: list[Usage]
) -> None:
    stream = get_client("OpenAI", sink.append).chat.completions.create(**ASK, **USAGE)
    chunks = [next(stream) for _ in range(6)]
    assert (COUNTS["total_tokens"], [(120, 30)]) == (
        chunks[-1].usage.total_tokens,
        [tokens(usage) for usage in sink],
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("asks", [{}, {"stream_options": {"include_obfuscation": False}}])
def test_usage_that_we_asked_for_is_metered_and_hidden(
    kind: str, asks: dict[str, Any], get_client: GetClient, run: Run, sink: list[Usage]
) -> None:
    bare = run(read(get_client(kind), **asks))
    metered = run(read(get_client(kind, sink.append, inject=True), **asks))
    assert ([chunk.to_dict() for chunk in bare], [(120, 30)]) == (
        [chunk.to_dict() for chunk in metered],
        [tokens(usage) for usage in sink],
    )


def test_usage_that_the_caller_asked_for_is_not_hidden(
    get_client: GetClient, run: Run, sink: list[Usage]
) -> None:
    options = {"stream_options": {"include_usage": True}}
    chunks = run(read(get_client("OpenAI", sink.append, inject=True), **options))
    assert 120 == chunks[-1].usage.prompt_tokens


def test_the_caller_sees_its_own_request_although_we_asked_for_more(
    get_client: GetClient, sink: list[Usage], openai_api: StandIn
) -> None:
    client = get_client("OpenAI", sink.append, inject=True)
    raw = client.chat.completions.with_raw_response.create(**ASK, stream=True)
    list(raw.parse())
    sent = openai_api.asked[-1].json
    assert (False, {"include_usage": True}) == (
        b"stream_options" in raw.http_response.request.content,
        sent["stream_options"],
    )


def test_a_retry_of_a_stream_asks_for_usage_again_and_counts_once(
    get_client: GetClient, run: Run, sink: list[Usage], answers: OpenAIAnswers
) -> None:
    answers.failures_left = 2
    run(read(get_client("OpenAI", sink.append, inject=True)))
    assert [(120, 30)] == [tokens(usage) for usage in sink]


@pytest.mark.parametrize("kind", KINDS)
def test_usage_that_we_asked_for_is_hidden_in_an_encoded_stream_too(
    kind: str, get_client: GetClient, run: Run, sink: list[Usage], answer_with: Script
) -> None:
    answer_with(zipped(as_events(chat_chunks())))
    bare = run(read(get_client(kind)))
    answer_with(zipped(as_events(chat_chunks(usage=COUNTS, asks=True))))
    metered = run(read(get_client(kind, sink.append, inject=True)))
    assert ([chunk.to_dict() for chunk in bare], [(120, 30)]) == (
        [chunk.to_dict() for chunk in metered],
        [tokens(usage) for usage in sink],
    )


def test_a_stream_that_we_unpacked_does_not_call_itself_packed(
    get_client: GetClient, sink: list[Usage], answer_with: Script
) -> None:
    answer_with(zipped(as_events(chat_chunks(usage=COUNTS, asks=True))))
    client = get_client("OpenAI", sink.append, inject=True)
    with client.chat.completions.with_streaming_response.create(**ASK, stream=True) as raw:
        last = list(raw.iter_lines())[-2]
    assert (None, "data: [DONE]") == (raw.headers.get("content-encoding"), last)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_encoded_stream_raises_what_it_raises_for_the_caller_of_a_bare_client(
    kind: str, get_client: GetClient, run: Run, sink: list[Usage], answer_with: Script
) -> None:
    whole = zipped(as_events(chat_chunks()))
    answer_with(whole._replace(body=[*whole.body[:2], b"no gzip at all" * 9]))
    with pytest.raises(Exception, match=r".") as bare:
        run(read(get_client(kind)))
    with pytest.raises(bare.type):
        run(read(get_client(kind, sink.append, inject=True)))
    assert [True] == [usage.metadata["usage_missing"] for usage in sink]


def test_a_chat_with_sources_of_its_own_is_not_made_to_ask_for_usage(
    get_client: GetClient, run: Run, sink: list[Usage], openai_api: StandIn
) -> None:
    sources = {"data_sources": [{"type": "azure_search", "parameters": {}}]}
    run(read(get_client("OpenAI", sink.append, inject=True), extra_body=sources))
    assert "stream_options" not in openai_api.asked[-1].json


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_without_usage_is_estimated_and_marked(
    kind: str, get_client: GetClient, run: Run, sink: list[Usage]
) -> None:
    run(read(get_client(kind, sink.append)))
    expected = {
        "model": "gpt-5.4-mini",
        "input_tokens": 4,  # "Hi, I am Jo" and "user": 15 bytes
        "output_tokens": 7,  # 26 bytes
        "service_tier": "priority",
        "usage_missing": True,
        "provisional": True,
    }
    assert [(STREAM_ID, expected)] == [(usage.id, dict(usage.metadata)) for usage in sink]


@pytest.mark.parametrize("kind", KINDS)
def test_what_came_before_a_stream_broke_is_estimated(
    kind: str, get_client: GetClient, run: Run, sink: list[Usage], answer_with: Script
) -> None:
    broken = as_events(chat_chunks()[:2], end=False)._replace(is_broken=True)
    answer_with(broken)
    with pytest.raises(Exception, match=r".") as bare:
        run(read(get_client(kind)))
    with pytest.raises(bare.type):  # version 2 lets the http library's own error through
        run(read(get_client(kind, sink.append)))
    assert [(4, 4, True)] == [(*tokens(usage), usage.metadata["usage_missing"]) for usage in sink]


def test_a_slow_stream_is_metered(
    get_client: GetClient, run: Run, sink: list[Usage], answer_with: Script
) -> None:
    answer_with(as_events(chat_chunks(usage=COUNTS))._replace(pause=0.01))
    run(read(get_client("AsyncOpenAI", sink.append)))
    assert [(120, 30)] == [tokens(usage) for usage in sink]


def test_a_stream_that_is_an_error_counts_nothing(
    get_client: GetClient, run: Run, sink: list[Usage], answer_with: Script
) -> None:
    answer_with(as_events([{"error": {"message": "overloaded", "type": "server_error"}}]))
    with pytest.raises(openai.APIError):
        run(read(get_client("OpenAI", sink.append)))
    assert [] == sink


def test_a_response_that_failed_without_usage_counts_nothing(
    get_client: GetClient, sink: list[Usage], answers: OpenAIAnswers, answer_with: Script
) -> None:
    body = answers.example("responses__text_input")
    *begun, _ = response_events(body)
    failed = {**body, "status": "failed", "usage": None, "error": {"code": "x", "message": "y"}}
    answer_with(as_events([*begun, {"type": "response.failed", "response": failed}], end=False))
    list(get_client("OpenAI", sink.append).responses.create(**RESPOND, stream=True))
    assert [] == sink


@pytest.mark.parametrize("kind", ["response.incomplete", "response.failed"])
def test_a_response_that_ended_badly_counts_what_it_says_it_used(
    kind: str,
    get_client: GetClient,
    sink: list[Usage],
    answers: OpenAIAnswers,
    answer_with: Script,
) -> None:
    body = answers.example("responses__text_input")
    answer_with(as_events([{"type": kind, "response": {**body, "status": kind[9:]}}], end=False))
    list(get_client("OpenAI", sink.append).responses.create(**RESPOND, stream=True))
    assert [(36, 87)] == [tokens(usage) for usage in sink]


def test_a_stream_that_was_dropped_unread_is_estimated_when_it_is_collected(
    get_client: GetClient, sink: list[Usage]
) -> None:
    stream = get_client("OpenAI", sink.append).chat.completions.create(**ASK, stream=True)
    del stream
    gc.collect()
    assert [True] == [usage.metadata["usage_missing"] for usage in sink]


@pytest.mark.parametrize("kind", KINDS)
def test_open_streams_are_settled_once_when_the_process_ends(
    kind: str, get_client: GetClient, run: Run, sink: list[Usage]
) -> None:
    async def leave_open() -> Any:
        create = get_client(kind, sink.append).chat.completions.create
        stream = await settled(create(**ASK, stream=True))
        async for _ in each(stream):
            break
        return stream

    stream = run(leave_open())
    owner = get_client.sink_of(kind)
    settled_streams = settle_open_streams(owner) + settle_open_streams(owner)
    run(settled(stream.close()))
    assert (1, [(STREAM_ID, 2)]) == (
        settled_streams,
        [(usage.id, usage.metadata["output_tokens"]) for usage in sink],
    )


def test_the_open_streams_of_another_sink_are_left_alone(
    get_client: GetClient, sink: list[Usage]
) -> None:
    create = get_client("OpenAI", sink.append).chat.completions.create
    with create(**ASK, stream=True):
        assert 0 == settle_open_streams(print)


def test_a_forked_child_leaves_the_streams_of_its_parent_alone(
    get_client: GetClient, sink: list[Usage]
) -> None:
    client = get_client("OpenAI", sink.append)
    with client.chat.completions.create(**ASK, stream=True) as stream:
        next(stream)
        owner = get_client.sink_of("OpenAI")
        child = os.fork()
        if child == 0:
            os._exit(settle_open_streams(owner) + len(sink))
        try:
            _, status = os.waitpid(child, 0)
        except BaseException:
            os.kill(child, signal.SIGKILL)
            raise
    assert (0, 1) == (os.waitstatus_to_exitcode(status), len(sink))


@pytest.mark.parametrize("kind", KINDS)
def test_a_background_stream_that_broke_off_counts_what_a_later_look_tells(
    kind: str, get_client: GetClient, run: Run, sink: list[Usage], openai_api: StandIn
) -> None:
    async def look_later() -> None:
        client = get_client(kind, sink.append)
        stream = await settled(client.responses.create(**RESPOND, stream=True))
        async with opened(stream):
            async for event in each(stream):
                if event.type == "response.output_text.delta":
                    break
        assert [] == sink
        await settled(client.responses.retrieve("resp_background"))

    answers = openai_api.answer
    assert isinstance(answers, OpenAIAnswers)
    body = {**answers.example("responses__text_input"), "background": True}

    def say(asked: Asked) -> Answer:
        begins = asked.method == "POST"
        return as_events(response_events(body), end=False) if begins else answers(asked)

    openai_api.answer = say
    run(look_later())
    assert [(36, 87)] == [tokens(usage) for usage in sink]


def test_a_background_stream_that_nobody_looks_for_is_estimated_in_the_end(
    get_client: GetClient, sink: list[Usage], answers: OpenAIAnswers, answer_with: Script
) -> None:
    body = {**answers.example("responses__text_input"), "background": True}
    answer_with(as_events(response_events(body), end=False))
    client = get_client("OpenAI", sink.append)
    with client.responses.create(**RESPOND, stream=True) as stream:
        owner = get_client.sink_of("OpenAI")
        for event in stream:
            if event.type == "response.output_text.delta":
                break
    before = len(sink)
    settle_open_streams(owner)
    assert (0, [True]) == (before, [usage.metadata["usage_missing"] for usage in sink])


def test_an_estimate_of_a_background_stream_is_for_whom_its_metadata_name(
    get_client: GetClient, sink: list[Usage], answers: OpenAIAnswers, answer_with: Script
) -> None:
    body = {**answers.example("responses__text_input"), "background": True, "metadata": NAMED}
    answer_with(as_events(response_events(body), end=False))
    client = get_client("OpenAI", sink.append)
    with client.responses.create(**RESPOND, stream=True) as stream:
        owner = get_client.sink_of("OpenAI")
        for event in stream:
            if event.type == "response.output_text.delta":
                break
    settle_open_streams(owner)
    assert [("acme", "ai_sms")] == [(usage.tenant, usage.feature) for usage in sink]


def test_nothing_that_was_written_is_in_a_usage(
    get_client: GetClient, run: Run, sink: list[Usage]
) -> None:
    run(read(get_client("OpenAI", sink.append)))
    run(read(get_client("OpenAI", sink.append, inject=True)))
    text = repr(sink)
    assert [] == [word for word in (*WORDS, "Jo", "Lahore") if word.strip() in text]


def test_a_plain_answer_in_json_without_usage_is_estimated(
    get_client: GetClient, sink: list[Usage], answers: OpenAIAnswers, answer_with: Script
) -> None:
    body = {**answers.example("chat_completions__default"), "usage": None}
    answer_with(as_json(body))
    get_client("OpenAI", sink.append).chat.completions.create(**ASK)
    assert [True] == [usage.metadata["usage_missing"] for usage in sink]
