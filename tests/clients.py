"""Clients that post usage while other things happen, and what all of it comes to."""

import random
import threading
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from tests.builders import ai, sms
from tests.processes import Sender

TENANTS = ("acme", "karachi")
SMS_NANOS, INPUT_NANOS, OUTPUT_NANOS = 8_900_000, 2_000, 6_000


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What usage comes to, whichever side tells it."""

    events: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    nanos: int = 0

    def plus(self, event: dict[str, Any]) -> "Figures":
        """Return the figures with one event more, priced by hand."""
        sent, received = (
            event.get("metadata", {}).get(f"{s}_tokens", 0) for s in ("input", "output")
        )
        messages = event.get("quantity", 0)
        return Figures(
            events=self.events + 1,
            input_tokens=self.input_tokens + sent,
            output_tokens=self.output_tokens + received,
            nanos=self.nanos
            + messages * SMS_NANOS + sent * INPUT_NANOS + received * OUTPUT_NANOS,
        )  # fmt: skip


def random_event(rng: random.Random, prefix: str) -> dict[str, Any]:
    """Return an SMS or AI call of March 2025 with an id of its own."""
    kind = rng.choice((sms, ai))
    event = kind(
        f"{prefix}-{rng.getrandbits(64):x}",
        tenant=rng.choice(TENANTS),
        time=f"2025-03-{rng.randrange(1, 29):02d}T{rng.randrange(24):02d}:30:00Z",
        feature=rng.choice(("broadcast", "reminders", "imported")),
    )
    if kind is sms:
        return {**event, "quantity": rng.randrange(1, 5)}
    counts = {f"{side}_tokens": rng.randrange(1, 9999) for side in ("input", "output")}
    return {**event, "metadata": {"model": "house-llm", **counts}}


class Client:
    """Posts batches one after another until told to stop, and remembers what it was answered."""

    def __init__(self, number: int, rng: random.Random, sender: Sender) -> None:
        self.acknowledged: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self._number = number
        self._rng = rng
        self._sender = sender

    def run(self, stop: threading.Event) -> None:
        with closing(self._sender):
            while not stop.wait(self._rng.uniform(0, 0.02)):
                count = self._rng.randrange(1, 40)
                batch = [random_event(self._rng, f"c{self._number}") for _ in range(count)]
                self._expect(batch, {"stored", "duplicate"})
                self.acknowledged += batch
                if self._rng.random() < 0.1:
                    self._expect(self._rng.sample(self.acknowledged, 1), {"duplicate"})

    def _expect(self, batch: list[dict[str, Any]], allowed: set[str]) -> None:
        for event, status in zip(batch, self._sender.send(batch), strict=True):
            if status not in allowed:
                self.faults.append(f"{event['id']} was answered {status}")
