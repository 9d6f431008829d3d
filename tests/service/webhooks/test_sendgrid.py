"""SendGrid's event webhook over HTTP, through nginx, signed as SendGrid does."""

import json

import pytest
import sqlalchemy as sa

from api.services import Services
from ledger.session import operator_session
from ledger.tenant import UNATTRIBUTED, TenantId
from ledger.tenants import close_tenant
from tests.builders import NOW
from tests.collector import Collector
from tests.webhooks import MAILS, MailKey, Provider, fact_count, mail_event, usages

MAILING = "A6FilwaAR_Wm_VTCEFql_w"


def test_processed_and_dropped_count_a_recipient_each(
    provider: Provider, engine: sa.Engine
) -> None:
    provider.sendgrid(mail_event("processed", tenant="acme"), mail_event("dropped", tenant="acme"))
    columns = ("usage_id", "channel", "direction", "source", "time")
    time = NOW.replace(hour=11, minute=59, second=55)
    expected = ("acme", MAILING, "email", "outbound", "sendgrid", time, 1, 2)
    assert [expected] == usages(engine, *columns)


def test_other_events_and_unknown_ones_book_nothing_and_are_counted(
    provider: Provider, services: Services
) -> None:
    kinds = ("delivered", "open", "bounce", "teleported")
    answer = provider.sendgrid(*(mail_event(kind, tenant="acme") for kind in kinds))
    expected = {("sendgrid", "other_event"): 3, ("sendgrid", "unknown_status"): 1}
    facts = fact_count(services.engine)
    assert (204, 0, expected) == (answer.status, facts, services.tally.snapshot())


def test_an_event_that_comes_many_times_is_booked_once(
    provider: Provider, collector: Collector
) -> None:
    event = mail_event(tenant="acme")
    provider.sendgrid(event, event)
    provider.sendgrid(event)
    assert [("acme", 1)] == collector.rows("tenant_id", "quantity")


def test_a_batch_is_booked_on_each_of_its_tenants(provider: Provider, services: Services) -> None:
    named = ("acme", "karachi", "nobody-knows", "acme")
    provider.sendgrid(
        *(mail_event(tenant=name, sg_event_id=f"e{n}") for n, name in enumerate(named))
    )
    counts = {("sendgrid", "stored"): 4, ("sendgrid", "unattributed"): 1}
    assert ([(UNATTRIBUTED, 1, 1), ("acme", 1, 2), ("karachi", 1, 1)], counts) == (
        usages(services.engine),
        services.tally.snapshot(),
    )


def test_an_event_that_cannot_be_read_never_fails_its_neighbours(
    provider: Provider, collector: Collector, services: Services
) -> None:
    unreadable: list[object] = [
        "text", None, 7, [], {},
        mail_event(event=["processed"]),
        mail_event(sg_event_id=...),
        mail_event(sg_event_id="jo@example.test"),
        mail_event(sg_message_id=...),
        mail_event(sg_message_id=""),
        mail_event(sg_message_id=f"SM{32 * '0'}.filter1"),
        mail_event(sg_message_id={"a": 1}),
    ]  # fmt: skip
    provider.sendgrid(*unreadable, mail_event(tenant="acme"))
    counts = services.tally.snapshot()
    assert (1, {"stored": 1, "unreadable_event": 10, "unknown_status": 2}) == (
        len(collector.rows("event_id")),
        {outcome: times for (_, outcome), times in counts.items()},
    )


def test_what_a_closed_tenant_is_named_for_is_booked_like_that_of_its_neighbours(
    provider: Provider, services: Services
) -> None:
    with operator_session(services.engine, write=True) as session:
        close_tenant(session, TenantId("acme"), now=NOW.replace(hour=1))
    events = [mail_event(tenant=t, sg_event_id=t) for t in ("acme", "karachi")]
    answer = provider.sendgrid(*events)
    assert (204, [("acme", 1, 1), ("karachi", 1, 1)]) == (answer.status, usages(services.engine))


def test_the_key_of_a_subuser_tells_the_tenant(
    provider: Provider, engine: sa.Engine, subusers_key: MailKey
) -> None:
    provider.sendgrid(mail_event(), key=subusers_key)
    assert [("acme", 1, 1)] == usages(engine)


@pytest.mark.parametrize(
    ("body", "code"), [({"a": 1}, "not_an_array"), ("text", "not_an_array"), (None, "not_an_array")]
)
def test_what_is_no_array_is_refused(body: object, code: str, provider: Provider) -> None:
    raw = json.dumps(body).encode()
    answer = provider.post(MAILS, raw, provider.mail_key.sign(raw))
    assert (400, code) == (answer.status, answer.code)


@pytest.mark.parametrize("raw", [b"", b"[{]", b"[" * 5000, b"[NaN]"])
def test_what_is_no_json_is_refused(raw: bytes, provider: Provider) -> None:
    answer = provider.post(MAILS, raw, provider.mail_key.sign(raw))
    assert (400, "malformed_json") == (answer.status, answer.code)


def test_nothing_personal_is_stored_or_logged(
    provider: Provider, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    provider.sendgrid(mail_event(tenant="acme"), mail_event("open"))
    seen = f"{collector.rows('event_id', 'feature', 'metadata')}{caplog.text}"
    personal = ("jo@example", "192.0.2.7")
    assert ([], True) == ([one for one in personal if one in seen], "webhook of sendgrid" in seen)
