from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from collector.facts.claim import Claim, ClaimKind
from collector.facts.fact import Fact
from collector.webhooks.claims import Notice
from collector.webhooks.sendgrid_events import mailing_of, read_events
from tests.builders import NOW
from tests.webhooks import mail_event

RULES = {
    "category:booking_confirmation": "booking_email",
    "category:news": "newsletter",
    "template:d-17": "reminders",
}


def notice_of(*, subuser: str | None = None, **changes: Any) -> Notice:
    body = orjson.dumps([mail_event(**changes)])
    (notice,) = read_events(body, RULES, subuser=subuser, now=NOW)
    assert isinstance(notice, Notice)
    return notice


def fact_of(**changes: Any) -> Fact:
    (fact,) = notice_of(**changes).facts
    return fact


@pytest.mark.parametrize(
    ("message_id", "expected"),
    [
        ("XBg2anf2TqCy6WXKQFhieQ.filter0905p1mdw1-4434-59E0C6FF-3.0", "XBg2anf2TqCy6WXKQFhieQ"),
        ("Ua9z9lSTSaqYBWJe_Xfc-Q", "Ua9z9lSTSaqYBWJe_Xfc-Q"),
        ("14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0", "14c5d75ce93.dfd.64b469"),
        ("Ua9z9lSTSaqYBWJe_Xfc-Q.recvd-5f54b5d587-1-648215A4-1D.0", "Ua9z9lSTSaqYBWJe_Xfc-Q"),
        (".filter0905", None),
        ("jo@example.test", None),
        ("", None),
        (17, None),
        (None, None),
    ],
)
def test_a_mail_is_a_part_of_the_mailing_that_its_id_starts_with(
    message_id: object, expected: str | None
) -> None:
    assert expected == mailing_of(message_id)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"feature": "portal_email"}, "portal_email"),
        ({"feature": "booking_confirmation"}, "booking_email"),
        ({"feature": "portal_email", "category": "news"}, "portal_email"),
        ({"feature": "4155550199", "category": "news"}, "newsletter"),
        ({"feature": "No Slug", "category": "news"}, "newsletter"),
        ({"feature": ["news"], "category": ["other", "news"]}, "newsletter"),
        ({"category": "news", "sg_template_id": "d-17"}, "newsletter"),
        ({"category": "other", "sg_template_id": "d-17"}, "reminders"),
        ({"category": {"a": 1}, "sg_template_id": 17}, None),
        ({}, None),
    ],
)
def test_argument_then_category_then_template_tell_the_feature(
    fields: dict[str, Any], expected: str | None
) -> None:
    assert expected == fact_of(**fields).feature


@pytest.mark.parametrize(
    ("tenant", "expected"),
    [("acme", "acme"), ("_unattributed", None), ("a b", None), (17, None), (["acme"], None)],
)
def test_the_custom_argument_tells_the_tenant(tenant: object, expected: str | None) -> None:
    assert expected == notice_of(tenant=tenant).tenant


def test_the_subuser_whose_key_signed_is_the_claim() -> None:
    assert (Claim(ClaimKind.SUBUSER, "acme-mail"),) == notice_of(subuser="acme-mail").claims


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (1773143940, datetime(2026, 3, 10, 11, 59, tzinfo=UTC)),
        (1773144001, NOW),
        (0, NOW),
        (-1, NOW),
        (10**30, NOW),
        (True, NOW),
        ("1773143940", NOW),
        (1773143940.5, NOW),
        (..., NOW),
    ],
)
def test_a_mail_is_of_the_time_that_sendgrid_tells_or_else_of_now(
    timestamp: object, expected: datetime
) -> None:
    body = str(timestamp) if isinstance(timestamp, int) and timestamp > 2**63 else None
    if body is None:
        assert expected == fact_of(timestamp=timestamp).time
        return
    raw = orjson.dumps([mail_event(timestamp=7)]).replace(b":7}", f":{body}}}".encode())
    (notice,) = read_events(raw, {}, subuser=None, now=NOW)
    assert isinstance(notice, Notice)
    assert expected == notice.facts[0].time
