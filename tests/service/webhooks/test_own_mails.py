"""Mails about budgets go out by SendGrid, whose webhook then tells of them as of any other mail."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from api.services import Services
from collector.notices.job import Delivery
from collector.notices.mail import MailSender
from costing.budgets.budget import parse_budget
from costing.budgets.changing import set_budget
from costing.budgets.job import Budgeting
from ledger.budget_notices import Medium
from ledger.session import tenant_session
from ledger.tenant import UNATTRIBUTED, TenantId
from tests.builders import NOW, sms
from tests.conftest import Book
from tests.standins import sendgrid_api
from tests.standins.server import StandIn
from tests.webhooks import MailKey, Provider, mail_event, usages

RECIPIENTS = ["Pat@acme.example", "kim@acme.example"]
OWN = ("acme", "email", "internal", 1, 2)
SPENT = ("acme", "sms", "twilio", 1, 2)

Events = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def sendgrid() -> Iterator[StandIn]:
    standin = StandIn(sendgrid_api.accept)
    yield standin
    standin.close()


@pytest.fixture
def events(engine: sa.Engine, book: Book, sendgrid: StandIn) -> Events:
    """Let a mail about a budget go out; return how SendGrid's events of it are made."""
    budget = parse_budget(
        {"period": "monthly", "amount": "0.01", "thresholds": [100], "recipients": RECIPIENTS}
    )
    with tenant_session(engine, TenantId("acme"), write=True) as session:
        set_budget(session, budget, by="a test", now=NOW)
    book(sms(quantity=2))
    Budgeting(engine, media=[Medium.MAIL]).run(now=NOW)
    sender = MailSender("SG.key", sender="m@host.example", url=sendgrid.url, timeout_seconds=5)
    assert 1 == Delivery(engine, {Medium.MAIL: sender.send}, clock=lambda: NOW).run().sent
    (asked,) = sendgrid.asked
    mail = asked.json
    recipients = [to["email"] for each in mail["personalizations"] for to in each["to"]]

    def make(kind: str = "processed", **changes: Any) -> list[dict[str, Any]]:
        return [
            mail_event(
                kind,
                **{
                    "email": recipient.lower(),
                    "sg_event_id": f"{kind}-{number}",
                    "sg_message_id": f"{sendgrid_api.MESSAGE_ID}.recvd-5f54b5d587-1-648215A4.0",
                    **mail["custom_args"],
                    **changes,
                },
            )
            for number, recipient in enumerate(recipients)
        ]

    return make


def booked(engine: sa.Engine) -> list[tuple[Any, ...]]:
    return usages(engine, "channel", "source")


@pytest.mark.parametrize("kind", ["processed", "dropped"])
def test_a_mail_of_our_own_is_booked_once_also_where_the_webhook_tells_of_it(
    kind: str, events: Events, provider: Provider, services: Services
) -> None:
    answer = provider.sendgrid(*events(kind))
    counts = {("sendgrid", "own_notice"): 2}
    assert (204, [OWN, SPENT], counts) == (
        answer.status,
        booked(services.engine),
        services.tally.snapshot(),
    )


def test_a_mail_of_our_own_is_not_booked_on_the_owner_of_the_subuser_that_sent_it(
    events: Events, provider: Provider, engine: sa.Engine, subusers_key: MailKey
) -> None:
    provider.sendgrid(*events(), key=subusers_key)
    assert [OWN, SPENT] == booked(engine)


@pytest.mark.parametrize(
    "claimed",
    [
        {"email": "guest@example.com"},
        {"email": ...},
        {"meterline_notice": "acme/monthly/2026-02-01/100/mail"},
        {"meterline_notice": "karachi/monthly/2026-03-01/100/mail"},
        {"meterline_notice": "acme"},
        {"meterline_notice": "no tenant/monthly/2026-03-01/100/mail"},
        {"meterline_notice": ""},
        {"meterline_notice": "acme/\0"},
        {"meterline_notice": ["acme/monthly/2026-03-01/100/mail"]},
    ],
)
def test_a_mail_that_only_says_that_it_is_our_own_is_booked(
    claimed: dict[str, Any], events: Events, provider: Provider, engine: sa.Engine
) -> None:
    provider.sendgrid(*events(**claimed))
    other = (UNATTRIBUTED, "email", "sendgrid", 2, 2)
    assert [other, OWN, SPENT] == booked(engine)


def test_a_mail_of_our_own_leaves_its_neighbours_to_be_booked(
    events: Events, provider: Provider, engine: sa.Engine
) -> None:
    provider.sendgrid(*events(), mail_event(tenant="karachi"))
    assert [OWN, SPENT, ("karachi", "email", "sendgrid", 1, 1)] == booked(engine)
