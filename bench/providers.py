"""What metering adds to a provider's call: the same call of a bare and of a metered client.

The real packages run on transports in memory, so nothing but the client's own work is compared
with; against a network, what is added would be lost in its noise. Both calls of a pair follow each
other, in random order, and the median of the differences counts. The metered client hands over to
a real meter with a spool folder, whose sender sleeps meanwhile.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import openai
from python_http_client import Client as SendGridHttp
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Mail
from twilio.http import HttpClient
from twilio.http.response import Response as TwilioResponse
from twilio.rest import Client as TwilioClient

from bench.table import Line
from meterline import Meter

PAIRS = 3000
WARM_UP = 200
ASKED = {"openai": 40, "twilio": 15, "sendgrid": 25}

_NOWHERE = "http://127.0.0.1:9"
_ASK: dict[str, Any] = {"model": "gpt-5.4", "messages": [{"role": "user", "content": "Hello"}]}
_HEADERS = {"content-type": "application/json", "x-request-id": "req_1"}
_ACCOUNT = "AC" + "a" * 32

Call = Callable[[], object]


class Pair(NamedTuple):
    """Median seconds of the bare call, and of what metering added to it."""

    bare: float
    added: float


def measure() -> list[Line]:
    """Compare calls of OpenAI (synchronous and not), Twilio and SendGrid; and another wrapper."""
    with _meter() as meter:
        library = _library()
        chat = f"chat completion on openai {openai.__version__}"
        lines = [
            _line(f"{chat}, sync", _pair(_chat(library), meter.openai(_chat(library))), "openai"),
            _line(f"{chat}, async", asyncio.run(_pair_async(library, meter)), "openai"),
            _line("message of Twilio", _pair_twilio(meter), "twilio"),
            _line("mailing of SendGrid", _pair_sendgrid(meter), "sendgrid"),
        ]
        return lines + _compare_other(library, meter)


@contextmanager
def _meter() -> Iterator[Meter]:
    with TemporaryDirectory(prefix="bench-") as folder:
        meter = Meter(_NOWHERE, "key", spool=folder, interval=600, exit_timeout=0)
        with meter.context(tenant="acme", feature="support_ai"):
            yield meter
        stats = meter.stats()
        meter.close(timeout=0)
    if not stats.recorded or stats.dropped or stats.refused:
        raise AssertionError(f"not everything was recorded: {stats}")


def _line(name: str, pair: Pair, provider: str, asked: str | None = None) -> Line:
    what = f"{name}: {1e6 * pair.added:+.1f} us on {1e6 * pair.bare:.0f}"
    metered = pair.bare + pair.added
    bound = f"<= {ASKED[provider]} us more" if asked is None else asked
    return Line(what, metered, pair.bare, metered / pair.bare, bound)


def _compare(first: Call, second: Call) -> Pair:
    """Time both calls, after a warm-up, each pair in random order."""
    random = Random(1)
    for _ in range(WARM_UP):
        first()
        second()
    seconds: list[tuple[float, float]] = []
    for _ in range(PAIRS):
        if random.random() < 1 / 2:
            one = _time(first)
            seconds.append((one, _time(second)))
        else:
            two = _time(second)
            seconds.append((_time(first), two))
    return Pair(median(one for one, _ in seconds), median(two - one for one, two in seconds))


def _time(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


# OpenAI


def _library() -> Any:
    """Return the http library that the openai package is built on."""
    with openai.OpenAI(api_key="k") as client:
        http = client._client  # noqa: SLF001 (as the hook finds it)
        names = {cls.__module__.partition(".")[0] for cls in type(http).__mro__}
    return sys.modules["httpx2" if "httpx2" in names else "httpx"]


def _answer() -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hello! How can I assist you today?"},
        "logprobs": None,
        "finish_reason": "stop",
    }
    usage = {
        "prompt_tokens": 19,
        "completion_tokens": 10,
        "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    answer = {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": int(time.perf_counter()) + 1_790_000_000,
        "model": "gpt-5.4",
        "choices": [choice],
        "usage": usage,
        "service_tier": "default",
    }
    return json.dumps(answer).encode()


def _chat(library: Any) -> openai.OpenAI:
    body = _answer()

    class Stream(library.SyncByteStream):  # type: ignore[misc]  # of either library
        def __iter__(self) -> Iterator[bytes]:
            yield body

    class Transport(library.BaseTransport):  # type: ignore[misc]  # of either library
        def handle_request(self, _request: Any) -> Any:
            return library.Response(200, headers=_HEADERS, stream=Stream())

    return openai.OpenAI(api_key="k", http_client=library.Client(transport=Transport()))


def _chat_async(library: Any) -> openai.AsyncOpenAI:
    body = _answer()

    class Stream(library.AsyncByteStream):  # type: ignore[misc]  # of either library
        async def __aiter__(self) -> Any:
            yield body

    class Transport(library.AsyncBaseTransport):  # type: ignore[misc]  # of either library
        async def handle_async_request(self, _request: Any) -> Any:
            return library.Response(200, headers=_HEADERS, stream=Stream())

    return openai.AsyncOpenAI(api_key="k", http_client=library.AsyncClient(transport=Transport()))


def _pair(bare: openai.OpenAI, metered: openai.OpenAI) -> Pair:
    return _compare(
        partial(bare.chat.completions.create, **_ASK),
        partial(metered.chat.completions.create, **_ASK),
    )


async def _pair_async(library: Any, meter: Meter) -> Pair:
    bare, metered = _chat_async(library), meter.openai(_chat_async(library))
    random = Random(1)

    async def take(client: openai.AsyncOpenAI) -> float:
        create: Callable[..., Awaitable[object]] = client.chat.completions.create
        start = time.perf_counter()
        await create(**_ASK)
        return time.perf_counter() - start

    seconds: list[tuple[float, float]] = []
    for _ in range(WARM_UP + PAIRS):
        if random.random() < 1 / 2:
            one = await take(bare)
            seconds.append((one, await take(metered)))
        else:
            two = await take(metered)
            seconds.append((await take(bare), two))
    del seconds[:WARM_UP]
    return Pair(median(one for one, _ in seconds), median(two - one for one, two in seconds))


# Twilio and SendGrid


class _TwilioInMemory(HttpClient):  # type: ignore[misc]  # a package without types
    def __init__(self) -> None:
        self.is_async = False
        message = {
            "account_sid": _ACCOUNT,
            "body": "Hello",
            "direction": "outbound-api",
            "num_media": "0",
            "num_segments": "1",
            "sid": "SM" + "a" * 32,
            "status": "queued",
            "subresource_uris": {"media": "/2010-04-01/Media.json"},
            "to": "+14155552345",
        }
        self._text = json.dumps(message)

    def request(self, *_values: object, **_named: object) -> TwilioResponse:
        return TwilioResponse(201, self._text)


def _pair_twilio(meter: Meter) -> Pair:
    bare, metered = (
        TwilioClient(_ACCOUNT, "token", http_client=_TwilioInMemory()) for _ in range(2)
    )
    meter.twilio(metered)
    sent = {"to": "+14155552345", "from_": "+14155552345", "body": "Hello"}
    return _compare(partial(bare.messages.create, **sent), partial(metered.messages.create, **sent))


class _Accepted:
    headers = {"X-Message-Id": "JXAvVqqqTR-ybRgHQN3JwQ"}  # noqa: RUF012 (read only)

    def getcode(self) -> int:
        return 202

    def read(self) -> bytes:
        return b""

    def info(self) -> dict[str, str]:
        return self.headers


class _SendGridInMemory(SendGridHttp):  # type: ignore[misc]  # a package without types
    def _build_client(self, name: str | None = None) -> Any:
        made = super()._build_client(name)
        made.__class__ = type(self)
        return made

    def _make_request(self, *_values: object, **_named: object) -> _Accepted:
        return _Accepted()


def _pair_sendgrid(meter: Meter) -> Pair:
    bare, metered = SendGridAPIClient("key"), SendGridAPIClient("key")
    for client in (bare, metered):
        client.client.__class__ = _SendGridInMemory
    meter.sendgrid(metered)
    mail = Mail("us@example.com", "you@example.org", "Subject", plain_text_content="Text")
    return _compare(partial(bare.send, mail), partial(metered.send, mail))


# Another wrapper


def _compare_other(library: Any, meter: Meter) -> list[Line]:
    """Measure OpenTelemetry's wrapper in the same run, where it is there and can be imported."""
    try:
        module = import_module("opentelemetry.instrumentation.openai_v2")
    except ImportError as error:
        print(
            f"not compared with opentelemetry-instrumentation-openai-v2: {error}", file=sys.stderr
        )
        return []
    ours = _pair(_chat(library), meter.openai(_chat(library)))
    module.OpenAIInstrumentor().instrument()
    completions = _chat(library).chat.completions
    wrapped: Any = type(completions).create
    bare = partial(wrapped.__wrapped__, completions, **_ASK)
    other = _compare(bare, partial(completions.create, **_ASK))
    name = "what OpenTelemetry's wrapper adds to a chat completion / what ours adds"
    name += f" ({1e6 * other.added:.0f} us / {1e6 * ours.added:.0f} us)"
    return [Line(name, ours.added, other.added, other.added / ours.added)]
