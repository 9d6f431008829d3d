"""From the provider's request to costed figures: TLS, nginx, routing, ledger, `work`, `verify`."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
import sqlalchemy as sa

from ledger.keys import Scope
from ledger.models import costing_state, usage_rollups_daily
from ledger.session import operator_session
from ledger.tenant import UNATTRIBUTED
from tests.access import make_key
from tests.builders import sms
from tests.conftest import Run
from tests.service.attribution.claims import HASH_KEY
from tests.service.webhooks.test_sendgrid import MAILING
from tests.webhooks import (
    CALLS,
    MESSAGES,
    OTHERS,
    OWN,
    Provider,
    call_status,
    inbound_message,
    mail_event,
    status_callback,
    usages,
)

SID = status_callback()["MessageSid"]
SCOPED = f"{MESSAGES}?tenant=acme&feature=broadcast"
FEE, NO_FEE = "30003", "30008"
KEYS = ("tenant_id", "channel", "direction", "source", "feature", "price_class")
STANDARD = "standard"

Tell = Callable[[str], None]
Figures = list[tuple[Any, ...]]
Costed = Callable[[], Figures]
MapOwn = Callable[[], None]


@pytest.fixture
def tell(unknown: Provider, engine: sa.Engine) -> Tell:
    """Let something be told over the public address: an event of the SDK, or a webhook."""
    key = make_key(engine, Scope.INGEST)

    def post(event: dict[str, Any]) -> int:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        return unknown.json("/api/v1/events", event, headers).status

    def status(name: str, **changes: str) -> Callable[[], int]:
        form = status_callback(MessageStatus=name, **changes)
        return lambda: unknown.twilio(SCOPED, form).status

    mailing = sms(MAILING, channel="email", source="sendgrid", quantity=2)
    told: dict[str, Callable[[], int]] = {
        "message": lambda: post(sms(SID, quantity=3)),
        "mailing": lambda: post(mailing),
        "sending": status("sending"),
        "sent": status("sent"),
        "delivered": status("delivered"),
        "failed": status("failed", ErrorCode=FEE),
        "failed for free": status("failed", ErrorCode=NO_FEE),
        "canceled": status("canceled"),
        "processed": lambda: unknown.sendgrid(mail_event(tenant="acme")).status,
        "processed for nobody": lambda: unknown.sendgrid(mail_event()).status,
        "dropped for nobody": lambda: unknown.sendgrid(mail_event("dropped")).status,
        "dropped": lambda: unknown.sendgrid(mail_event("dropped", tenant="acme")).status,
    }

    def tell_one(name: str) -> None:
        assert told[name]() in {200, 204}

    return tell_one


@pytest.fixture
def costed(meterline: Run, engine: sa.Engine) -> Costed:
    """Let the worker work until nothing is left; return all figures, which tie."""

    def work() -> Figures:
        for command in (("work", "--once"), ("verify",)):
            done = meterline(*command)
            assert (0, "") == (done.returncode, done.stderr)
        return figures(engine)

    return work


@pytest.fixture
def map_own(meterline: Run) -> MapOwn:
    """Map the number that webhooks name to acme, and attribute what waits for that."""

    def map_number() -> None:
        command = ("mapping", "add", "number", OWN, "acme", "--from", "2026-01-01")
        done = meterline(*command, METERLINE_HASH_KEY=HASH_KEY)
        assert 0 == done.returncode, done.stderr

    return map_number


def figures(engine: sa.Engine) -> Figures:
    """Return the rollup rows that are not zero: keys, count, quantity, cost in nano-dollars."""
    columns = usage_rollups_daily.c
    shown = [columns[name] for name in (*KEYS, "count", "quantity", "estimated_cost")]
    query = sa.select(*shown).where(columns["count"] != 0)
    with operator_session(engine) as session:
        return sorted(tuple(row) for row in session.connection.execute(query))


def orders(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("order", list(permutations(names)), ids=" ".join)


DELIVERED = ("acme", "sms", "outbound", "twilio", "broadcast", STANDARD, 1, 3, 26_700_000)
FAILED = ("acme", "sms", "outbound", "twilio", "broadcast", "failed", 1, 1, 1_000_000)
MAILED = ("acme", "email", "outbound", "sendgrid", "broadcast", STANDARD, 1, 2, 700_000)


@orders("message", "delivered")
def test_a_message_and_its_callback_are_one_usage(
    order: tuple[str, ...], tell: Tell, costed: Costed
) -> None:
    for name in order:
        tell(name)
    assert [DELIVERED] == costed()


@orders("message", "delivered")
def test_figures_are_corrected_when_the_second_comes_after_costing(
    order: tuple[str, ...], tell: Tell, costed: Costed
) -> None:
    tell(order[0])
    costed()
    tell(order[1])
    assert [DELIVERED] == costed()


@orders("message", "sending", "sent", "delivered")
def test_every_order_of_event_callbacks_and_replays_comes_to_the_same_usage(
    order: tuple[str, ...], tell: Tell, engine: sa.Engine
) -> None:
    for name in (*order, *order):
        tell(name)
    assert [("acme", "sms", "broadcast", 1, 3)] == usages(engine, "channel", "feature")


@orders("message", "failed")
def test_a_message_that_failed_costs_its_fee_alone(
    order: tuple[str, ...], tell: Tell, costed: Costed
) -> None:
    for name in order:
        tell(name)
    assert [FAILED] == costed()


@pytest.mark.parametrize(
    "order",
    [
        order
        for ending in ("canceled", "failed for free")
        for order in permutations(("message", ending))
    ],
    ids=" ".join,
)
def test_what_costs_nothing_takes_the_estimate_back(
    order: tuple[str, ...], tell: Tell, costed: Costed
) -> None:
    for name in order:
        tell(name)
    assert [] == costed()


@orders("mailing", "processed", "dropped")
def test_recipients_of_a_mailing_that_the_sdk_booked_are_counted_once(
    order: tuple[str, ...], tell: Tell, costed: Costed
) -> None:
    for name in order:
        tell(name)
    assert [MAILED] == costed()


def test_calls_and_inbound_messages_are_costed_for_the_tenant_of_the_number(
    provider: Provider, costed: Costed
) -> None:
    provider.twilio(CALLS, call_status())
    provider.twilio(MESSAGES, inbound_message())
    media = dict.fromkeys(("MessageSid", "SmsSid", "SmsMessageSid"), f"MM{32 * '7'}")
    provider.twilio(MESSAGES, inbound_message(NumMedia="3", **media))
    told = ("inbound", "twilio", "ivr", STANDARD)
    expected = [
        ("acme", "mms", *told, 1, 1, 20_000_000),
        ("acme", "sms", *told, 1, 2, 15_800_000),
        ("acme", "voice", *told, 1, 2, 17_000_000),
    ]
    assert expected == costed()


def test_usage_of_an_unknown_number_moves_to_its_tenant_when_it_is_mapped(
    unknown: Provider, map_own: MapOwn, costed: Costed
) -> None:
    unknown.twilio(CALLS, call_status())
    call = ("voice", "inbound", "twilio", "ivr", STANDARD, 1, 2, 17_000_000)
    assert [(UNATTRIBUTED, *call)] == costed()
    map_own()
    assert [("acme", *call)] == costed()


@pytest.mark.parametrize("order", list(permutations((0, 1))), ids=["event first", "event last"])
def test_what_names_nobody_and_the_event_of_the_sdk_are_one_usage(
    order: tuple[int, ...], unknown: Provider, tell: Tell, costed: Costed
) -> None:
    told = (lambda: tell("message"), lambda: unknown.twilio(MESSAGES, status_callback()))
    for number in order:
        told[number]()
    assert [DELIVERED] == costed()


@orders("mailing", "processed for nobody", "dropped for nobody")
def test_a_mailing_of_the_sdk_is_not_counted_again_where_its_webhook_names_nobody(
    order: tuple[str, ...], tell: Tell, costed: Costed
) -> None:
    for name in (*order, *order):
        tell(name)
    assert [MAILED] == costed()


def test_what_comes_after_the_move_goes_where_the_usage_is(
    unknown: Provider, map_own: MapOwn, costed: Costed
) -> None:
    unknown.twilio(MESSAGES, status_callback(MessageStatus="sent"))
    map_own()
    unknown.twilio(MESSAGES, status_callback(MessageStatus="failed", ErrorCode=FEE, From=OTHERS))
    assert [("acme", "sms", "outbound", "twilio", "ivr", *FAILED[5:])] == costed()


@orders("message", "failed", "failed for free")
def test_two_failures_that_contradict_each_other_come_to_the_same_in_every_order(
    order: tuple[str, ...], tell: Tell, engine: sa.Engine
) -> None:
    for name in (*order, *order):
        tell(name)
    assert [] == usages(engine)


@pytest.mark.ledger("postgresql")
def test_webhooks_are_answered_while_costing_has_its_locks(
    provider: Provider, engine: sa.Engine, costed: Costed
) -> None:
    provider.twilio(CALLS, call_status())
    costed()
    with operator_session(engine, write=True) as costing:
        locked = costing.connection.execute(sa.select(costing_state).with_for_update()).all()
        answers = [
            provider.twilio(CALLS, call_status(CallSid=f"CA{32 * '2'}")).status,
            provider.twilio(MESSAGES, inbound_message()).status,
            provider.sendgrid(mail_event(tenant="acme")).status,
        ]
        assert (True, [204, 200, 204]) == (any(row.tenant_id == "acme" for row in locked), answers)
    assert 3 == len(costed())
