"""Checks facts at the door, as events are. Pure functions."""

from dataclasses import replace
from datetime import datetime

import orjson

from collector.counts import MAX_QUANTITY
from collector.events import EARLIEST, Rules
from collector.facts.fact import Fact, Verdict
from collector.ids import parse_id
from collector.metadata import check_size
from ledger.errors import InvalidError
from ledger.event import DIRECTIONS, FAILED_PRICE_CLASS, parse_slug
from ledger.units import load_catalogue

_CHANNELS = tuple(c.name for c in load_catalogue().channels if c.name != "ai")


def check_fact(fact: Fact, *, rules: Rules, now: datetime) -> Fact:
    """Return the fact as it may be kept, its metadata by the policy for events.

    Raises:
        InvalidError: with the field at fault.
    """
    parse_id(fact.usage_id, key="usage_id")
    parse_id(fact.fact_id, key="fact_id")
    _check_choice("channel", fact.channel, _CHANNELS)
    _check_choice("direction", fact.direction, DIRECTIONS)
    parse_slug(fact.source, key="source")
    if fact.feature is not None:
        parse_slug(fact.feature, key="feature")
    classes = load_catalogue().price_classes_of(fact.channel)
    if fact.verdict is Verdict.FAILED and FAILED_PRICE_CLASS not in classes:
        raise InvalidError(
            "invalid_verdict",
            f"no fee is known for a failed usage of channel {fact.channel}",
            key="verdict",
            value=fact.verdict,
        )
    _check_time(fact.time, rules=rules, now=now)
    _check_quantity(fact.quantity)
    if not fact.metadata:
        return fact
    canonical = orjson.dumps(dict(fact.metadata), option=orjson.OPT_SORT_KEYS)
    check_size(canonical)
    stored = rules.policy.clean(fact.metadata, canonical).stored
    return replace(fact, metadata={} if stored is None else orjson.loads(stored))


def _check_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidError(
            f"unknown_{key}", f"{key} is one of {', '.join(choices)}", key=key, value=value
        )


def _check_time(time: datetime, *, rules: Rules, now: datetime) -> None:
    if time.tzinfo is None:
        raise InvalidError("missing_offset", "time needs an offset", key="time", value=str(time))
    if time > now + rules.max_future:
        raise InvalidError("future_time", "time is in the future", key="time", value=str(time))
    if time < EARLIEST:
        raise InvalidError("ancient_time", "time is before the year 2000", key="time")


def _check_quantity(quantity: int | None) -> None:
    if quantity is None:
        return
    if isinstance(quantity, bool) or not isinstance(quantity, int):
        raise InvalidError(
            "invalid_quantity", "quantity must be a whole number", key="quantity", value=quantity
        )
    if not 0 <= quantity <= MAX_QUANTITY:
        raise InvalidError(
            "invalid_quantity",
            f"quantity must be from 0 to {MAX_QUANTITY}",
            key="quantity",
            value=quantity,
        )
