"""The ways to call OpenAI, each written once for the synchronous and the asynchronous client.

A path gets a client and returns what its caller sees, as plain data, so that a bare and a metered
client can be compared. Beside it stands what must be metered: the id and the counts of each usage.
"""

import contextlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from inspect import isawaitable
from typing import Any, NamedTuple

from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.standins.openai_api import CHAT_ID, RESPONSE_ID, STREAM_ID

Call = Callable[[Any], Awaitable[Any]]

ASK: dict[str, Any] = {"model": "gpt-5.4", "messages": [{"role": "user", "content": "Hi, I am Jo"}]}
USAGE: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
RESPOND: dict[str, Any] = {"model": "gpt-5.4", "input": "Hi, I am Jo"}
TELL = "openai/made"
"""Stands for an id that was made, because an answer had none."""

ESTIMATED = {"usage_missing": True, "provisional": True}
MINI = {"model": "gpt-5.4-mini", "service_tier": "priority"}

CHAT = (
    CHAT_ID,
    {"model": "gpt-5.4", "service_tier": "default", "input_tokens": 19, "output_tokens": 10},
)
STREAM = (STREAM_ID, {**MINI, "input_tokens": 120, "output_tokens": 30})
# "Hi, I am Jo" and "user" are 15 bytes; the words are 26, the first of them 5.
GUESS = (STREAM_ID, {**MINI, "input_tokens": 4, "output_tokens": 7, **ESTIMATED})
EARLY_GUESS = (STREAM_ID, {**MINI, "input_tokens": 4, "output_tokens": 2, **ESTIMATED})
RESPONSE = (RESPONSE_ID, {"model": "gpt-5.4", "input_tokens": 36, "output_tokens": 87})
COMPLETION = (
    "cmpl-1",
    {"model": "gpt-3.5-turbo-instruct", "input_tokens": 120, "output_tokens": 30},
)

Metered = tuple[tuple[str, dict[str, Any]], ...]


class Path(NamedTuple):
    """One way to call, and what it must come to."""

    call: Call
    metered: Metered


PATHS: dict[str, Path] = {}


def path(*metered: tuple[str, dict[str, Any]]) -> Callable[[Call], Call]:
    """Enter a way to call, under its function's name."""

    def enter(call: Call) -> Call:
        PATHS[call.__name__] = Path(call, metered)
        return call

    return enter


async def settled(value: Any) -> Any:
    return await value if isawaitable(value) else value


async def each(items: Any) -> AsyncIterator[Any]:
    if hasattr(items, "__aiter__"):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


@contextlib.asynccontextmanager
async def opened(manager: Any) -> AsyncIterator[Any]:
    if hasattr(manager, "__aenter__"):
        async with manager as inside:
            yield inside
    else:
        with manager as inside:
            yield inside


async def seen(items: Any) -> list[Any]:
    return [item.to_dict() if hasattr(item, "to_dict") else item async for item in each(items)]


@path(CHAT)
async def chat(client: Any) -> Any:
    return (await settled(client.chat.completions.create(**ASK))).to_dict()


@path(CHAT)
async def chat_parse(client: Any) -> Any:
    return (await settled(client.chat.completions.parse(**ASK))).to_dict()


@path(CHAT)
async def chat_of_a_copy(client: Any) -> Any:
    copy = client.with_options(max_retries=0, timeout=20)
    return (await settled(copy.chat.completions.create(**ASK))).to_dict()


@path(CHAT)
async def chat_raw(client: Any) -> Any:
    raw = await settled(client.chat.completions.with_raw_response.create(**ASK))
    return raw.status_code, raw.http_response.text, (await settled(raw.parse())).to_dict()


@path(CHAT)
async def chat_raw_never_parsed(client: Any) -> Any:
    raw = await settled(client.chat.completions.with_raw_response.create(**ASK))
    return raw.headers["x-request-id"]


@path(CHAT)
async def chat_streaming_response(client: Any) -> Any:
    async with opened(client.chat.completions.with_streaming_response.create(**ASK)) as raw:
        return await settled(raw.json())


@path(CHAT)
async def chat_streaming_response_bytes(client: Any) -> Any:
    async with opened(client.chat.completions.with_streaming_response.create(**ASK)) as raw:
        return b"".join([part async for part in each(raw.iter_bytes(7))])


@path((TELL, {"model": "gpt-5.4", "input_tokens": 4, "output_tokens": 0, **ESTIMATED}))
async def chat_streaming_response_unread(client: Any) -> Any:
    async with opened(client.chat.completions.with_streaming_response.create(**ASK)) as raw:
        return raw.status_code


@path(CHAT)
async def chat_by_post(client: Any) -> Any:
    made = client.post("/chat/completions", cast_to=ChatCompletion, body=ASK)
    return (await settled(made)).to_dict()


@path(CHAT)
async def chat_in_gzip(client: Any) -> Any:
    zipped = {"x-standin": "gzip"}
    return (await settled(client.chat.completions.create(**ASK, extra_headers=zipped))).to_dict()


@path(STREAM)
async def chat_stream(client: Any) -> Any:
    return await seen(await settled(client.chat.completions.create(**ASK, **USAGE)))


@path(STREAM)
async def chat_stream_in_gzip(client: Any) -> Any:
    zipped = {"x-standin": "gzip"}
    made = client.chat.completions.create(**ASK, **USAGE, extra_headers=zipped)
    return await seen(await settled(made))


@path(STREAM)
async def chat_stream_inside_with(client: Any) -> Any:
    stream = await settled(client.chat.completions.create(**ASK, **USAGE))
    async with opened(stream):
        return await seen(stream)


@path(STREAM)
async def chat_stream_by_next(client: Any) -> Any:
    stream = await settled(client.chat.completions.create(**ASK, **USAGE))
    found = []
    for _ in range(6):
        item = await stream.__anext__() if hasattr(stream, "__anext__") else next(stream)
        found.append(item.to_dict())
    await settled(stream.close())
    return found


@path(STREAM)
async def chat_stream_left_at_its_usage(client: Any) -> Any:
    stream = await settled(client.chat.completions.create(**ASK, **USAGE))
    async for chunk in each(stream):
        if chunk.usage is not None:
            return chunk.to_dict()
    return None


@path(EARLY_GUESS)
async def chat_stream_closed_early(client: Any) -> Any:
    stream = await settled(client.chat.completions.create(**ASK, **USAGE))
    async with opened(stream):
        async for chunk in each(stream):
            if chunk.choices[0].delta.content == "Good ":
                return chunk.to_dict()
    return None


@path(GUESS)
async def chat_stream_without_usage(client: Any) -> Any:
    return await seen(await settled(client.chat.completions.create(**ASK, stream=True)))


@path(STREAM)
async def chat_stream_helper(client: Any) -> Any:
    options = {"stream_options": {"include_usage": True}}
    async with opened(client.chat.completions.stream(**ASK, **options)) as stream:
        kinds = [event.type async for event in each(stream)]
        return kinds, (await settled(stream.get_final_completion())).to_dict()


@path(STREAM)
async def chat_stream_raw(client: Any) -> Any:
    raw = await settled(client.chat.completions.with_raw_response.create(**ASK, **USAGE))
    return await seen(await settled(raw.parse()))


@path(STREAM)
async def chat_stream_lines(client: Any) -> Any:
    made = client.chat.completions.with_streaming_response.create(**ASK, **USAGE)
    async with opened(made) as raw:
        return await seen(raw.iter_lines())


@path(STREAM)
async def chat_stream_by_post(client: Any) -> Any:
    kind = "AsyncStream" if "Async" in type(client).__name__ else "Stream"
    stream_of = getattr(__import__("openai"), kind)
    made = client.post(
        "/chat/completions",
        cast_to=ChatCompletionChunk,
        body={**ASK, **USAGE},
        stream=True,
        stream_cls=stream_of[ChatCompletionChunk],
    )
    return await seen(await settled(made))


@path(COMPLETION)
async def completion(client: Any) -> Any:
    return (await settled(client.completions.create(model="x", prompt="Hi"))).to_dict()


@path(COMPLETION)
async def completion_stream(client: Any) -> Any:
    return await seen(await settled(client.completions.create(model="x", prompt="Hi", **USAGE)))


@path(RESPONSE)
async def response(client: Any) -> Any:
    return (await settled(client.responses.create(**RESPOND))).to_dict()


@path(RESPONSE)
async def response_parse(client: Any) -> Any:
    return (await settled(client.responses.parse(**RESPOND))).to_dict()


@path(RESPONSE)
async def response_raw(client: Any) -> Any:
    raw = await settled(client.responses.with_raw_response.create(**RESPOND))
    return (await settled(raw.parse())).output_text


@path(RESPONSE)
async def response_stream(client: Any) -> Any:
    return await seen(await settled(client.responses.create(**RESPOND, stream=True)))


@path(RESPONSE)
async def response_stream_helper(client: Any) -> Any:
    async with opened(client.responses.stream(**RESPOND)) as stream:
        kinds = [event.type async for event in each(stream)]
        return kinds, (await settled(stream.get_final_response())).to_dict()


# "Hi, I am Jo" is 11 bytes.
@path((RESPONSE_ID, {"model": "gpt-5.4", "input_tokens": 3, "output_tokens": 2, **ESTIMATED}))
async def response_stream_closed_early(client: Any) -> Any:
    stream = await settled(client.responses.create(**RESPOND, stream=True))
    async with opened(stream):
        async for event in each(stream):
            if event.type == "response.output_text.delta":
                return event.to_dict()
    return None


@path(RESPONSE)
async def response_looked_at_again(client: Any) -> Any:
    made = await settled(client.responses.create(**RESPOND))
    return (await settled(client.responses.retrieve(made.id))).to_dict()


@path(
    (
        "resp_compact",
        {
            "model": "gpt-5.4",
            "input_tokens": 81,
            "output_tokens": 1035,
            "reasoning_tokens": 832,
        },
    )
)
async def response_compacted(client: Any) -> Any:
    made = client.post("/responses/compact", cast_to=object, body=RESPOND)
    return await settled(made)


@path((TELL, {"model": "text-embedding-3-small", "input_tokens": 8, "output_tokens": 0}))
async def embedding(client: Any) -> Any:
    made = client.embeddings.create(model="text-embedding-3-small", input="Hi")
    return (await settled(made)).to_dict()


@path((TELL, {"model": "text-embedding-3-small", "input_tokens": 80, "output_tokens": 0}))
async def embeddings_as_numbers(client: Any) -> Any:
    made = client.embeddings.create(
        model="text-embedding-3-small", input=["Hi"] * 10, encoding_format="float"
    )
    return (await settled(made)).to_dict()


@path((TELL, {"input_tokens": 40, "output_tokens": 2, "model": "gpt-decide"}))
async def decision(client: Any) -> Any:
    return await settled(client.post("/decisions", cast_to=object, body={"questions": []}))


TRANSCRIPT = (
    TELL,
    {
        "model": "gpt-4o-transcribe",
        "input_tokens": 14,
        "audio_input_tokens": 14,
        "output_tokens": 45,
    },
)


def recording() -> tuple[str, io.BytesIO]:
    return "hello.wav", io.BytesIO(b"RIFF" + bytes(1000))


@path(TRANSCRIPT)
async def transcription(client: Any) -> Any:
    create = client.audio.transcriptions.create
    return (await settled(create(model="gpt-4o-transcribe", file=recording()))).to_dict()


@path((TELL, {"model": "whisper-1", "audio_seconds": 9}))
async def transcription_by_duration(client: Any) -> Any:
    create = client.audio.transcriptions.create
    return (await settled(create(model="whisper-1", file=recording()))).to_dict()


@path(TRANSCRIPT)
async def transcription_stream(client: Any) -> Any:
    create = client.audio.transcriptions.create
    return await seen(
        await settled(create(model="gpt-4o-transcribe", file=recording(), stream=True))
    )


@path((TELL, {"model": "whisper-1", "input_tokens": 0, "output_tokens": 4, **ESTIMATED}))
async def transcription_as_text(client: Any) -> Any:
    create = client.audio.transcriptions.create
    return await settled(create(model="whisper-1", file=recording(), response_format="text"))


@path((TELL, {"model": "whisper-1", "audio_seconds": 62.5, **ESTIMATED}))
async def transcription_as_subtitles(client: Any) -> Any:
    create = client.audio.transcriptions.create
    return await settled(create(model="whisper-1", file=recording(), response_format="srt"))


@path((TELL, {"model": "whisper-1", "audio_seconds": 8.47}))
async def translation(client: Any) -> Any:
    create = client.audio.translations.create
    made = create(model="whisper-1", file=recording(), response_format="verbose_json")
    return (await settled(made)).to_dict()


@path((TELL, {"model": "tts-1", "input_tokens": 3, "output_tokens": 0, **ESTIMATED}))
async def speech(client: Any) -> Any:
    made = client.audio.speech.create(model="tts-1", voice="alloy", input="Good morning")
    return (await settled(made)).content


IMAGE = {
    "input_tokens": 50,
    "image_input_tokens": 40,
    "output_tokens": 1056,
    "image_output_tokens": 1056,
}


@path((TELL, {"model": "gpt-image-1", **IMAGE}))
async def image(client: Any) -> Any:
    return (await settled(client.images.generate(model="gpt-image-1", prompt="Jo"))).to_dict()


@path((TELL, {"model": "gpt-image-1", **IMAGE}))
async def image_edited(client: Any) -> Any:
    picture = ("a.png", b"PNG", "image/png")
    made = client.images.edit(model="gpt-image-1", prompt="Jo", image=picture)
    return (await settled(made)).to_dict()


@path((TELL, {"model": "gpt-image-1", **IMAGE}))
async def image_stream(client: Any) -> Any:
    made = client.images.generate(model="gpt-image-1", prompt="Jo", stream=True)
    return await seen(await settled(made))


@path(RESPONSE)
async def response_in_the_background(client: Any) -> Any:
    made = await settled(client.responses.create(**RESPOND, background=True))
    looks = [await settled(client.responses.retrieve(f"{made.id}_background")) for _ in range(3)]
    return made.status, [look.to_dict() for look in looks]


@path(
    (
        "batch_1",
        {
            "model": "gpt-5.4-mini",
            "batch": True,
            "input_tokens": 1000,
            "cached_tokens": 100,
            "output_tokens": 500,
            "reasoning_tokens": 50,
        },
    )
)
async def batch(client: Any) -> Any:
    window: Any = {"completion_window": "24h", "endpoint": "/v1/chat/completions"}
    made = await settled(client.batches.create(input_file_id="file-1", **window))
    looks = [await settled(client.batches.retrieve(made.id)) for _ in range(4)]
    return [look.to_dict() for look in looks]


@path()
async def refused(client: Any) -> Any:
    try:
        await settled(client.chat.completions.create(**{**ASK, "model": "unknown"}))
    except Exception as error:  # noqa: BLE001 (whatever it is, it must be the same)
        return type(error).__name__, str(error), json.dumps(getattr(error, "body", None))
    return None


@path()
async def models(client: Any) -> Any:
    return await seen(await settled(client.models.list()))


@path()
async def moderation(client: Any) -> Any:
    return (await settled(client.moderations.create(input="Hi"))).to_dict()
