"""SendGrid's event webhook: a recipient for each mail that was processed or dropped.

SendGrid bills recipients, also those whose mail bounces or is dropped; so what was delivered is not
what is counted. Pure functions.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import orjson

from collector.facts.claim import Claim, ClaimKind
from collector.facts.fact import Fact, Rank, Verdict
from collector.notices.sending import CUSTOM_ARGUMENT
from collector.webhooks.claims import Ignored, Notice, OwnMail, named_tenant
from collector.webhooks.features import FeatureRules, as_feature, feature_by_rules
from collector.webhooks.twilio_fields import is_sid
from ledger.budget_notices import NoticeName
from ledger.errors import InvalidError

SOURCE = "sendgrid"

_BILLED = frozenset({"processed", "dropped"})
_OTHER = frozenset(
    {
        "deferred", "delivered", "bounce", "blocked", "open", "click", "spamreport", "unsubscribe",
        "group_unsubscribe", "group_resubscribe", "account_status_change",
    }
)  # fmt: skip
_MAX_AGE = timedelta(days=31)
_ID = re.compile(r"[A-Za-z0-9_.=+/-]{1,200}")
_FILTER = ".filter"
_TEMPLATE = "template"
_CATEGORY = "category"


def read_events(
    body: bytes, rules: FeatureRules, *, subuser: str | None, now: datetime
) -> list[Notice | Ignored]:
    """Return what each event of a webhook says, in their order.

    Args:
        body: a JSON array of events.
        rules: features by category and template.
        subuser: whose key signed the webhook, where it is that of a subuser.
        now: when it came.

    Raises:
        InvalidError: `malformed_json` or `not_an_array`.
    """
    try:
        events = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidError("malformed_json", f"not JSON: {error}") from None
    if not isinstance(events, list):
        raise InvalidError("not_an_array", "the event webhook is a JSON array of events")
    owner = None if subuser is None else Claim(ClaimKind.SUBUSER, subuser)
    return [_read_event(event, rules, owner, now) for event in events]


def _read_event(
    event: object, rules: FeatureRules, owner: Claim | None, now: datetime
) -> Notice | Ignored:
    if not isinstance(event, dict):
        return Ignored.UNREADABLE_EVENT
    kind = str(event.get("event"))
    if kind not in _BILLED:
        return Ignored.OTHER_EVENT if kind in _OTHER else Ignored.UNKNOWN_STATUS
    mailing, fact_id = mailing_of(event.get("sg_message_id")), _id(event.get("sg_event_id"))
    # One that looks like a message of Twilio's would be taken for that.
    if mailing is None or fact_id is None or is_sid(mailing):
        return Ignored.UNREADABLE_EVENT
    fact = Fact(
        usage_id=mailing,
        fact_id=fact_id,
        rank=Rank.FINAL,
        verdict=Verdict.BILLED,
        time=_time(event.get("timestamp"), now),
        channel="email",
        direction="outbound",
        source=SOURCE,
        feature=_feature(event, rules),
        quantity=1,
        adds=True,
    )
    return Notice(
        facts=(fact,),
        claims=() if owner is None else (owner,),
        tenant=named_tenant(event.get("tenant")),
        owner=owner,
        own_mail=_own_mail(event),
    )


def mailing_of(message_id: object) -> str | None:
    """Return the `X-Message-Id` of the mailing that a mail is a part of, None where there is none.

    A mail's id is that of its mailing, a dot, and the name of the filter that handled it. Old ids
    of mailings have dots of their own; those of today are base64 of the kind that has none.
    """
    if not isinstance(message_id, str):
        return None
    mailing, filter_, _ = message_id.partition(_FILTER)
    return _id(mailing if filter_ else message_id.partition(".")[0])


def _own_mail(event: Mapping[str, object]) -> OwnMail | None:
    name, recipient = event.get(CUSTOM_ARGUMENT), event.get("email")
    if not isinstance(name, str) or not isinstance(recipient, str):
        return None
    tenant, _, notice_id = name.partition("/")
    tenant_id = named_tenant(tenant)
    if tenant_id is None or not notice_id.isprintable():  # PostgreSQL takes no NUL
        return None
    return OwnMail(NoticeName(tenant_id, notice_id), recipient)


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _time(seconds: object, now: datetime) -> datetime:
    """Return the time of an event, or now where it tells none that can be."""
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        return now
    try:
        told = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return now
    return told if now - _MAX_AGE <= told <= now else now


def _feature(event: Mapping[str, object], rules: FeatureRules) -> str | None:
    """Return what a mail was for, in the order that the SDK looks: argument, category, template."""
    argument = event.get("feature")
    if isinstance(argument, str) and argument:
        told = rules.get(f"{_CATEGORY}:{argument}") or as_feature(argument)
        if told is not None:
            return told
    return feature_by_rules(rules, _traits(event))


def _traits(event: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    categories = event.get("category")
    for category in categories if isinstance(categories, list) else [categories]:
        if isinstance(category, str):
            yield _CATEGORY, category
    template = event.get("sg_template_id")
    if isinstance(template, str):
        yield _TEMPLATE, template
