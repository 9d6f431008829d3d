"""Fixtures: stand-ins of the providers, clients of them, and a sink that keeps what it gets.

A client takes longer to make than a call, so clients, and the stand-in that they call, are made
once; what a metered one tells goes to the sink of the test that is running.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path
from typing import Any

import openai
import pytest

from meterline.openai_hook import meter_openai
from meterline.usage import Sink, Usage
from tests.service.sdk.providers.memory import forget_all
from tests.standins.openai_api import OpenAIAnswers
from tests.standins.server import StandIn

KINDS = ("OpenAI", "AsyncOpenAI")
Run = Callable[[Any], Any]


@pytest.fixture
def sink() -> list[Usage]:
    return []


@pytest.fixture(scope="session")
def openai_api(shared: Path) -> Iterator[StandIn]:
    standin = StandIn(OpenAIAnswers(shared))
    yield standin
    standin.close()


@pytest.fixture
def answers(openai_api: StandIn) -> Iterator[OpenAIAnswers]:
    """What the stand-in answers, as fresh as it was made."""
    answers = openai_api.answer
    assert isinstance(answers, OpenAIAnswers)
    answers.forget()
    openai_api.asked.clear()
    yield answers
    openai_api.answer = answers


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    """Run a coroutine in the context of its caller, and always in the same event loop."""
    with asyncio.Runner() as runner:
        yield lambda coroutine: runner.run(coroutine, context=copy_context())


class _Current:
    """The sink of the running test."""

    sink: Sink

    def take(self, usage: Usage) -> None:
        self.sink(usage)


_Made = dict[tuple[str, bool | None], tuple[Any, _Current]]


@pytest.fixture(scope="session")
def _made(run: Run) -> Iterator[_Made]:
    made: _Made = {}
    yield made
    for client, _ in made.values():
        closing = client.close()
        if closing is not None:
            run(closing)


class GetClient:
    """Gets a client of a kind: bare without a sink, else metered into it."""

    def __init__(self, url: str, made: _Made) -> None:
        self._url = url
        self._made = made

    def __call__(self, kind: str, sink: Sink | None = None, *, inject: bool = False) -> Any:
        key = (kind, None if sink is None else inject)
        if key not in self._made:
            client = getattr(openai, kind)(api_key="k", base_url=self._url, timeout=20)
            current = _Current()
            if sink is not None:
                assert client is meter_openai(client, current.take, inject_stream_usage=inject)
            self._made[key] = client, current
        client, current = self._made[key]
        if sink is not None:
            current.sink = sink
        return client

    def sink_of(self, kind: str) -> Sink:
        """Return the sink that a metered client was given once, whoever has the usage now."""
        return self._made[kind, False][1].take


@pytest.fixture
def get_client(
    openai_api: StandIn,
    answers: OpenAIAnswers,  # noqa: ARG001 (fresh for each test that has a client)
    _made: _Made,
) -> GetClient:
    return GetClient(f"{openai_api.url}/v1", _made)


@pytest.fixture(autouse=True)
def _nothing_awaited() -> Iterator[None]:
    """The process remembers what it asked for; the next test asks for the same ids anew."""
    forget_all()
    yield
    forget_all()
