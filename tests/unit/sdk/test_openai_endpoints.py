import pytest

from meterline.openai_hook import knows_usage_option
from meterline.openai_hook.endpoints import find_endpoint
from meterline.openai_hook.outgoing import add_usage_option


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", b"/v1/chat/completions", "chat"),
        ("POST", b"/openai/deployments/gpt/chat/completions?api-version=1", "chat"),
        ("POST", b"/v1/completions", "completions"),
        ("POST", b"/v1/responses/", "responses"),
        ("POST", b"/v1/responses/compact", "compaction"),
        ("GET", b"/v1/responses/resp_1?include=x", "stored response"),
        ("POST", b"/v1/responses/resp_1/cancel", "stored response"),
        ("POST", b"/v1/audio/translations", "transcriptions"),
        ("POST", b"/v1/batches", "batch"),
        ("GET", b"/v1/batches/batch_1", "batch"),
    ],
)
def test_what_tells_usage_is_metered(method: str, path: bytes, name: str) -> None:
    found = find_endpoint(method, path)
    assert name == (found and found.name)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", b"/v1/chat/completions"),
        ("GET", b"/v1/chat/completions/chatcmpl-1"),
        ("GET", b"/v1/batches?limit=3"),
        ("GET", b"/v1/responses/resp_1/input_items"),
        ("POST", b"/v1/responses/input_tokens"),
        ("POST", b"/v1/chat/completions/chatcmpl-1"),
        ("DELETE", b"/v1/responses/resp_1"),
        ("POST", b"/v1/moderations"),
        ("POST", b"/v1/files"),
    ],
)
def test_what_tells_none_is_left_alone(method: str, path: bytes) -> None:
    assert find_endpoint(method, path) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"stream":true}', b'{"stream_options":{"include_usage":true},"stream":true}'),
        (
            b'{"stream":true,"stream_options":{"include_obfuscation":false}}',
            b'{"stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true}}',
        ),
        (
            b"""{"stream":true,"stream_options":null}""",
            b"""{"stream":true,"stream_options":{"include_usage":true}}""",
        ),
        (b'{"stream":true,"stream_options":{"include_usage":true}}', None),
        (b'{"stream":false}', None),
        (b'{"messages":[{"content":"\\"stream\\":true"}]}', None),
        (b'{"tools":[{"stream":true}]}', None),
        (b'[{"stream":true}]', None),
    ],
)
def test_a_stream_that_asks_for_no_usage_is_made_to(body: bytes, expected: bytes | None) -> None:
    assert expected == add_usage_option(body)


class At:
    def __init__(self, host: str) -> None:
        self.base_url = self
        self.host = host


@pytest.mark.parametrize(
    ("known", "host"),
    [
        (True, "api.openai.com"),
        (True, "eu.api.openai.com"),
        (False, "mine.openai.azure.com"),
        (False, "mine.services.ai.azure.com"),
        (False, "api.notopenai.com"),
        (False, "localhost"),
    ],
)
def test_hosts_that_know_the_option(host: str, *, known: bool) -> None:
    assert known == knows_usage_option(At(host))
