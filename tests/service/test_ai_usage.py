"""An AI call records usage: what the OpenAI API really answers, through intake to the rollup."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.job import Costing
from ledger.models import usage_metrics
from ledger.rollups import read_rollups
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from tests.builders import NOW, ai

CALLS = {
    # file: (tokens in, tokens out, model)
    "chat_completions__default.json": (19, 10, "gpt-5.4"),
    "chat_completions__image_input.json": (1117, 46, "gpt-5.4"),
    "chat_completions__logprobs.json": (9, 9, "gpt-4o-mini"),
    "responses__file_input.json": (8438, 398, "gpt-5.4"),
    "responses__functions.json": (291, 23, "gpt-5.4"),
    "responses__image_input.json": (328, 52, "gpt-5.4"),
    "responses__reasoning.json": (81, 1035, "o1-2024-12-17"),
    "responses__text_input.json": (36, 87, "gpt-5.4"),
    "responses__web_search.json": (328, 356, "gpt-5.4"),
}
DETAILS = {
    ("prompt_tokens_details", "cached_tokens"): "cached_tokens",
    ("prompt_tokens_details", "audio_tokens"): "audio_input_tokens",
    ("completion_tokens_details", "reasoning_tokens"): "reasoning_tokens",
    ("completion_tokens_details", "audio_tokens"): "audio_output_tokens",
    ("input_tokens_details", "cached_tokens"): "cached_tokens",
    ("input_tokens_details", "cache_write_tokens"): "cache_write_tokens",
    ("input_token_details", "audio_tokens"): "audio_input_tokens",
    ("output_tokens_details", "reasoning_tokens"): "reasoning_tokens",
}


def event_of(response: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the event that a host posts for an answer of the OpenAI API."""
    usage = response["usage"]
    metadata = {key: value for key, value in usage.items() if isinstance(value, int)}
    for (group, name), key in DETAILS.items():
        if name in usage.get(group, {}):
            metadata[key] = usage[group][name]
    for key in ("model", "service_tier"):
        if response.get(key):
            metadata[key] = response[key]
    created = response.get("created") or response.get("created_at")
    time = NOW if created is None else datetime.fromtimestamp(created, UTC)
    event = {
        "id": response.get("id"),
        "tenant": "acme",
        "time": time.isoformat(),
        "channel": "ai",
        "direction": "outbound",
        "source": "openai",
        "feature": "ai_sms",
        "metadata": metadata,
    }
    return {**event, **fields}


def read(shared: Path, name: str) -> dict[str, Any]:
    response: dict[str, Any] = json.loads((shared / "data/openai" / name).read_text())
    return response


@pytest.mark.parametrize(("name", "counts"), CALLS.items())
def test_an_ai_call_records_usage(
    shared: Path, engine: sa.Engine, intake: Intake, costing: Costing, *, name: str, counts: Any
) -> None:
    response = read(shared, name)
    intake.book([event_of(response)], only_tenant=None, now=NOW)
    costing.run(clock=lambda: NOW)
    with tenant_session(engine, TenantId("acme")) as session:
        (row,) = read_rollups(session).values()
    tokens_in, tokens_out, model = counts
    cost = tokens_in * 2_000 + tokens_out * 6_000
    measures = row.tally.measures
    found = (measures.input_tokens, measures.output_tokens, row.key.model, row.estimated_cost)
    assert (tokens_in, tokens_out, model, cost) == found


@pytest.mark.parametrize(
    ("counts", "provisional"),
    [
        ({"input_tokens": 1000}, 1),
        ({"output_tokens": 500}, 1),
        ({"input_tokens": 1000, "output_tokens": 0}, 0),
        ({"input_tokens": 1000, "total_tokens": 1000}, 0),
    ],
)
def test_usage_of_which_one_side_is_not_known_is_provisional(
    counts: dict[str, int], provisional: int, engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    intake.book([ai(metadata={"model": "house-llm", **counts})], only_tenant=None, now=NOW)
    costing.run(clock=lambda: NOW)
    with tenant_session(engine, TenantId("acme")) as session:
        (row,) = read_rollups(session).values()
    assert (provisional, 0) == (row.tally.provisional_count, row.tally.derived_count)


@pytest.mark.parametrize("name", CALLS)
def test_of_an_ai_call_no_word_that_was_said_is_stored(
    shared: Path, engine: sa.Engine, intake: Intake, name: str
) -> None:
    intake.book([event_of(read(shared, name))], only_tenant=None, now=NOW)
    with operator_session(engine) as session:
        stored = session.connection.execute(sa.select(usage_metrics.c["metadata"])).scalar_one()
    texts = {key for key, value in stored.items() if isinstance(value, str)}
    assert texts <= {"model", "service_tier"}


def test_sending_the_answer_itself_as_metadata_is_refused(shared: Path, intake: Intake) -> None:
    response = read(shared, "chat_completions__default.json")
    (result,) = intake.book([event_of(response, metadata=response)], only_tenant=None, now=NOW)
    assert ("rejected", "metadata_has_content") == (result.status, result.code)


def test_the_same_answer_polled_twice_is_counted_once(shared: Path, intake: Intake) -> None:
    event = event_of(read(shared, "responses__reasoning.json"))
    results = intake.book([event, event], only_tenant=None, now=NOW)
    assert ["stored", "duplicate"] == [result.status for result in results]


@pytest.mark.parametrize(
    "name", ["audio_transcriptions__default.json", "audio_transcriptions__logprobs.json"]
)
def test_a_transcription_records_its_audio_tokens(
    shared: Path, engine: sa.Engine, intake: Intake, name: str
) -> None:
    event = event_of(read(shared, name), id="req_1")
    intake.book([event], only_tenant=None, now=NOW)
    with operator_session(engine) as session:
        columns = usage_metrics.c
        query = sa.select(columns.input_tokens, columns.audio_in_tokens, columns.output_tokens)
        assert (0, 14, 45) == tuple(session.connection.execute(query).one())
