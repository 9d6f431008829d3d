"""Builds submitted events, so that a test names only what it is about."""

from datetime import UTC, datetime
from typing import Any

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
"""The instant at which tests book; a plain Tuesday."""


def sms(event_id: str = "SM1", **changes: Any) -> dict[str, Any]:
    """Return one outbound SMS of tenant acme, at noon of the day before `NOW`."""
    event = {
        "id": event_id,
        "tenant": "acme",
        "time": "2026-03-09T12:00:00Z",
        "channel": "sms",
        "direction": "outbound",
        "source": "twilio",
        "feature": "broadcast",
        "quantity": 1,
    }
    return {key: value for key, value in {**event, **changes}.items() if value is not ...}


def ai(event_id: str = "chatcmpl-1", **changes: Any) -> dict[str, Any]:
    """Return one OpenAI call of tenant acme with 1,000 tokens in and 500 out: 0.005 USD."""
    metadata = {"model": "house-llm", "input_tokens": 1000, "output_tokens": 500}
    fields = {"channel": "ai", "source": "openai", "feature": "ai_sms", "quantity": ...}
    return sms(event_id, **{**fields, "metadata": metadata, **changes})
