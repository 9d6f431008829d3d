"""The example of docs/sdk-providers.md prints what the page shows."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from tests.standins.openai_api import OpenAIAnswers
from tests.standins.server import StandIn

PAGE = (Path(__file__).parents[4] / "docs/sdk-providers.md").read_text()


def test_the_example_prints_what_the_page_shows(
    openai_api: StandIn, answers: OpenAIAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert openai_api.answer is answers
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{openai_api.url}/v1")
    code, printed = re.findall(r"```(?:python)?\n(.*?)```", PAGE, re.DOTALL)[:2]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code + "client.close()\n", "sdk-providers.md", "exec"), {})
    assert printed == output.getvalue()
