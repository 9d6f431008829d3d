"""Twilio's status callbacks for calls: started minutes of each leg that was completed.

Every leg has a SID of its own and is billed by itself. Pure functions.
"""

import math
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
    read_time,
)
from ledger.errors import InvalidError

_PROGRESS = frozenset({"queued", "initiated", "ringing", "answered", "in-progress"})
_VERDICTS = {
    "completed": Verdict.BILLED,
    "busy": Verdict.VOID,
    "no-answer": Verdict.VOID,
    "failed": Verdict.VOID,
    "canceled": Verdict.VOID,
}
"""What a status comes to: only completed calls are billed."""

_DIRECTIONS = {
    "inbound": "inbound",
    "outbound": "outbound",
    "outbound-api": "outbound",
    "outbound-dial": "outbound",
}
_FORWARDED = "outbound-dial"
_TRUNKS = frozenset({"trunking-originating", "trunking-terminating"})
_SECONDS_A_MINUTE = 60


def read_call(form: Form, scope: Scope, rules: FeatureRules, *, now: datetime) -> Notice | Ignored:
    """Return what a webhook says of one leg of a call.

    Args:
        form: its parameters.
        scope: of the address that it came to.
        rules: features by number.
        now: when it came; the time of the call is when it ended, where that is told.

    Raises:
        InvalidError: `missing_parameter` or `invalid_parameter`.
    """
    sid = need_sid(form, "CallSid")
    status = need(form, "CallStatus")
    if status in _PROGRESS:
        return Ignored.PROGRESS
    verdict = _VERDICTS.get(status)
    if verdict is None:
        return Ignored.UNKNOWN_STATUS
    leg = need(form, "Direction")
    if leg in _TRUNKS:
        return Ignored.TRUNK
    direction = _DIRECTIONS.get(leg)
    if direction is None:
        return Ignored.UNKNOWN_DIRECTION
    seconds = _seconds(form) if verdict is Verdict.BILLED else None
    number = _own_number(form, leg)
    fact = Fact(
        usage_id=sid,
        fact_id=name_fact(status, seconds),
        rank=Rank.FINAL,
        verdict=verdict,
        time=read_time(form, now=now),
        channel="voice",
        direction=direction,
        source=SOURCE,
        feature=scope.feature or feature_by_rules(rules, [("number", number)]),
        quantity=None if seconds is None else math.ceil(seconds / _SECONDS_A_MINUTE),
        metadata={} if seconds is None else {"duration_seconds": seconds},
    )
    return Notice(
        facts=(fact,),
        claims=claims_of(form, number),
        tenant=scope.tenant,
        owner=scope.owner,
    )


def _own_number(form: Form, leg: str) -> str | None:
    """Return the operator's number that a leg came in on or went out from, where it names one.

    A leg that was forwarded names whom it goes to, and shows the number of its caller, who may be
    another tenant: neither tells whose it is.
    """
    if leg == _FORWARDED:
        return None
    return own_number(form.get("To" if leg == "inbound" else "From"))


def _seconds(form: Form) -> int:
    """Return how long the leg lasted; without that, nobody knows what it cost."""
    seconds = read_count(form, "CallDuration")
    if seconds is None:
        raise InvalidError(
            "missing_parameter", "a completed call has CallDuration", key="CallDuration"
        )
    return seconds
