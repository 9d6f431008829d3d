"""Notices go out by the real client of SendGrid and by real HTTP, and wait in the ledger."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta

import orjson
import pytest
import sqlalchemy as sa

from collector.notices import job
from collector.notices.job import CLAIM, GIVEN_UP_AFTER, Delivery, pause_after
from collector.notices.mail import MailSender
from collector.notices.sending import Attempt, Send
from collector.notices.webhook import WebhookSender
from costing.budgets.job import Budgeting
from costing.job import Costing
from costing.pricing.flat import load_flat_map
from ledger.budget_notices import BudgetNotice, Medium, measure_undelivered, renew_claim
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from ledger.tenants import change_tenant, close_tenant
from tests.builders import NOW
from tests.costed import ACME, rows
from tests.processes import wait_until
from tests.servers.faults import Drip
from tests.service.budgets.conftest import PAT, SetBudget, Spend, ids, notices
from tests.standins.server import Answer, StandIn

SECRETS = ("a secret of the test", "the one before it")
NOTICE = "monthly/2026-03-01/50/"


def mail_sender(sendgrid: StandIn) -> Send:
    url = sendgrid.url
    return MailSender("SG.key", sender="meter@host.example", url=url, timeout_seconds=5).send


class Hands:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def mail(sendgrid: StandIn) -> Send:
    return mail_sender(sendgrid)


@pytest.fixture
def webhook(receiver: StandIn, clock: Hands) -> Iterator[Send]:
    url = f"{receiver.url}/hooks?from=meterline"
    sender = WebhookSender(url, SECRETS, timeout_seconds=5, clock=clock)
    yield sender.send
    sender.close()


Reach = Callable[..., None]


@pytest.fixture
def delivery(engine: sa.Engine, mail: Send, webhook: Send, clock: Hands) -> Delivery:
    return Delivery(engine, {Medium.MAIL: mail, Medium.WEBHOOK: webhook}, clock=clock)


@pytest.fixture
def reach(set_one: SetBudget, spend: Spend, budgeting: Budgeting) -> Reach:
    """Let spend reach 50 % of a budget, for a mail to Pat and one more, and a webhook."""

    def reach_half(*recipients: str) -> None:
        set_one(thresholds=[50], recipients=list(recipients))
        spend(50)
        budgeting.run(now=NOW)

    return reach_half


def waiting(engine: sa.Engine) -> tuple[int, int]:
    """Return how many notices wait and how many were given up."""
    with operator_session(engine) as session:
        found = measure_undelivered(session, now=NOW)
    return found.waiting, found.failed


def mails(engine: sa.Engine) -> list[tuple[str | None, int, int]]:
    """Return feature, count and recipients of what was booked as mails of our own."""
    return [
        (row.key.feature, row.tally.events, row.tally.measures.quantity)
        for row in rows(engine)
        if row.key.source == "internal"
    ]


def test_a_webhook_is_signed_so_that_who_has_the_secret_can_tell(
    reach: Reach, delivery: Delivery, receiver: StandIn
) -> None:
    reach()
    assert 1 == delivery.run().sent
    (asked,) = receiver.asked
    # As a receiver checks it that knows nothing of ours but the page that describes it.
    stamp, *marks = asked.headers["meterline-signature"].split(",")
    seconds = stamp.removeprefix("t=")
    expected = [
        "v1=" + hmac.new(secret.encode(), f"{seconds}.".encode() + asked.body, hashlib.sha256)
        .hexdigest() for secret in SECRETS
    ]  # fmt: skip
    assert (expected, str(int(NOW.timestamp()))) == (marks, seconds)
    assert ("POST", "/hooks?from=meterline", "application/json") == (
        asked.method,
        asked.path,
        asked.headers["content-type"],
    )


def test_a_webhook_brings_the_notice_and_its_id(
    reach: Reach, delivery: Delivery, receiver: StandIn, engine: sa.Engine
) -> None:
    reach()
    delivery.run()
    (row,) = notices(engine)
    assert ([f"acme/{NOTICE}webhook"], row["document"].encode()) == (
        ids(receiver.asked),
        receiver.asked[0].body,
    )


def test_two_tenants_have_no_id_of_a_webhook_in_common(
    set_one: SetBudget,
    spend: Spend,
    budgeting: Budgeting,
    delivery: Delivery,
    receiver: StandIn,
) -> None:
    """A receiver that acts once on an id would miss the second one."""
    for tenant in (ACME, TenantId("karachi")):
        set_one(tenant=tenant, thresholds=[50])
        spend(50, tenant=tenant)
    budgeting.run(now=NOW)
    delivery.run()
    named = [asked.json["id"] for asked in receiver.asked]
    assert ([f"{name}/{NOTICE}webhook" for name in ("acme", "karachi")], named) == (
        sorted(named),
        ids(receiver.asked),
    )


def test_each_recipient_gets_a_mail_that_names_no_other(
    reach: Reach, delivery: Delivery, sendgrid: StandIn
) -> None:
    reach(PAT, "kim@acme.example")
    delivery.run()
    (asked,) = sendgrid.asked
    sent = asked.json
    addressed = sorted(sent["personalizations"], key=str)
    assert [{"to": [{"email": name}]} for name in ("kim@acme.example", PAT)] == addressed
    assert ("/v3/mail/send", "Bearer SG.key", {"email": "meter@host.example"}) == (
        asked.path,
        asked.headers["authorization"],
        sent["from"],
    )


def test_a_mail_says_in_words_what_was_reached(
    reach: Reach, delivery: Delivery, spend: Spend, sendgrid: StandIn
) -> None:
    spend(3, channel="email", source="sendgrid")
    reach(PAT)
    delivery.run()
    sent = sendgrid.asked[0].json
    expected = (
        "Acme has reached 50% of this month's budget.\n\nBudget: 100 USD\n"
        "Spent so far: 50 USD (estimated)\nPeriod: 2026-03-01 to 2026-03-31, days in UTC\n"
        "Not in it: 1 usages that have no price yet, so that more was spent.\n\n"
        "This is said once for each threshold and period.\n"
        f"Notice acme/{NOTICE}mail"
    )
    assert "Acme: 50% of this month's budget is spent" == sent["subject"]
    assert [{"type": "text/plain", "value": expected}] == sent["content"]
    assert {"meterline_notice": f"acme/{NOTICE}mail"} == sent["custom_args"]


def test_a_mail_is_usage_of_our_own_one_for_each_notice(
    reach: Reach,
    delivery: Delivery,
    engine: sa.Engine,
) -> None:
    reach(PAT, "kim@acme.example")
    delivery.run()
    Costing(engine, load_flat_map()).run(clock=lambda: NOW)
    assert [("budget_notice", 1, 2)] == mails(engine)


def test_what_was_sent_is_not_sent_again(
    reach: Reach,
    delivery: Delivery,
    receiver: StandIn,
    sendgrid: StandIn,
    clock: Hands,
) -> None:
    reach(PAT)
    assert 2 == delivery.run().sent
    clock.now += timedelta(days=1)
    assert (0, 1, 1) == (delivery.run().sent, len(receiver.asked), len(sendgrid.asked))


@pytest.mark.parametrize("status", [500, 503, 429, 404, 302])
def test_a_receiver_that_does_not_take_it_is_asked_again_later(
    reach: Reach,
    delivery: Delivery,
    receiver: StandIn,
    clock: Hands,
    status: int,
) -> None:
    reach()
    elsewhere = {"location": f"{receiver.url}/elsewhere"}
    receiver.answer = lambda _asked: Answer(b"", status, elsewhere)
    assert ((f"acme/{NOTICE}webhook", f"the receiver answered {status}"),) == (
        delivery.run().failures
    )
    assert (0, 1) == (len(delivery.run().failures), len(receiver.asked))
    receiver.answer = lambda _asked: Answer(b"", 204)
    clock.now += timedelta(seconds=30)
    assert 1 == delivery.run().sent
    assert [f"acme/{NOTICE}webhook"] * 2 == ids(receiver.asked)


def test_pauses_grow_to_an_hour() -> None:
    pauses = [pause_after(n).total_seconds() for n in (1, 2, 3, 7, 8, 9, 500)]
    assert [30, 60, 120, 1920, 3600, 3600, 3600] == pauses


def test_a_signature_is_as_new_as_its_attempt(
    reach: Reach, delivery: Delivery, receiver: StandIn, clock: Hands
) -> None:
    reach()
    receiver.answer = lambda _asked: Answer(b"", 500)
    delivery.run()
    clock.now += timedelta(minutes=5)
    delivery.run()
    first, second = (
        int(asked.headers["meterline-signature"].split(",")[0].removeprefix("t="))
        for asked in receiver.asked
    )
    assert 300 == second - first


def test_a_receiver_that_is_not_there_is_asked_again_and_holds_up_no_mail(
    reach: Reach, mail: Send, engine: sa.Engine, sendgrid: StandIn, clock: Hands
) -> None:
    reach(PAT)
    nobody = WebhookSender("http://127.0.0.1:9/", SECRETS, timeout_seconds=5, clock=clock)
    senders = {Medium.MAIL: mail, Medium.WEBHOOK: nobody.send}
    done = Delivery(engine, senders, clock=clock).run()
    assert (1, ["the receiver did not answer: NewConnectionError"]) == (
        done.sent,
        [reason for _, reason in done.failures],
    )
    assert (1, (1, 0)) == (len(sendgrid.asked), waiting(engine))


def test_a_receiver_whose_answer_drips_in_holds_nobody_up(
    reach: Reach, engine: sa.Engine, clock: Hands
) -> None:
    reach()
    answer = b"HTTP/1.1 200 OK\r\nX-Filler: %s\r\n\r\n" % (b"x" * 600)
    with closing(Drip(answer, pause=0.1)) as drip:  # a minute, and each byte comes in time
        sender = WebhookSender(drip.url, SECRETS, timeout_seconds=0.3, clock=clock)
        done = Delivery(engine, {Medium.WEBHOOK: sender.send}, clock=clock).run()
    reasons = [reason for _, reason in done.failures]
    assert ["the receiver did not answer: its time was over"] == reasons


def test_after_a_failure_others_of_the_medium_wait_for_the_next_run(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, delivery: Delivery, receiver: StandIn
) -> None:
    set_one()
    spend(100)
    budgeting.run(now=NOW)
    receiver.answer = lambda _asked: Answer(b"", 500)
    assert (1, 1, 1) == (
        len(delivery.run().failures),
        len(delivery.run().failures),
        len(delivery.run().failures),
    )
    assert 3 == len(set(ids(receiver.asked)))


def test_a_mail_that_sendgrid_refuses_for_good_is_given_up(
    reach: Reach, delivery: Delivery, sendgrid: StandIn, engine: sa.Engine
) -> None:
    reach(PAT)
    sendgrid.answer = lambda _asked: Answer(b'{"errors":[{"message":"pat@acme.example"}]}', 400)
    delivery.run()
    row = next(row for row in notices(engine) if row["medium"] == "mail")
    # What SendGrid says may name somebody.
    assert ("SendGrid answered 400", (0, 1)) == (row["last_error"], waiting(engine))


def test_a_mail_that_its_client_will_not_compose_stops_no_other_and_is_given_up(
    reach: Reach,
    delivery: Delivery,
    receiver: StandIn,
    clock: Hands,
    engine: sa.Engine,
) -> None:
    with operator_session(engine, write=True) as session:
        # SendGrid's client takes a text like this for one of its keys, and raises.
        change_tenant(session, ACME, name="SG.Acme.Limited", now=NOW)
    reach(PAT)
    done = delivery.run()
    assert ((f"acme/{NOTICE}mail", "it could not be composed: ApiKeyIncludedException"),) == (
        done.failures
    )
    assert (1, 1, (1, 0)) == (done.sent, len(receiver.asked), waiting(engine))
    clock.now += GIVEN_UP_AFTER
    delivery.run()
    assert (0, 1) == waiting(engine)


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_a_mail_that_may_go_later_waits(
    reach: Reach,
    delivery: Delivery,
    sendgrid: StandIn,
    engine: sa.Engine,
    status: int,
) -> None:
    reach(PAT)
    sendgrid.answer = lambda _asked: Answer(b"", status)
    delivery.run()
    assert (1, 0) == waiting(engine)


def test_a_receiver_that_is_gone_for_good_is_left_alone(
    reach: Reach, delivery: Delivery, receiver: StandIn, engine: sa.Engine
) -> None:
    reach()
    receiver.answer = lambda _asked: Answer(b"", 410)
    delivery.run()
    assert (0, 1) == waiting(engine)


def test_what_cannot_go_out_for_days_is_given_up(
    reach: Reach,
    delivery: Delivery,
    receiver: StandIn,
    clock: Hands,
    engine: sa.Engine,
) -> None:
    reach()
    receiver.answer = lambda _asked: Answer(b"", 500)
    delivery.run()
    assert (1, 0) == waiting(engine)
    clock.now += GIVEN_UP_AFTER
    delivery.run()
    assert (0, 1) == waiting(engine)


def test_a_tenant_that_closed_meanwhile_gets_no_mail(
    reach: Reach, delivery: Delivery, sendgrid: StandIn, engine: sa.Engine
) -> None:
    reach(PAT)
    with operator_session(engine, write=True) as session:
        close_tenant(session, ACME, now=NOW)
    delivery.run()
    given_up = [row["failed_at"] is not None for row in notices(engine)]
    assert ([], [True, True]) == (sendgrid.asked, given_up)


def test_what_is_given_up_since_its_tenant_closed_is_no_failure(
    reach: Reach, delivery: Delivery, engine: sa.Engine
) -> None:
    reach(PAT)
    with operator_session(engine, write=True) as session:
        close_tenant(session, ACME, now=NOW)
    delivery.run()
    assert (0, 0) == waiting(engine)


def test_a_sender_that_died_leaves_its_notice_to_the_next_one(
    reach: Reach, delivery: Delivery, engine: sa.Engine, sendgrid: StandIn, clock: Hands
) -> None:
    """It sent the mail, and could not say so: the mail goes out twice and is counted once."""
    mail = mail_sender(sendgrid)
    reach(PAT)

    def send_and_die(notice: BudgetNotice) -> Attempt:
        mail(notice)
        raise KeyboardInterrupt

    dying = Delivery(engine, {Medium.MAIL: send_and_die}, clock=clock)
    with pytest.raises(KeyboardInterrupt):
        dying.run()
    assert 1 == delivery.run().sent  # the webhook alone: the mail is claimed
    clock.now += timedelta(minutes=1)
    assert 1 == delivery.run().sent
    Costing(engine, load_flat_map()).run(clock=lambda: NOW)
    bodies = [orjson.loads(asked.body)["custom_args"] for asked in sendgrid.asked]
    assert ([{"meterline_notice": f"acme/{NOTICE}mail"}] * 2, [("budget_notice", 1, 1)]) == (
        bodies,
        mails(engine),
    )


def test_nobody_else_sends_what_somebody_is_sending_however_long_that_takes(
    reach: Reach,
    delivery: Delivery,
    engine: sa.Engine,
    clock: Hands,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job, "RENEWED_AFTER", timedelta(milliseconds=5))
    reach()
    others: list[int] = []

    def is_renewed() -> bool:
        (row,) = notices(engine)
        return bool(row["due_at"] == clock.now + CLAIM)

    def slow(_notice: BudgetNotice) -> Attempt:
        for _ in range(2):
            clock.now += CLAIM - timedelta(seconds=10)
            # Seen as a fault of the test where it stays away, and no error of the sender.
            with suppress(AssertionError):
                wait_until(is_renewed, "the claim is renewed", seconds=1)
            others.append(delivery.run().sent)
        return Attempt()

    assert 1 == Delivery(engine, {Medium.WEBHOOK: slow}, clock=clock).run().sent
    assert [0, 0] == others


def test_a_claim_is_renewed_by_nobody_once_it_was_sent(
    reach: Reach, delivery: Delivery, engine: sa.Engine
) -> None:
    reach()
    delivery.run()
    (row,) = notices(engine)
    sent = BudgetNotice(
        notice_id=row["notice_id"],
        medium=Medium.WEBHOOK,
        recipients=(),
        document=row["document"],
        created_at=row["created_at"],
        attempts=row["attempts"],
    )
    with tenant_session(engine, ACME, write=True) as session:
        renew_claim(session, sent, until=NOW + timedelta(days=1))
    assert row == notices(engine)[0]


def test_one_that_was_slow_changes_nothing_of_what_the_next_one_noted(
    reach: Reach,
    delivery: Delivery,
    engine: sa.Engine,
    clock: Hands,
) -> None:
    reach()

    def overtaken(_notice: BudgetNotice) -> Attempt:
        clock.now += timedelta(minutes=1)
        assert 1 == delivery.run().sent
        return Attempt("too late")

    Delivery(engine, {Medium.WEBHOOK: overtaken}, clock=clock).run()
    (row,) = notices(engine)
    assert (None, True) == (row["last_error"], row["sent_at"] is not None)
