import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.facts.claim import Claim, ClaimKind
from collector.facts.fact import Fact, Rank, Verdict
from collector.webhooks.claims import Ignored, Notice, Scope
from collector.webhooks.twilio_fields import own_number
from collector.webhooks.twilio_messages import FREE_FAILURES, read_message
from ledger.tenant import TenantId
from tests.webhooks import ACCOUNT, OTHERS, OWN, inbound_message, status_callback

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SERVICE = "MGaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
RULES = {f"number:{OWN}": "ivr", f"service:{SERVICE}": "broadcast"}


def read(
    form: dict[str, str], scope: Scope | None = None, rules: dict[str, str] | None = None
) -> Notice:
    notice = read_message(form, scope or Scope(), rules or {}, now=NOW)
    assert isinstance(notice, Notice)
    return notice


def fact_of(form: dict[str, str]) -> Fact:
    (fact,) = read(form).facts
    return fact


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("sent", ..., Verdict.BILLED),
        ("delivered", ..., Verdict.BILLED),
        ("undelivered", "30003", Verdict.BILLED),
        ("undelivered", "30008", Verdict.BILLED),
        ("read", ..., Verdict.BILLED),
        ("failed", ..., Verdict.FAILED),
        ("failed", "", Verdict.FAILED),
        ("failed", "30003", Verdict.FAILED),
        ("failed", "30008", Verdict.VOID),
        ("failed", "21408", Verdict.VOID),
        ("canceled", ..., Verdict.VOID),
    ],
)
def test_a_status_says_what_the_message_is_billed_as(
    status: str, code: object, expected: Verdict
) -> None:
    fact = fact_of(status_callback(MessageStatus=status, ErrorCode=code))
    assert (expected, status) == (fact.verdict, fact.fact_id.removesuffix("-free"))


def test_a_failure_that_is_free_is_another_fact_than_one_that_is_not() -> None:
    codes = ("30003", "30008", "21408", ...)
    found = [fact_of(status_callback(MessageStatus="failed", ErrorCode=c)).fact_id for c in codes]
    assert ["failed", "failed-free", "failed-free", "failed"] == found


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("sent", Rank.PROGRESS),
        ("delivered", Rank.FINAL),
        ("undelivered", Rank.FINAL),
        ("read", Rank.FINAL),
        ("failed", Rank.FINAL),
        ("canceled", Rank.FINAL),
    ],
)
def test_a_message_that_a_carrier_took_may_still_end_otherwise(status: str, expected: Rank) -> None:
    assert expected is fact_of(status_callback(MessageStatus=status)).rank


@pytest.mark.parametrize("status", ["accepted", "scheduled", "queued", "sending", "receiving"])
def test_a_message_on_its_way_bills_nothing_new(status: str) -> None:
    form = status_callback(MessageStatus=status)
    assert Ignored.PROGRESS is read_message(form, Scope(), {}, now=NOW)


def test_what_a_message_that_arrived_in_part_costs_nobody_knows() -> None:
    form = status_callback(MessageStatus="partially_delivered")
    assert Ignored.PARTIALLY_DELIVERED is read_message(form, Scope(), {}, now=NOW)


@pytest.mark.parametrize("status", ["DELIVERED", "x" * 500])
def test_a_status_that_nobody_knows_says_nothing(status: str) -> None:
    form = status_callback(MessageStatus=status)
    assert Ignored.UNKNOWN_STATUS is read_message(form, Scope(), {}, now=NOW)


def test_the_free_failures_are_the_twenty_of_twilios_article() -> None:
    assert (20, {5}) == (len(FREE_FAILURES), {len(code) for code in FREE_FAILURES})


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (status_callback(), ("sms", None, {})),
        (status_callback(NumSegments="3"), ("sms", 3, {})),
        (status_callback(NumSegments="0"), ("sms", None, {})),
        (status_callback(MessageSid="MM1342fe1b2c904d1ab04f0fc7a58abca9"), ("mms", 1, {})),
        (status_callback(To=f"whatsapp:{OTHERS}"), ("sms", 1, {"provisional": True})),
        (status_callback(From="rcs:acme_agent"), ("sms", 1, {"provisional": True})),
        (inbound_message(), ("sms", 2, {})),
        (inbound_message(NumSegments=...), ("sms", None, {})),
        (inbound_message(NumMedia="3"), ("mms", 1, {"num_media": 3})),
        (inbound_message(From=f"whatsapp:{OTHERS}"), ("sms", 1, {"provisional": True})),
        (
            inbound_message(From=f"whatsapp:{OTHERS}", NumMedia="1"),
            ("sms", 1, {"provisional": True}),
        ),
    ],
)
def test_a_message_is_counted_as_the_sdk_counts_it(
    form: dict[str, str], expected: tuple[str, int | None, dict[str, object]]
) -> None:
    fact = fact_of(form)
    assert expected == (fact.channel, fact.quantity, fact.metadata)


@pytest.mark.parametrize(
    ("form", "number"),
    [
        (inbound_message(), OWN),
        (status_callback(), OWN),
        (status_callback(From="Acme"), None),
        (status_callback(From="12345"), "12345"),
        (status_callback(From=f"whatsapp:{OWN}"), OWN),
    ],
)
def test_the_number_and_then_the_account_tell_whose_it_is(
    form: dict[str, str], number: str | None
) -> None:
    numbers = [] if number is None else [Claim(ClaimKind.NUMBER, number)]
    assert (*numbers, Claim(ClaimKind.ACCOUNT, ACCOUNT)) == read(form).claims


def test_a_messaging_service_comes_after_the_number() -> None:
    claims = read(status_callback(MessagingServiceSid=SERVICE)).claims
    assert [ClaimKind.NUMBER, ClaimKind.SERVICE, ClaimKind.ACCOUNT] == [c.kind for c in claims]


@pytest.mark.parametrize(
    ("form", "scope", "expected"),
    [
        (status_callback(), Scope(), "ivr"),
        (status_callback(MessagingServiceSid=SERVICE), Scope(), "ivr"),
        (status_callback(From="Acme", MessagingServiceSid=SERVICE), Scope(), "broadcast"),
        (status_callback(From="Acme"), Scope(), None),
        (status_callback(), Scope(feature="reminders"), "reminders"),
    ],
)
def test_the_address_and_then_rules_tell_the_feature(
    form: dict[str, str], scope: Scope, expected: str | None
) -> None:
    (fact,) = read(form, scope, RULES).facts
    assert expected == fact.feature


def test_the_address_tells_the_tenant() -> None:
    assert "acme" == read(status_callback(), Scope(tenant=TenantId("acme"))).tenant


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "+0123456789",
        "+123",
        "12",
        "1234567",
        "client:jo",
        "client:+14155550100",
        "messenger:12345",
        "+1415555010x",
        "sip:jo@example.test",
    ],
)
def test_what_is_no_phone_number_is_no_claim(address: str | None) -> None:
    assert None is own_number(address)


@pytest.mark.parametrize("name", ["message__get__fetch", "messages__post__create"])
def test_a_resource_of_twilios_specification_reads_as_its_callback(name: str, shared: Path) -> None:
    found = json.loads((shared / f"data/twilio/{name}.json").read_text())
    form = {
        "AccountSid": found["account_sid"],
        "MessageSid": found["sid"],
        "MessageStatus": "sent",
        "From": found["from"],
        "To": found["to"],
        "MessagingServiceSid": found["messaging_service_sid"],
        "NumSegments": found["num_segments"],
    }
    notice = read(form)
    (fact,) = notice.facts
    assert (found["sid"], 1, 3) == (fact.usage_id, fact.quantity, len(notice.claims))
