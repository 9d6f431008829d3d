"""What providers tell, to what it costs: each rule of the trade by the rates that ship."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from collector.events import Rules
from collector.facts.fact import Fact
from collector.intake import Intake
from collector.webhooks.claims import Ignored, Notice, Scope
from collector.webhooks.twilio_calls import read_call
from collector.webhooks.twilio_messages import FREE_FAILURES, read_message
from costing.job import Costing
from costing.pricing.published import take_snapshot
from costing.pricing.store import append_catalogue
from ledger.period import FIRST_DATE
from ledger.session import operator_session
from meterline.segments import count_segments
from tests.builders import NOW, ai, sms
from tests.costed import ACME, book, rows
from tests.facts import Facts, processed
from tests.webhooks import call_status, inbound_message, status_callback

FEE = 1_000_000
"""Nano-dollars."""


def cost(engine: sa.Engine) -> int:
    return sum(row.estimated_cost or 0 for row in rows(engine))


@pytest.fixture
def tell(engine: sa.Engine, rules: Rules, costing: Costing) -> Callable[..., int]:
    """Book facts and cost them; return what all comes to."""

    def book_and_cost(*told: Fact) -> int:
        Facts(engine, rules).book(ACME, told, now=NOW)
        costing.run(clock=lambda: NOW)
        return cost(engine)

    return book_and_cost


def facts_of(notice: Notice | Ignored) -> Sequence[Fact]:
    return () if isinstance(notice, Ignored) else notice.facts


def message(**changes: Any) -> Sequence[Fact]:
    return facts_of(read_message(status_callback(**changes), Scope(), {}, now=NOW))


def call(**changes: Any) -> Sequence[Fact]:
    return facts_of(read_call(call_status(**changes), Scope(), {}, now=NOW))


def test_a_text_costs_its_segments(engine: sa.Engine, intake: Intake, costing: Costing) -> None:
    texts = {
        "a" * 160: 1,
        "a" * 161: 2,
        "a" * 306: 2,
        "a" * 307: 3,
        "{" * 80: 1,
        "{" * 81: 2,
        "ç" * 70: 1,
        "ç" * 71: 2,
        "ç" * 134: 2,
        "ç" * 135: 3,
    }
    events = [
        sms(f"SM{n}", feature=f"f{n}", quantity=count_segments(text))
        for n, text in enumerate(texts)
    ]
    book(intake, *events)
    costing.run(clock=lambda: NOW)
    expected = {f"f{n}": 8_900_000 * segments for n, segments in enumerate(texts.values())}
    assert expected == {row.key.feature: row.estimated_cost for row in rows(engine)}


def test_the_free_failures_are_those_of_twilios_article() -> None:
    listed = (
        "12400 20500 20504 30103 30500 63010 63012 30036 30002 30454 63038 90010 30450 21408 63013"
        " 63018 63021 63024 63032 30008"
    )
    assert set(listed.split()) == FREE_FAILURES


@pytest.mark.parametrize("channel", [{}, {"MessageSid": "MM1342fe1b2c904d1ab04f0fc7a58abca9"}])
def test_a_failed_message_costs_its_fee_once_whatever_its_segments(
    tell: Callable[..., int], channel: dict[str, str]
) -> None:
    failed = message(MessageStatus="failed", NumSegments="3", ErrorCode="30003", **channel)
    assert FEE == tell(*failed)


def test_messages_that_failed_for_a_reason_of_the_article_cost_nothing(
    tell: Callable[..., int],
) -> None:
    told: list[Fact] = []
    for number, code in enumerate(sorted(FREE_FAILURES)):
        sid = f"SM{number:032x}"
        told += message(MessageSid=sid, MessageStatus="sent", NumSegments="2")
        told += message(MessageSid=sid, MessageStatus="failed", ErrorCode=code)
    assert (40, 0) == (len(told), tell(*told))


def test_messages_that_left_cost_the_full_price(tell: Callable[..., int]) -> None:
    told: list[Fact] = []
    for number, status in enumerate(("sent", "delivered", "undelivered")):
        told += message(MessageSid=f"SM{number:032x}", MessageStatus=status, NumSegments="3")
    assert 3 * 26_700_000 == tell(*told)


def test_a_message_that_came_costs_the_price_of_its_direction(tell: Callable[..., int]) -> None:
    came = read_message(inbound_message(NumSegments="2"), Scope(), {}, now=NOW)
    assert 15_800_000 == tell(*facts_of(came))


def test_each_leg_of_a_call_costs_its_started_minutes(tell: Callable[..., int]) -> None:
    legs = [
        *call(CallDuration="78"),
        *call(CallSid="CA2d1ec19f7bdf4e5f3e6a45a5ec8cee60", CallDuration="61",
              Direction="outbound-dial"),
    ]  # fmt: skip
    assert 4 * 8_500_000 == tell(*legs)


def test_calls_that_were_not_completed_cost_nothing(tell: Callable[..., int]) -> None:
    told: list[Fact] = []
    for number, status in enumerate(("busy", "no-answer", "failed", "canceled", "ringing")):
        told += call(CallSid=f"CA{number:032x}", CallStatus=status, CallDuration="60")
    assert (4, 0) == (len(told), tell(*told))


def test_a_mailing_costs_its_recipients(tell: Callable[..., int]) -> None:
    assert 5 * 350_000 == tell(*(processed(f"f{n}") for n in range(5)))


@pytest.mark.parametrize(
    ("metadata", "nanos"),
    [
        # gpt-5.6-sol on 2026-03-09, a million tokens: 5 in, 0.5 cached, 6.25 written, 30 out.
        ({"input_tokens": 1000, "output_tokens": 0}, 5_000_000),
        ({"input_tokens": 1000, "output_tokens": 0, "cached_tokens": 400}, 3_200_000),
        ({"input_tokens": 1000, "output_tokens": 0, "cached_tokens": 400,
          "cache_write_tokens": 600}, 3_950_000),
        ({"input_tokens": 0, "output_tokens": 100, "reasoning_tokens": 90}, 3_000_000),
        # The whole of a request beyond the threshold costs twice as much, and half as much more.
        ({"input_tokens": 272_001, "output_tokens": 1000}, 2_765_010_000),
    ],
)  # fmt: skip
def test_details_of_tokens_are_billed_once(
    engine: sa.Engine, intake: Intake, costing: Costing, metadata: dict[str, int], nanos: int
) -> None:
    lay_catalogue(engine)
    book(intake, ai("a", metadata={"model": "gpt-5.6-sol", **metadata}))
    costing.run(clock=lambda: NOW)
    assert nanos == cost(engine)


@pytest.mark.parametrize(
    ("model", "metadata", "nanos"),
    [
        ("whisper-1", {"audio_seconds": 90}, 9_000_000),
        ("o3", {"input_tokens": 1000, "output_tokens": 1000}, 10_000_000),
    ],
)
def test_transcriptions_cost_their_seconds_and_calls_their_tokens(
    engine: sa.Engine,
    intake: Intake,
    costing: Costing,
    *,
    model: str,
    metadata: dict[str, int],
    nanos: int,
) -> None:
    lay_catalogue(engine)
    book(intake, ai("a", metadata={"model": model, **metadata}))
    costing.run(clock=lambda: NOW)
    assert nanos == cost(engine)


@pytest.mark.parametrize(
    ("tier", "nanos"),
    [
        ({}, 10_000_000),
        ({"service_tier": "default"}, 10_000_000),
        ({"service_tier": "flex"}, 5_000_000),
        ({"batch": True}, 5_000_000),
        ({"batch": True, "service_tier": "default"}, 5_000_000),
        ({"service_tier": "priority"}, 17_500_000),
        ({"service_tier": "fast"}, 17_500_000),
    ],
)
def test_a_call_costs_the_price_of_the_tier_as_it_was_served(
    engine: sa.Engine, intake: Intake, costing: Costing, tier: dict[str, object], nanos: int
) -> None:
    lay_catalogue(engine)
    # The tiers have prices from October 2026 on.
    late = NOW.replace(month=11)
    metadata = {"model": "o3", "input_tokens": 1000, "output_tokens": 1000, **tier}
    event = ai("a", time="2026-11-09T12:00:00Z", metadata=metadata)
    intake.book([event], only_tenant=None, now=late)
    costing.run(clock=lambda: late)
    assert nanos == cost(engine)


def lay_catalogue(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        append_catalogue(
            session, take_snapshot(), starts_on=FIRST_DATE, origin="genai-prices", now=NOW
        )
