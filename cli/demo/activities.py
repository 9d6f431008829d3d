"""What the invented tenants do, and the usage that each act comes to.

Everything here is drawn from the random source that is handed in, in a fixed order. What failed is
no usage: a message that was not sent is missing, a newsletter has fewer recipients than its list.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

Event = dict[str, object]
"""A usage event as a host would send it, see docs/events.md; the tenant is added later."""


class Moment(NamedTuple):
    """When something happens, the random source for it, and the tenant's language model."""

    rng: Random
    at: datetime
    model: str


class Used(NamedTuple):
    """Usage and its time (UTC)."""

    at: datetime
    event: Event


Activity = Callable[[Moment], list[Used]]

_FAILED = 0.02
_BOUNCED = 0.015
_TEMPLATES = ("booking_confirmation", "booking_reminder", "booking_change")
_PORTAL_TEMPLATES = ("portal_invite", "portal_receipt", "portal_document")
_TRANSCRIBER = "whisper-1"
_HOUSE_MODEL = "house-summary-1"
_TOKENS_A_SECOND = 4


def plain_sms(moment: Moment) -> list[Used]:
    """Send a text as callers of the earlier engine do: no source, feature or metadata."""
    if _fails(moment):
        return []
    return [_used(moment, "SM", channel="sms", direction="outbound", quantity=_segments(moment))]


def campaign_sms(moment: Moment) -> list[Used]:
    """Send a text of this week's campaign to one customer."""
    if _fails(moment):
        return []
    return [_text(moment, "outbound", "broadcast", campaignId=_campaign(moment))]


def campaign_mms(moment: Moment) -> list[Used]:
    """Send a picture of this week's campaign to one customer."""
    if _fails(moment):
        return []
    return [
        _used(moment, "MM", channel="mms", direction="outbound", source="twilio",
              feature="broadcast", quantity=1, metadata={"campaignId": _campaign(moment)}),
    ]  # fmt: skip


def picture_received(moment: Moment) -> list[Used]:
    """Get a picture from a customer."""
    return [
        _used(moment, "MM", channel="mms", direction="inbound", source="twilio",
              feature="ai_sms", quantity=1, metadata={"num_media": 1}),
    ]  # fmt: skip


def text_answered(moment: Moment) -> list[Used]:
    """Get a text and let a model answer it; sometimes the model fails and nobody answers."""
    conversation = _name(moment, "conv-")
    asked = _text(moment, "inbound", "ai_sms", conversationId=conversation)
    if _fails(moment):
        return [asked]
    thought = _model_call(
        moment,
        "ai_sms",
        after=3,
        input_tokens=_skewed(moment, 800, 4000),
        output_tokens=_skewed(moment, 40, 220),
        conversationId=conversation,
    )
    later = moment._replace(at=moment.at + timedelta(seconds=8))
    return [asked, thought, _text(later, "outbound", "ai_sms", conversationId=conversation)]


def call_taken(moment: Moment) -> list[Used]:
    """Take a call through the phone menu."""
    return [_call(moment, "inbound", "ivr", _skewed(moment, 15, 900))]


def call_made(moment: Moment) -> list[Used]:
    """Call a customer; who does not pick up costs nothing and is no usage."""
    if _fails(moment):
        return []
    return [_call(moment, "outbound", "ivr", _skewed(moment, 10, 600))]


def voicemail(moment: Moment) -> list[Used]:
    """Take a voice message and let a model summarise it, at leisure."""
    seconds = _skewed(moment, 10, 120)
    summary = _model_call(
        moment,
        "voicemail_ai",
        after=seconds + 60,
        input_tokens=200 + seconds * _TOKENS_A_SECOND,
        output_tokens=_skewed(moment, 40, 160),
        service_tier="flex",
    )
    return [_call(moment, "inbound", "voicemail_ai", seconds), summary]


def voicemail_transcribed(moment: Moment) -> list[Used]:
    """Take a voice message that is written down first: seconds of audio, which have no price."""
    taken = voicemail(moment)
    transcript = _used(
        moment, "transcript-", after=150, channel="ai", direction="outbound", source="openai",
        feature="voicemail_ai",
        metadata={"model": _TRANSCRIBER, "audio_seconds": _skewed(moment, 10, 120)},
    )  # fmt: skip
    return [*taken, transcript]


def support_chat(moment: Moment) -> list[Used]:
    """Answer a customer in the support widget: every turn sends the talk so far again."""
    conversation = _name(moment, "conv-")
    turns = []
    known = 900
    for turn in range(1 + _skewed(moment, 0, 4)):
        sent = known + _skewed(moment, 100, 900)
        answer = _skewed(moment, 120, 700)
        call = _model_call(
            moment,
            "support_ai",
            after=turn * 40,
            input_tokens=sent,
            output_tokens=answer,
            cached_tokens=known if turn else 0,
            conversationId=conversation,
        )
        turns.append(call)
        known = sent + answer
    return turns


def summary(moment: Moment) -> list[Used]:
    """Summarise a case with a model of one's own, which tells a total of tokens and no more."""
    total = _skewed(moment, 1500, 9000)
    return [
        _used(moment, "sum-", channel="ai", direction="outbound", source="internal",
              feature="support_ai", metadata={"model": _HOUSE_MODEL, "total_tokens": total}),
    ]  # fmt: skip


def booking_mail(moment: Moment) -> list[Used]:
    """Confirm or remind of a booking."""
    template = moment.rng.choice(_TEMPLATES)
    return [] if _fails(moment) else [_mail(moment, "booking_email", 1, templateKey=template)]


def portal_mail(moment: Moment) -> list[Used]:
    """Tell a customer that something waits in the portal."""
    template = moment.rng.choice(_PORTAL_TEMPLATES)
    return [] if _fails(moment) else [_mail(moment, "portal_email", 1, templateKey=template)]


def newsletter(moment: Moment) -> list[Used]:
    """Send a newsletter to a list; recipients that bounce are not counted."""
    listed = _skewed(moment, 80, 2500)
    bounced = int(listed * _BOUNCED * 2 * moment.rng.random())
    return [_mail(moment, "broadcast", listed - bounced, campaignId=_campaign(moment))]


def mail_received(moment: Moment) -> list[Used]:
    """Get an e-mail through the portal, which has no price."""
    return [
        _used(moment, "in-", channel="email", direction="inbound", source="internal",
              feature="portal_email", quantity=1),
    ]  # fmt: skip


def _text(moment: Moment, direction: str, feature: str, **metadata: object) -> Used:
    return _used(
        moment, "SM", channel="sms", direction=direction, source="twilio", feature=feature,
        quantity=_segments(moment), metadata=metadata,
    )  # fmt: skip


def _call(moment: Moment, direction: str, feature: str, seconds: int) -> Used:
    return _used(
        moment, "CA", after=seconds, channel="voice", direction=direction, source="twilio",
        feature=feature, metadata={"duration_seconds": seconds},
    )  # fmt: skip


def _mail(moment: Moment, feature: str, recipients: int, **metadata: object) -> Used:
    return _used(
        moment, "sg-", channel="email", direction="outbound", source="sendgrid", feature=feature,
        quantity=recipients, metadata=metadata,
    )  # fmt: skip


def _model_call(moment: Moment, feature: str, *, after: int, **metadata: object) -> Used:
    return _used(
        moment, "chatcmpl-", after=after, channel="ai", direction="outbound", source="openai",
        feature=feature, metadata={"model": moment.model, **metadata},
    )  # fmt: skip


def _used(moment: Moment, prefix: str, *, after: int = 0, **fields: object) -> Used:
    at = moment.at + timedelta(seconds=after)
    return Used(at, {"id": _name(moment, prefix), "time": at.isoformat(), **fields})


def _name(moment: Moment, prefix: str) -> str:
    return f"{prefix}{moment.rng.getrandbits(128):032x}"


def _campaign(moment: Moment) -> str:
    return f"campaign-{moment.at:%G-W%V}"


def _segments(moment: Moment) -> int:
    return 1 + _skewed(moment, 0, 3)


def _fails(moment: Moment) -> bool:
    return moment.rng.random() < _FAILED


def _skewed(moment: Moment, low: int, high: int) -> int:
    """Return a count from `low` up to, and not including, `high`; small ones are more likely."""
    drawn = moment.rng.random()
    return low + int((high - low) * drawn * drawn)
