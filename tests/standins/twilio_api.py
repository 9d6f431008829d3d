"""What Twilio's stand-in answers: the specification's examples."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.standins.server import Answer, Asked, as_json

ACCOUNT = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"


class TwilioAnswers:
    """Creates messages and calls; `changes` are made to the next resources, `status` is theirs."""

    def __init__(self, shared: Path) -> None:
        self._examples = shared / "data/twilio"
        self.changes: dict[str, Any] = {}
        self.status = 201
        self.error: dict[str, Any] = {"code": 21211, "message": "no such number"}

    def __call__(self, asked: Asked) -> Answer:
        if self.status not in (200, 201):
            return as_json(self.error, status=self.status)
        path = asked.path.partition("?")[0]
        if path.endswith("/Messages.json") and asked.method == "POST":
            return as_json({**self._example("messages__post__create"), **self.changes}, status=201)
        if path.endswith("/Calls.json"):
            return as_json(self._example("calls__post__create"), status=201)
        return as_json(self._example("message__get__fetch"))

    def _example(self, name: str) -> Any:
        return json.loads((self._examples / f"{name}.json").read_text())


def form(asked: Asked) -> dict[str, str]:
    """Return the form of a request, each name once."""
    return {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
