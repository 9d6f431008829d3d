"""What a usage comes to, by all that is known of it. Pure functions of values.

The outcome depends on the set of facts alone: each choice is by rank and then by id, and no two
facts of a usage have the same id.
"""

from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import NamedTuple

from collector.facts.fact import Fact, Verdict
from ledger.event import FAILED_PRICE_CLASS, STANDARD_PRICE_CLASS
from ledger.measures import Measures

_MESSAGES = {"sms", "mms"}


class DatedFact(NamedTuple):
    """A fact, and the tenant's local date of its time as it was booked with it."""

    fact: Fact
    date: date


class Usage(NamedTuple):
    """One usage as it is booked, or as it should be.

    The fields have the names of the columns of `usage_metrics`.
    """

    time: datetime
    date: date
    channel: str
    direction: str
    source: str | None
    feature: str | None
    model: str | None
    price_class: str
    derived: bool
    provisional: bool
    measures: Measures

    @property
    def figures(self) -> tuple[object, ...]:
        """All that any sum is made of: two usages with the same figures are booked alike."""
        return self[1:]


class Change(NamedTuple):
    """A row to book: `sign` 1 for a usage, -1 for the reversal of one."""

    sign: int
    usage: Usage


def find_effective(event: Usage | None, facts: Collection[DatedFact]) -> Usage | None:
    """Return what a usage comes to, or None where it is nothing.

    Args:
        event: the SDK's event, which is an estimate, or None where there is none.
        facts: the facts, in any order.
    """
    if facts:
        channel = _channel(event, facts)
        facts = [one for one in facts if _is_alike(one.fact.channel, channel)]
    if not facts:
        return event
    last = max(facts, key=_worth)
    if last.fact.verdict is Verdict.VOID:
        return None
    usage = _first_known(facts, last.fact) if event is None else event
    if usage.feature is None:
        usage = usage._replace(feature=_feature(facts))
    if last.fact.verdict is Verdict.FAILED:
        return usage._replace(
            price_class=FAILED_PRICE_CLASS,
            derived=False,
            provisional=False,
            measures=Measures(quantity=1),
        )
    told = [one for one in facts if one.fact.quantity is not None and not one.fact.adds]
    if told:
        best = max(told, key=_worth).fact
        if best.channel != usage.channel:  # segments are no messages with media
            return usage._replace(provisional=True)
        return usage._replace(
            derived=False,
            provisional=best.metadata.get("provisional") is True,
            measures=Measures(quantity=best.quantity or 0),
        )
    return usage


def counts_for(one: DatedFact, event: Usage | None, facts: Collection[DatedFact]) -> bool:
    """Whether a fact, of all that there are, is of the usage and counts in its unit."""
    fact, channel = one.fact, _channel(event, facts)
    counts_units = fact.verdict is Verdict.BILLED and fact.quantity is not None
    return fact.channel == channel or (_is_alike(fact.channel, channel) and not counts_units)


def _channel(event: Usage | None, facts: Collection[DatedFact]) -> str:
    return max(facts, key=_worth).fact.channel if event is None else event.channel


def _is_alike(one: str, other: str) -> bool:
    """Whether facts of one channel say how usage of the other ended.

    Callbacks of a message do not always tell which of both it is. All else under one id is
    something else, that has its id by mistake.
    """
    return one == other or {one, other} == _MESSAGES


def find_changes(booked: Collection[Usage], target: Usage | None) -> list[Change]:
    """Return what has to be booked so that what is booked comes to the target and nothing else."""
    rest = list(booked)
    if target is not None:
        for one in rest:
            if one.figures == target.figures:
                rest.remove(one)
                target = None
                break
    reversals = [Change(-1, one) for one in rest]
    return reversals if target is None else [*reversals, Change(1, target)]


def _worth(one: DatedFact) -> tuple[int, str]:
    return one.fact.rank, one.fact.fact_id


def _first_known(facts: Collection[DatedFact], last: Fact) -> Usage:
    """Return the usage without an SDK event: of whatever time the least of the facts is."""
    first = min(facts, key=lambda one: (one.fact.rank, one.fact.time, one.fact.fact_id))
    parts = [one.fact for one in facts if one.fact.adds]
    return Usage(
        time=first.fact.time,
        date=first.date,
        channel=last.channel,
        direction=last.direction,
        source=last.source,
        feature=None,
        model=None,
        price_class=STANDARD_PRICE_CLASS,
        derived=False,
        # Where nobody told how much it is, it is one at least.
        provisional=not parts or any(part.quantity is None for part in parts),
        measures=Measures(quantity=_add_up(parts) if parts else 1),
    )


def _add_up(parts: Iterable[Fact]) -> int:
    return sum(1 if part.quantity is None else part.quantity for part in parts)


def _feature(facts: Iterable[DatedFact]) -> str | None:
    named = [one for one in facts if one.fact.feature is not None]
    return min(named, key=_worth).fact.feature if named else None
