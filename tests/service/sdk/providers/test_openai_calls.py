"""What surrounds a call: who it is for, retries, shared clients, large and inner usages."""

import asyncio
import json
import re
import sys
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import openai
import pytest

from meterline.context import working_for
from meterline.openai_hook import meter_openai
from meterline.usage import Usage
from tests.service.sdk.providers.conftest import KINDS, GetClient, Run
from tests.service.sdk.providers.memory import forget_all
from tests.service.sdk.providers.openai_paths import ASK, RESPOND, settled
from tests.standins.openai_api import (
    CHAT_ID,
    CREATED,
    REQUEST_ID,
    RESPONSE_ID,
    OpenAIAnswers,
    batch,
)
from tests.standins.server import Answer, Asked, StandIn, as_json, zipped


def make_transport(url: str) -> Any:
    """Return a transport of the http library that openai uses, which goes to a stand-in."""
    library: Any = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]

    class ToStandIn(library.HTTPTransport):  # type: ignore[misc] # of whichever library it is
        def handle_request(self, request: Any) -> Any:
            target = f"{url}{request.url.raw_path.decode()}"
            sent = library.Request(
                request.method, target, headers=request.headers, stream=request.stream
            )
            return super().handle_request(sent)

    return ToStandIn()


def say(standin: StandIn, answer: Answer) -> None:
    def same(_asked: Asked) -> Answer:
        return answer

    standin.answer = same


@pytest.fixture
def own_client(openai_api: StandIn) -> Iterator[openai.OpenAI]:
    """A client that no other test has."""
    with openai.OpenAI(api_key="k", base_url=f"{openai_api.url}/v1", timeout=20) as client:
        yield client


def test_a_usage_says_who_it_is_for_when_it_was_and_what_it_was(
    get_client: GetClient, sink: list[Usage]
) -> None:
    with working_for("acme", "ai_sms"):
        get_client("OpenAI", sink.append).chat.completions.create(**ASK)
    metadata = {
        "model": "gpt-5.4",
        "input_tokens": 19,
        "output_tokens": 10,
        "service_tier": "default",
    }
    fields = (CHAT_ID, float(CREATED), "ai", "outbound", "openai", "acme", "ai_sms", None, metadata)
    assert [fields] == [tuple(usage) for usage in sink]


def test_a_stream_is_for_whom_it_was_begun_whoever_reads_it(
    get_client: GetClient, sink: list[Usage]
) -> None:
    client = get_client("OpenAI", sink.append)
    with working_for("acme", "ai_sms"):
        stream = client.chat.completions.create(**ASK, stream=True)
    with working_for("karachi"):
        list(stream)
    assert [("acme", "ai_sms")] == [(usage.tenant, usage.feature) for usage in sink]


def test_tasks_of_different_tenants_do_not_mix(
    get_client: GetClient, run: Run, sink: list[Usage]
) -> None:
    async def call(client: Any, tenant: str) -> None:
        with working_for(tenant):
            await client.chat.completions.create(**ASK)

    async def call_all() -> None:
        client = get_client("AsyncOpenAI", sink.append)
        await asyncio.gather(*(call(client, f"tenant-{n}") for n in range(8)))

    run(call_all())
    assert {f"tenant-{n}" for n in range(8)} == {usage.tenant for usage in sink}


def test_a_thread_with_a_copied_context_works_for_the_same_tenant(
    get_client: GetClient, sink: list[Usage]
) -> None:
    create = get_client("OpenAI", sink.append).chat.completions.create
    with ThreadPoolExecutor(1) as pool, working_for("acme"):
        pool.submit(copy_context().run, lambda: create(**ASK)).result()
    assert ["acme"] == [usage.tenant for usage in sink]


@pytest.mark.parametrize("kind", KINDS)
def test_failed_attempts_count_nothing_and_the_last_one_once(
    kind: str, get_client: GetClient, run: Run, sink: list[Usage], answers: OpenAIAnswers
) -> None:
    async def call() -> None:
        await settled(get_client(kind, sink.append).chat.completions.create(**ASK))

    answers.failures_left = 2
    run(call())
    assert [CHAT_ID] == [usage.id for usage in sink]


@pytest.mark.parametrize("status", [302, 400, 429, 500])
def test_an_answer_that_is_no_success_counts_nothing_whatever_it_holds(
    status: int,
    get_client: GetClient,
    sink: list[Usage],
    answers: OpenAIAnswers,
    openai_api: StandIn,
) -> None:
    say(openai_api, as_json(answers.example("chat_completions__default"), status=status))
    client = get_client("OpenAI", sink.append).with_options(max_retries=0)
    with pytest.raises(openai.APIStatusError):
        client.chat.completions.create(**ASK)
    assert [] == sink


def test_an_answer_that_broke_in_the_middle_counts_nothing(
    get_client: GetClient, sink: list[Usage], openai_api: StandIn
) -> None:
    half = Answer([b'{"id":"chatcmpl-1",'], headers={"content-type": "application/json"})
    say(openai_api, half._replace(is_broken=True))
    with pytest.raises(openai.APIConnectionError):
        get_client("OpenAI", sink.append).with_options(max_retries=0).chat.completions.create(**ASK)
    assert [] == sink


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b'["?"]', b"", b'{"error":{"a":1}}'])
def test_a_success_that_is_no_answer_of_the_provider_counts_nothing(
    body: bytes, get_client: GetClient, sink: list[Usage], openai_api: StandIn
) -> None:
    say(openai_api, Answer(body, headers={"content-type": "text/html"}))
    get_client("OpenAI", sink.append).post("/chat/completions", cast_to=str, body=ASK)
    assert [] == sink


def test_a_client_that_is_metered_twice_counts_once(
    own_client: openai.OpenAI, sink: list[Usage]
) -> None:
    other: list[Usage] = []
    copy = own_client.with_options(max_retries=1)
    meter_openai(own_client, sink.append, inject_stream_usage=False)
    meter_openai(own_client, sink.append, inject_stream_usage=False)
    meter_openai(copy, other.append, inject_stream_usage=False)
    copy.chat.completions.create(**ASK)
    assert (1, []) == (len(sink), other)


def test_what_is_no_openai_client_is_refused() -> None:
    with pytest.raises(TypeError, match="openai"):
        meter_openai(object(), print, inject_stream_usage=False)


@pytest.mark.parametrize("kind", ["AzureOpenAI", "AsyncAzureOpenAI"])
def test_a_client_of_azure_is_metered(
    kind: str, openai_api: StandIn, answers: OpenAIAnswers, run: Run, sink: list[Usage]
) -> None:
    assert openai_api.answer is answers
    endpoint: dict[str, Any] = {"azure_endpoint": openai_api.url, "api_version": "2026-01-01"}
    client = getattr(openai, kind)(api_key="k", **endpoint)
    meter_openai(client, sink.append, inject_stream_usage=True)

    async def call() -> None:
        await settled(client.chat.completions.create(**ASK))
        await settled(client.close())

    run(call())
    assert [CHAT_ID] == [usage.id for usage in sink]


def test_a_client_with_an_http_client_of_the_host_is_metered(
    openai_api: StandIn, answers: OpenAIAnswers, sink: list[Usage]
) -> None:
    assert openai_api.answer is answers
    http = openai.DefaultHttpxClient(timeout=20)
    with openai.OpenAI(api_key="k", base_url=f"{openai_api.url}/v1", http_client=http) as client:
        meter_openai(client, sink.append, inject_stream_usage=False).chat.completions.create(**ASK)
    assert [CHAT_ID] == [usage.id for usage in sink]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_a_hook_of_the_host_reads_is_metered_as_it_is(
    openai_api: StandIn, answers: OpenAIAnswers, sink: list[Usage], *, stream: bool
) -> None:
    assert openai_api.answer is answers
    hooks = {"response": [lambda response: response.read()]}
    http = openai.DefaultHttpxClient(timeout=20, event_hooks=hooks)
    with openai.OpenAI(api_key="k", base_url=f"{openai_api.url}/v1", http_client=http) as client:
        meter_openai(client, sink.append, inject_stream_usage=True)
        made = client.chat.completions.create(**ASK, stream=stream)
        list(made)
    found = [(u.metadata["output_tokens"], u.metadata.get("usage_missing")) for u in sink]
    assert [(30 if stream else 10, None)] == found


def test_speech_is_metered_without_being_kept(
    get_client: GetClient, sink: list[Usage], openai_api: StandIn
) -> None:
    parts = 24
    megabyte = bytes(1 << 20)
    say(openai_api, Answer([megabyte] * parts, headers={"content-type": "audio/mpeg"}))
    create = get_client("OpenAI", sink.append).audio.speech.with_streaming_response.create
    tracemalloc.start()
    with create(model="tts-1", voice="alloy", input="Good morning") as spoken:
        read = sum(len(part) for part in spoken.iter_bytes(1 << 16))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (parts << 20, True, 1) == (read, peak < parts << 19, len(sink))


@pytest.mark.parametrize("encode", [False, True])
def test_embeddings_of_megabytes_are_metered(
    get_client: GetClient, sink: list[Usage], openai_api: StandIn, *, encode: bool
) -> None:
    data = [{"object": "embedding", "index": n, "embedding": [0.0123] * 1536} for n in range(100)]
    usage = {"prompt_tokens": 800, "total_tokens": 800}
    body = {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage}
    answer = as_json(body)
    say(openai_api, zipped(answer) if encode else answer)
    client = get_client("OpenAI", sink.append)
    client.embeddings.create(model="x", input="Hi", encoding_format="float")
    expected = {"model": "text-embedding-3-small", "input_tokens": 800, "output_tokens": 0}
    assert [expected] == [usage.metadata for usage in sink]


def test_what_other_models_used_on_the_way_is_metered_apart(
    get_client: GetClient, sink: list[Usage], answers: OpenAIAnswers, openai_api: StandIn
) -> None:
    drawn = {"input_tokens": 50, "output_tokens": 1056, "total_tokens": 1106}
    nothing = {"num_requests": 0}
    body = {
        **answers.example("responses__text_input"),
        "tool_usage": {"image_gen": drawn, "web_search": nothing},
        "tools": [{"type": "image_generation", "model": "gpt-image-1"}],
    }
    say(openai_api, as_json(body))
    get_client("OpenAI", sink.append).responses.create(**RESPOND)
    found = [(usage.id, usage.metadata["model"], usage.metadata["output_tokens"]) for usage in sink]
    assert [
        (RESPONSE_ID, "gpt-5.4", 87),
        (f"{RESPONSE_ID}/image_gen", "gpt-image-1", 1056),
    ] == found


def test_svg_authoring_is_metered_apart(
    get_client: GetClient, sink: list[Usage], openai_api: StandIn
) -> None:
    svg = {"model": "gpt-svg", "input_tokens": 9, "output_tokens": 4, "total_tokens": 13}
    usage = {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11}
    say(openai_api, as_json({"created": CREATED, "data": [], "usage": usage, "svg_usage": svg}))
    get_client("OpenAI", sink.append).images.generate(model="gpt-image-2", prompt="x")
    found = [(usage.metadata["model"], usage.metadata["input_tokens"]) for usage in sink]
    assert [("gpt-image-2", 5), ("gpt-svg", 9)] == found


def test_a_look_from_another_process_makes_an_equal_usage(
    get_client: GetClient, sink: list[Usage]
) -> None:
    client = get_client("OpenAI", sink.append)
    for _ in range(2):
        forget_all()
        client.responses.retrieve("resp_background")
        client.batches.retrieve("batch_1")
        client.batches.retrieve("batch_1")
    assert (4, 2) == (len(sink), len({json.dumps(usage) for usage in sink}))


@pytest.mark.parametrize("path", ["/batches/batch_1", "/responses/resp_background"])
def test_a_look_from_another_process_is_for_whom_the_metadata_of_the_answer_name(
    path: str,
    get_client: GetClient,
    sink: list[Usage],
    answers: OpenAIAnswers,
    openai_api: StandIn,
) -> None:
    named = {"meterline_tenant": "acme", "meterline_feature": "ai_sms", "job": "7"}
    body = {**batch(), **answers.example("responses__text_input"), "background": True}
    say(openai_api, as_json({**body, "id": "one", "metadata": named, "status": "completed"}))
    with working_for("worker"):
        get_client("OpenAI", sink.append).get(path, cast_to=object)
    assert [("acme", "ai_sms")] == [(usage.tenant, usage.feature) for usage in sink]


@pytest.mark.parametrize("named", [None, {}, [], {"meterline_tenant": 5}, {"meterline_tenant": ""}])
def test_metadata_that_name_nobody_leave_a_look_to_who_looks(
    named: object, get_client: GetClient, sink: list[Usage], openai_api: StandIn
) -> None:
    say(openai_api, as_json({**batch(), "metadata": named}))
    with working_for("worker", "nightly"):
        get_client("OpenAI", sink.append).batches.retrieve("batch_1")
    assert [("worker", "nightly")] == [(usage.tenant, usage.feature) for usage in sink]


def test_what_was_asked_for_by_one_tenant_is_booked_on_it_whoever_looks(
    get_client: GetClient, sink: list[Usage]
) -> None:
    client = get_client("OpenAI", sink.append)
    with working_for("acme", "ai_sms"):
        client.responses.create(**RESPOND, background=True)
    client.responses.retrieve("resp_background")
    assert [("acme", "ai_sms")] == [(usage.tenant, usage.feature) for usage in sink]


def test_an_answer_without_an_id_is_named_after_its_request(
    get_client: GetClient, sink: list[Usage], openai_api: StandIn
) -> None:
    say(openai_api, as_json({"answers": [], "usage": {"total_tokens": 3}}))
    get_client("OpenAI", sink.append).post("/decisions", cast_to=object, body={})
    assert re.fullmatch(r"openai/[0-9a-f-]{36}", sink[0].id)


@pytest.mark.parametrize(
    ("host", "same"),
    [("api.openai.com", True), ("mine.services.ai.azure.com", True), ("gateway.example", False)],
)
def test_calls_of_one_request_of_a_gateway_are_told_apart(
    host: str, openai_api: StandIn, answers: OpenAIAnswers, sink: list[Usage], *, same: bool
) -> None:
    assert openai_api.answer is answers
    http = openai.DefaultHttpxClient(timeout=20, transport=make_transport(openai_api.url))
    with openai.OpenAI(api_key="k", base_url=f"http://{host}/v1", http_client=http) as client:
        meter_openai(client, sink.append, inject_stream_usage=False)
        for _ in range(2):
            client.embeddings.create(model="text-embedding-3-small", input="Hi")
    ids = {usage.id for usage in sink}
    assert (same, 1 if same else 2) == (f"openai/{REQUEST_ID}" in ids, len(ids))


def test_labels_that_the_collector_would_refuse_are_left_out(
    get_client: GetClient, sink: list[Usage], answers: OpenAIAnswers, openai_api: StandIn
) -> None:
    body = answers.example("chat_completions__default")
    say(openai_api, as_json({**body, "model": "x" * 200, "service_tier": "NOT A SLUG"}))
    get_client("OpenAI", sink.append).chat.completions.create(**ASK)
    assert [{"input_tokens": 19, "output_tokens": 10}] == [usage.metadata for usage in sink]
