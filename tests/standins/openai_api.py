"""What OpenAI's stand-in answers: the specification's examples, and shapes that it describes."""

import base64
import json
import re
from array import array
from pathlib import Path
from typing import Any

from tests.standins.server import Answer, Asked, as_events, as_json, zipped

CHAT_ID = "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT"
STREAM_ID = "chatcmpl-stream1"
RESPONSE_ID = "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b"
REQUEST_ID = "req_5f2c"
CREATED = 1741569952
COUNTS = {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150}
WORDS = ("Good ", "morning, ", "Jo ", "of Lahore")
DIMENSIONS = 1536


class OpenAIAnswers:
    """Answers every endpoint; `polls` counts the looks at what was made in the background."""

    def __init__(self, shared: Path) -> None:
        self._examples = shared / "data/openai"
        self.forget()

    def forget(self) -> None:
        """Be as if nothing had been asked."""
        self.polls = 0
        self.failures_left = 0

    def __call__(self, asked: Asked) -> Answer:
        if self.failures_left:
            self.failures_left -= 1
            return as_json({"error": {"message": "try again"}}, status=500, retry_after_ms="1")
        path = re.sub(r"^(/v1|/openai/deployments/[^/]+|/openai)", "", asked.path.partition("?")[0])
        name = path.strip("/").replace("/", "_")
        answer = getattr(self, f"_{name}", None)
        if answer is None:
            answer = self._stored if path.startswith(("/responses/", "/batches/")) else self._none
        found: Answer = answer(asked)
        found = found._replace(headers={"x-request-id": REQUEST_ID, **found.headers})
        return zipped(found) if asked.headers.get("x-standin") == "gzip" else found

    def example(self, name: str) -> Any:
        return json.loads((self._examples / f"{name}.json").read_text())

    def _none(self, asked: Asked) -> Answer:
        if asked.path.endswith("/models"):
            return as_json({"object": "list", "data": []})
        if asked.path.endswith("/moderations"):
            return as_json({"id": "modr-1", "model": "omni-moderation", "results": []})
        return as_json({"error": {"message": "no such page", "code": "not_found"}}, status=404)

    def _chat_completions(self, asked: Asked) -> Answer:
        request = asked.json
        if request["model"] == "unknown":
            return as_json({"error": {"message": "no such model", "code": "bad"}}, status=400)
        if not request.get("stream"):
            return as_json(self.example("chat_completions__default"))
        asks = (request.get("stream_options") or {}).get("include_usage", False)
        return as_events(chat_chunks(usage=COUNTS if asks else None, asks=asks))

    def _completions(self, asked: Asked) -> Answer:
        body: dict[str, Any] = {
            "id": "cmpl-1",
            "object": "text_completion",
            "created": CREATED,
            "model": "gpt-3.5-turbo-instruct",
            "choices": [{"text": "yes", "index": 0, "logprobs": None, "finish_reason": "stop"}],
        }
        if not asked.json.get("stream"):
            return as_json({**body, "usage": COUNTS})
        asks = "stream_options" in asked.json
        return as_events([body, body, *[{**body, "choices": [], "usage": COUNTS}] * asks])

    def _responses(self, asked: Asked) -> Answer:
        body = self.example("responses__text_input")
        request = asked.json
        waiting = {**body, "status": "queued", "usage": None, "background": True, "output": []}
        if request.get("stream"):
            return as_events(response_events(body), end=False)
        return as_json(waiting if request.get("background") else body)

    def _responses_compact(self, _asked: Asked) -> Answer:
        usage = self.example("responses__reasoning")["usage"]
        body = {"id": "resp_compact", "object": "response.compaction", "created_at": CREATED}
        return as_json({**body, "output": [], "usage": usage})

    def _stored(self, asked: Asked) -> Answer:
        self.polls += 1
        if "/batches/" in asked.path:
            done = self.polls > 1
            status, at = ("completed", CREATED + 60) if done else ("in_progress", None)
            return as_json(batch(status=status, completed_at=at))
        background = "background" in asked.path
        return as_json({**self.example("responses__text_input"), "background": background})

    def _batches(self, _asked: Asked) -> Answer:
        return as_json({**batch(status="validating"), "usage": None})

    def _embeddings(self, asked: Asked) -> Answer:
        request = asked.json
        numbers = [n / 7 for n in range(DIMENSIONS)]
        plain = request.get("encoding_format") == "float"
        packed = base64.b64encode(array("f", numbers).tobytes()).decode()
        texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
        data = [
            {"object": "embedding", "index": n, "embedding": numbers if plain else packed}
            for n in range(len(texts))
        ]
        usage = {"prompt_tokens": 8 * len(texts), "total_tokens": 8 * len(texts)}
        model = "text-embedding-3-small"
        return as_json({"object": "list", "data": data, "model": model, "usage": usage})

    def _decisions(self, _asked: Asked) -> Answer:
        usage = {"input_tokens": 40, "output_tokens": 2, "total_tokens": 42}
        return as_json({"answers": [], "model": "gpt-decide", "usage": usage})

    def _audio_transcriptions(self, asked: Asked) -> Answer:
        if b'name="stream"\r\n\r\ntrue' in asked.body:
            text = (self._examples / "audio_transcriptions__streaming.sse.txt").read_bytes()
            parts = [event + b"\n\n" for event in text.strip().split(b"\n\n")]
            return Answer(parts, headers={"content-type": "text/event-stream"})
        if b"\r\n\r\ntext\r\n" in asked.body:
            return Answer(b"Good morning.\n", headers={"content-type": "text/plain"})
        if b"\r\n\r\nsrt\r\n" in asked.body:
            cues = b"1\n00:00:00,000 --> 00:01:02,500\nGood morning.\n"
            return Answer(cues, headers={"content-type": "text/plain"})
        if b"whisper-1" in asked.body:
            usage = {"type": "duration", "seconds": 9}
            return as_json({"text": "Good morning.", "usage": usage})
        return as_json(self.example("audio_transcriptions__default"))

    def _audio_translations(self, _asked: Asked) -> Answer:
        return as_json({"text": "Good", "language": "english", "duration": 8.47, "segments": []})

    def _audio_speech(self, _asked: Asked) -> Answer:
        return Answer(b"ID3" + bytes(range(256)) * 8, headers={"content-type": "audio/mpeg"})

    def _images_generations(self, asked: Asked) -> Answer:
        usage = {
            "input_tokens": 50,
            "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
            "output_tokens": 1056,
            "total_tokens": 1106,
        }
        image = base64.b64encode(bytes(90_000)).decode()
        if asked.json.get("stream"):
            part = {"type": "image_generation.partial_image", "b64_json": image, "created_at": 1}
            last = {"type": "image_generation.completed", "b64_json": image, "created_at": CREATED}
            extra = {"background": "opaque", "output_format": "png", "quality": "low", "size": "a"}
            partial = {**part, **extra, "partial_image_index": 0}
            return as_events([partial, {**last, **extra, "usage": usage}], end=False)
        return as_json({"created": CREATED, "data": [{"b64_json": image}], "usage": usage})

    _images_edits = _images_generations


def chat_chunks(
    *, usage: dict[str, Any] | None = None, asks: bool = False, words: tuple[str, ...] = WORDS
) -> list[dict[str, Any]]:
    """Return the chunks of a streamed chat; usage is null until the last, where it is asked for."""
    head: dict[str, Any] = {
        "id": STREAM_ID,
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": "gpt-5.4-mini",
        "service_tier": "priority",
        "system_fingerprint": None,
    }
    nulls = {"usage": None} if asks else {}
    chunks = [
        {**head, "choices": [{"index": 0, "delta": {"content": word}}], **nulls} for word in words
    ]
    stop = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks.append({**head, "choices": [stop], **nulls})
    return [*chunks, {**head, "choices": [], "usage": usage}] if usage else chunks


def response_events(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events that bring a response; usage is in the last one."""
    begun = {**body, "status": "in_progress", "usage": None, "output": []}
    item = body["output"][0]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": []}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "content": [], "status": "in_progress"},
        },
        {"type": "response.content_part.added", **place, "part": empty},
        *(
            {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
            for word in WORDS
        ),
        {"type": "response.completed", "response": body},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def batch(**changes: Any) -> dict[str, Any]:
    """Return a batch with usage, as every look at it shows."""
    usage = {
        "input_tokens": 1000,
        "input_tokens_details": {"cached_tokens": 100},
        "output_tokens": 500,
        "output_tokens_details": {"reasoning_tokens": 50},
        "total_tokens": 1500,
    }
    return {
        "id": "batch_1",
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "input_file_id": "file-1",
        "completion_window": "24h",
        "created_at": CREATED,
        "status": "completed",
        "model": "gpt-5.4-mini",
        "usage": usage,
        **changes,
    }
