"""What the hooks hand over, booked by the collector's own intake: the ledger is asked."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Mail
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from collector.intake import Intake
from ledger.clock import system_clock
from meterline.context import working_for
from meterline.sendgrid_hook import meter_sendgrid
from meterline.twilio_hook import meter_twilio
from meterline.usage import Usage
from tests.service.sdk.providers.conftest import GetClient, Run
from tests.service.sdk.providers.memory import forget_all
from tests.service.sdk.providers.openai_paths import PATHS
from tests.service.sdk.providers.test_twilio import to_standin
from tests.standins.sendgrid_api import accept
from tests.standins.server import StandIn
from tests.standins.twilio_api import ACCOUNT, TwilioAnswers

pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")

SUMS = """
SELECT source, channel, direction, tenant_id, feature, count(*), sum(quantity), sum(input_tokens),
       sum(cached_input_tokens), sum(output_tokens), sum(audio_in_tokens), sum(image_in_tokens),
       sum(image_out_tokens), sum(audio_ms)
FROM usage_metrics GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2
"""


def as_event(usage: Usage) -> dict[str, Any]:
    time = datetime.fromtimestamp(usage.time, UTC).isoformat()
    return {**usage._asdict(), "time": time, "metadata": dict(usage.metadata)}


class Booking:
    """Books usages through the real intake, tells what it answered, and looks into the ledger."""

    def __init__(self, intake: Intake, ledger: sqlite3.Connection) -> None:
        self._intake = intake
        self._ledger = ledger

    def rows(self, select: str) -> list[tuple[Any, ...]]:
        return self._ledger.execute(select).fetchall()

    def __call__(self, usages: list[Usage]) -> list[tuple[str, Any]]:
        events = [as_event(usage) for usage in usages]
        results = self._intake.book(events, only_tenant=None, now=system_clock())
        return [(str(result.status), result.code or result.dropped) for result in results]


@pytest.fixture
def booked(intake: Intake, ledger_path: Path) -> Iterator[Booking]:
    with closing(sqlite3.connect(ledger_path)) as ledger:
        yield Booking(intake, ledger)


def test_every_way_to_call_openai_is_taken_by_the_collector_as_it_is(
    get_client: GetClient, run: Run, sink: list[Usage], booked: Booking
) -> None:
    client = get_client("OpenAI", sink.append)
    with working_for("acme", "ai_sms"):
        for name in PATHS:
            run(PATHS[name].call(client))
    found = booked([usage._replace(id=f"{n}-{usage.id}") for n, usage in enumerate(sink)])
    assert [("stored", ())] * len(sink) == found


def test_the_ledger_holds_what_the_providers_told(
    get_client: GetClient,
    run: Run,
    sink: list[Usage],
    booked: Booking,
    shared: Path,
) -> None:
    with working_for("acme", "ai_sms"):
        client = get_client("OpenAI", sink.append)
        for name in ("chat", "chat_stream", "batch", "transcription", "response", "completion"):
            run(PATHS[name].call(client))
    with working_for("acme", "broadcast"):
        _send_message(shared, sink)
        _send_mail(sink)
    booked(sink)
    # Of input, the 100 cached tokens of the batch and the 14 of audio are apart.
    tokens = (19 + 120 + 900 + 0 + 36 + 120, 100, 10 + 30 + 500 + 45 + 87 + 30, 14, 0, 0, 0)
    nothing = (0,) * 7
    assert [
        ("openai", "ai", "outbound", "acme", "ai_sms", 6, sum(tokens), *tokens),
        ("sendgrid", "email", "outbound", "acme", "broadcast", 1, 2, *nothing),
        ("twilio", "sms", "outbound", "acme", "broadcast", 1, 1, *nothing),
    ] == booked.rows(SUMS)


def test_what_makes_a_price_differ_is_in_the_ledger(
    get_client: GetClient,
    run: Run,
    sink: list[Usage],
    booked: Booking,
) -> None:
    with working_for("acme"):
        client = get_client("OpenAI", sink.append)
        names = ("chat", "chat_stream", "chat_stream_without_usage", "batch", "image", "speech")
        for name in (*names, "transcription_by_duration"):
            run(PATHS[name].call(client))
    booked([usage._replace(id=f"{n}") for n, usage in enumerate(sink)])
    rows = booked.rows("SELECT model, price_class, provisional FROM usage_metrics ORDER BY id")
    assert [
        ("gpt-5.4", "standard", 0),
        ("gpt-5.4-mini", "priority", 0),
        ("gpt-5.4-mini", "priority", 1),
        ("gpt-5.4-mini", "batch", 0),
        ("gpt-image-1", "standard", 0),
        ("tts-1", "standard", 1),
        ("whisper-1", "duration", 0),
    ] == rows


def test_the_same_answer_seen_by_another_process_is_a_duplicate(
    get_client: GetClient, sink: list[Usage], booked: Booking
) -> None:
    client = get_client("OpenAI", sink.append)
    with working_for("acme", "ai_sms"):
        client.chat.completions.create(model="x", messages=[])
        client.chat.completions.create(model="x", messages=[])
        for _ in range(2):
            forget_all()
            client.responses.retrieve("resp_background")
    expected = ["stored", "duplicate", "stored", "duplicate"]
    assert expected == [status for status, _ in booked(sink)]


def test_nothing_personal_comes_into_the_ledger(
    get_client: GetClient,
    run: Run,
    sink: list[Usage],
    booked: Booking,
    shared: Path,
) -> None:
    with working_for("acme"):
        for name in PATHS:
            run(PATHS[name].call(get_client("OpenAI", sink.append)))
        _send_message(shared, sink)
        _send_mail(sink)
    booked(sink)
    rows = booked.rows("SELECT * FROM usage_metrics")
    channels = booked.rows("SELECT DISTINCT channel FROM usage_metrics ORDER BY 1")
    text = json.dumps(rows, default=repr)
    personal = ("Jo", "Lahore", "morning", "4155552345", "example.org", "Your booking", "hmac:")
    found = [word for word in personal if word in text]
    assert ([("ai",), ("email",), ("sms",)], []) == (channels, found)


def _send_message(shared: Path, sink: list[Usage]) -> None:
    standin = StandIn(TwilioAnswers(shared))
    http = TwilioHttpClient()
    client = Client(ACCOUNT, "token", http_client=http)
    to_standin(client, standin.url)
    meter_twilio(client, sink.append, callback_url=None)
    client.messages.create(to="+14155552345", from_="+14155552345", body="Hello Jo")
    http.session.close()
    standin.close()


def _send_mail(sink: list[Usage]) -> None:
    standin = StandIn(accept)
    client = SendGridAPIClient("key", host=standin.url)
    meter_sendgrid(client, sink.append, feature_map={})
    recipients = ["jo@example.org", "lu@example.org"]
    client.send(Mail("us@example.com", recipients, "Your booking", plain_text_content="Hi Jo"))
    standin.close()
