"""Twilio's webhooks over HTTP, through nginx, signed by the twilio package."""

import pytest
import sqlalchemy as sa

from api.services import Services
from ledger.tenant import UNATTRIBUTED
from meterline.context import Scope
from meterline.twilio_hook import add_scope
from tests.collector import Collector
from tests.webhooks import (
    CALLS,
    MESSAGES,
    OTHERS,
    OWN,
    SUB_TOKEN,
    SUBACCOUNT,
    Provider,
    call_status,
    fact_count,
    inbound_message,
    status_callback,
    usages,
)

SCOPED = f"{MESSAGES}?tenant=karachi&feature=reminders"
COLUMNS = ("tenant_id", "usage_id", "channel", "direction", "source", "feature", "quantity")


def test_an_inbound_message_is_booked_by_its_segments_on_the_tenant_of_its_number(
    provider: Provider, collector: Collector
) -> None:
    provider.twilio(MESSAGES, inbound_message())
    sid = inbound_message()["MessageSid"]
    expected = ("acme", sid, "sms", "inbound", "twilio", "ivr", 2)
    assert [expected] == collector.rows(*COLUMNS)


def test_an_inbound_message_is_answered_with_twiml_that_replies_nothing(provider: Provider) -> None:
    answer = provider.twilio(MESSAGES, inbound_message())
    assert (200, b"<Response/>") == (answer.status, answer.body)


def test_the_address_names_tenant_and_feature_before_number_and_rule(
    provider: Provider, collector: Collector
) -> None:
    provider.twilio(SCOPED, status_callback())
    sid = status_callback()["MessageSid"]
    expected = ("karachi", sid, "sms", "outbound", "twilio", "reminders", 1)
    assert [expected] == collector.rows(*COLUMNS)


def test_the_collector_reads_what_the_sdk_adds_to_a_callback(
    provider: Provider, engine: sa.Engine
) -> None:
    target = add_scope(CALLS, Scope(tenant="karachi", feature="voicemail_ai"))
    provider.twilio(target, call_status())
    assert [("karachi", "voicemail_ai", 1, 2)] == usages(engine, "feature")


def test_a_call_is_booked_by_started_minutes_when_it_is_completed(
    provider: Provider, collector: Collector
) -> None:
    answer = provider.twilio(CALLS, call_status())
    expected = ("acme", call_status()["CallSid"], "voice", "inbound", "twilio", "ivr", 2)
    assert (204, [expected]) == (answer.status, collector.rows(*COLUMNS))


def test_completed_before_ringing_is_booked_and_stays(
    provider: Provider, collector: Collector
) -> None:
    provider.twilio(CALLS, call_status())
    provider.twilio(CALLS, call_status(CallStatus="ringing", CallDuration=...))
    assert [(2,)] == collector.rows("quantity")


def test_a_webhook_that_comes_again_is_a_duplicate(provider: Provider, services: Services) -> None:
    for _ in range(3):
        provider.twilio(CALLS, call_status())
    expected = {("twilio", "stored"): 1, ("twilio", "duplicate"): 2}
    assert expected == services.tally.snapshot()


@pytest.mark.parametrize(
    ("target", "form", "outcome"),
    [
        (MESSAGES, status_callback(MessageStatus="sending"), "progress"),
        (MESSAGES, status_callback(MessageStatus="teleported"), "unknown_status"),
        (MESSAGES, status_callback(MessageStatus="partially_delivered"), "partially_delivered"),
        (CALLS, call_status(CallStatus="ringing"), "progress"),
        (CALLS, call_status(CallStatus="teleported"), "unknown_status"),
        (CALLS, call_status(Direction="sideways"), "unknown_direction"),
        (CALLS, call_status(Direction="trunking-terminating"), "trunk"),
    ],
)
def test_what_books_nothing_is_counted_with_its_reason(
    target: str,
    form: dict[str, str],
    outcome: str,
    provider: Provider,
    services: Services,
) -> None:
    answer = provider.twilio(target, form)
    assert (True, 0, {("twilio", outcome): 1}) == (
        answer.status in {200, 204},
        fact_count(services.engine),
        services.tally.snapshot(),
    )


@pytest.mark.parametrize(
    ("target", "form", "code"),
    [
        (MESSAGES, status_callback(MessageSid=...), "missing_parameter"),
        (MESSAGES, status_callback(MessageSid="SM 1"), "invalid_parameter"),
        (MESSAGES, status_callback(MessageSid="A6FilwaAR_Wm_VTCEFql_w"), "invalid_parameter"),
        (MESSAGES, inbound_message(NumSegments="two"), "invalid_parameter"),
        (CALLS, call_status(CallDuration=...), "missing_parameter"),
        (CALLS, call_status(CallDuration="-1"), "invalid_parameter"),
        (CALLS, call_status(CallDuration="9" * 30), "invalid_parameter"),
        (CALLS, call_status(Direction=...), "missing_parameter"),
    ],
)
def test_what_cannot_be_read_is_refused_and_books_nothing(
    target: str, form: dict[str, str], code: str, provider: Provider, engine: sa.Engine
) -> None:
    answer = provider.twilio(target, form)
    assert (400, code, 0) == (answer.status, answer.code, fact_count(engine))


def test_the_number_that_a_message_was_sent_from_tells_the_tenant(
    provider: Provider, engine: sa.Engine
) -> None:
    provider.twilio(MESSAGES, status_callback())
    assert [("acme", 1, 1)] == usages(engine)


def test_a_subaccount_tells_the_tenant(provider: Provider, engine: sa.Engine) -> None:
    form = status_callback(AccountSid=SUBACCOUNT, From="Acme")
    provider.twilio(MESSAGES, form, token=SUB_TOKEN)
    assert [("karachi", 1, 1)] == usages(engine)


def test_a_leg_that_was_forwarded_is_not_its_callers(provider: Provider, engine: sa.Engine) -> None:
    provider.twilio(CALLS, call_status(Direction="outbound-dial", From=OWN, To=OTHERS))
    assert [(UNATTRIBUTED, 1, 2)] == usages(engine)


def test_what_maps_to_nobody_is_booked_on_nobody(provider: Provider, services: Services) -> None:
    provider.twilio(MESSAGES, status_callback(From=OTHERS))
    expected = {("twilio", "stored"): 1, ("twilio", "unattributed"): 1}
    assert ([(UNATTRIBUTED, 1, 1)], expected) == (
        usages(services.engine),
        services.tally.snapshot(),
    )


@pytest.mark.parametrize("name", ["nobody-knows", "_unattributed", "no%20tenant"])
def test_a_named_tenant_that_is_not_there_is_nobody(
    name: str, provider: Provider, engine: sa.Engine
) -> None:
    provider.twilio(f"{MESSAGES}?tenant={name}", status_callback(From=OTHERS))
    assert [(UNATTRIBUTED, 1, 1)] == usages(engine)


def test_a_named_tenant_that_is_not_there_is_never_taken_for_that_of_the_number(
    provider: Provider, engine: sa.Engine
) -> None:
    provider.twilio(f"{MESSAGES}?tenant=nobody-knows", status_callback())
    assert [(UNATTRIBUTED, 1, 1)] == usages(engine)


def test_nothing_personal_is_stored_logged_or_answered(
    provider: Provider, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    provider.twilio(MESSAGES, inbound_message())
    provider.twilio(CALLS, call_status())
    refused = provider.twilio(MESSAGES, inbound_message(NumSegments="many"))
    seen = f"{refused.body!r}{collector.rows('event_id', 'feature', 'metadata')}{caplog.text}"
    personal = ("4155550100", "4155550199", "Hello", "JO EXAMPLE")
    assert ([], True) == ([one for one in personal if one in seen], "webhook of twilio" in seen)
