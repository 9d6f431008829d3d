"""Every way to call OpenAI: it is metered right, and its caller sees what it always saw.

The same tests run on openai 2 (httpx) and 3 (httpx2): see docs/sdk-providers.md.
"""

import re
from typing import Any

import pytest

from meterline.usage import Usage
from tests.service.sdk.providers.conftest import KINDS, GetClient, Run
from tests.service.sdk.providers.memory import forget_all
from tests.service.sdk.providers.openai_paths import PATHS, TELL
from tests.standins.openai_api import OpenAIAnswers

# openai itself deprecates how translations in full are called, and calls them no other way.
pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")


MADE = re.compile(r"^openai/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def told(usages: list[Usage]) -> list[tuple[str, dict[str, Any]]]:
    """Return all that was metered; an id that was made is shown as one."""
    return [(MADE.sub(TELL, usage.id), dict(usage.metadata)) for usage in usages]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PATHS)
def test_a_call_is_metered_once_with_what_the_provider_told(
    name: str, kind: str, get_client: GetClient, run: Run, sink: list[Usage]
) -> None:
    path = PATHS[name]
    run(path.call(get_client(kind, sink.append)))
    assert list(path.metered) == told(sink)


@pytest.mark.parametrize("inject", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PATHS)
def test_the_caller_of_a_metered_client_sees_what_the_caller_of_a_bare_one_sees(
    name: str, kind: str, get_client: GetClient, run: Run, answers: OpenAIAnswers, *, inject: bool
) -> None:
    def fail(usage: Usage) -> None:
        raise RuntimeError(usage.id)

    call = PATHS[name].call
    bare = run(call(get_client(kind)))
    answers.forget()
    forget_all()
    assert bare == run(call(get_client(kind, fail, inject=inject)))


def test_there_are_more_than_forty_ways() -> None:
    assert len(PATHS) >= 40
