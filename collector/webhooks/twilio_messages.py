"""Twilio's webhooks for messages: status callbacks of outbound ones, and inbound ones.

A status callback tells no count of segments: those that the SDK booked stand. Pure functions.
"""

from datetime import datetime

from collector.facts.fact import Fact, Rank, Verdict
from collector.webhooks.claims import Ignored, Notice, Scope
from collector.webhooks.features import FeatureRules, feature_by_rules
from collector.webhooks.twilio_fields import (
    SOURCE,
    Form,
    claims_of,
    name_fact,
    need,
    need_sid,
    own_number,
    read_count,
)

FREE_FAILURES = frozenset(
    {
        "12400", "20500", "20504", "21408", "30002", "30008", "30036", "30103", "30450", "30454",
        "30500", "63010", "63012", "63013", "63018", "63021", "63024", "63032", "63038", "90010",
    }
)  # fmt: skip
"""Error codes of failed messages for which Twilio takes no fee: help article 27502337507483."""

_FREE = "-free"
_PARTIALLY_DELIVERED = "partially_delivered"
_PROGRESS = frozenset({"accepted", "scheduled", "queued", "sending", "receiving"})
_SENT = "sent"
"""A carrier took it: it is billed, and whatever comes after says better how it ended."""

_RECEIVED = "received"
_VERDICTS = {
    _SENT: Verdict.BILLED,
    "delivered": Verdict.BILLED,
    "undelivered": Verdict.BILLED,
    "read": Verdict.BILLED,
    _RECEIVED: Verdict.BILLED,
    "failed": Verdict.FAILED,
    "canceled": Verdict.VOID,
}
"""What a status comes to. Full price from `sent` on, also where it was not delivered."""


def read_message(
    form: Form, scope: Scope, rules: FeatureRules, *, now: datetime
) -> Notice | Ignored:
    """Return what a webhook says of a message.

    Args:
        form: its parameters.
        scope: of the address that it came to.
        rules: features by number and messaging service.
        now: when it came; Twilio tells no time of a message that can be relied on.

    Raises:
        InvalidError: `missing_parameter` or `invalid_parameter`.
    """
    sid = need_sid(form, "MessageSid")
    status = form.get("MessageStatus") or need(form, "SmsStatus")
    if status in _PROGRESS:
        return Ignored.PROGRESS
    if status == _PARTIALLY_DELIVERED:
        return Ignored.PARTIALLY_DELIVERED
    verdict = _VERDICTS.get(status)
    if verdict is None:
        return Ignored.UNKNOWN_STATUS
    fact_id = status
    if verdict is Verdict.FAILED and form.get("ErrorCode") in FREE_FAILURES:
        # By a name of its own, which sorts after the other: it counts whichever came first.
        verdict, fact_id = Verdict.VOID, status + _FREE
    is_inbound = status == _RECEIVED
    number = own_number(form.get("To" if is_inbound else "From"))
    channel, quantity, metadata = _count(form, sid)
    fact = Fact(
        usage_id=sid,
        fact_id=name_fact(fact_id, quantity),
        rank=Rank.PROGRESS if status == _SENT else Rank.FINAL,
        verdict=verdict,
        time=now,
        channel=channel,
        direction="inbound" if is_inbound else "outbound",
        source=SOURCE,
        feature=scope.feature or _feature(rules, form, number),
        quantity=quantity,
        metadata=metadata,
    )
    return Notice(
        facts=(fact,),
        claims=claims_of(form, number),
        tenant=scope.tenant,
        owner=scope.owner,
    )


def _count(form: Form, sid: str) -> tuple[str, int | None, dict[str, object]]:
    """Return channel, quantity and metadata, as the SDK has them of a created message."""
    media = read_count(form, "NumMedia")
    if _is_other_network(form):  # also with media
        return "sms", 1, {"provisional": True}
    if media:
        return "mms", 1, {"num_media": media}
    if media is None and sid.startswith("MM"):  # a status callback tells no media
        return "mms", 1, {}
    return "sms", read_count(form, "NumSegments") or None, {}


def _is_other_network(form: Form) -> bool:
    """Whether it goes over WhatsApp, RCS or the like: addresses there are `network:address`."""
    return any(":" in form.get(name, "") for name in ("From", "To"))


def _feature(rules: FeatureRules, form: Form, number: str | None) -> str | None:
    return feature_by_rules(
        rules, [("number", number), ("service", form.get("MessagingServiceSid"))]
    )
