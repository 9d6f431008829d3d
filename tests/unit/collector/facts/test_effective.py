from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest

from collector.facts.effective import Change, DatedFact, Usage, find_changes, find_effective
from collector.facts.fact import Fact
from ledger.measures import Measures
from tests.facts import TOLD, canceled, fact, failed, processed, sent

DAY = date(2026, 3, 9)


def usage(**changes: Any) -> Usage:
    """Return what the SDK says of a message of three segments."""
    values = {
        "time": TOLD, "date": DAY, "channel": "sms", "direction": "outbound", "source": "twilio",
        "feature": "broadcast", "model": None, "price_class": "standard", "derived": False,
        "provisional": True, "measures": Measures(3), **changes,
    }  # fmt: skip
    return Usage(**values)


EVENT = usage()


def effective(event: Usage | None, *facts: Fact) -> Usage | None:
    return find_effective(event, [DatedFact(one, one.time.date()) for one in facts])


def comes_to(event: Usage | None, *facts: Fact) -> Usage:
    found = effective(event, *facts)
    assert found is not None
    return found


def test_without_facts_an_event_is_what_it_is() -> None:
    assert EVENT == effective(EVENT)


def test_nothing_known_is_nothing() -> None:
    assert None is effective(None)


@pytest.mark.parametrize(
    ("facts", "measures", "price_class"),
    [
        ([fact()], 3, "standard"),
        ([fact(quantity=2)], 2, "standard"),
        ([fact(quantity=0)], 0, "standard"),
        ([sent(quantity=9), fact(quantity=2)], 2, "standard"),
        ([sent(quantity=9), fact()], 9, "standard"),
        ([failed()], 1, "failed"),
        ([failed(quantity=7)], 1, "failed"),
        ([sent(), failed()], 1, "failed"),
        ([fact("a", quantity=1), fact("b", quantity=2)], 2, "standard"),
        ([processed("x"), processed("y")], 3, "standard"),
    ],
)
def test_the_highest_fact_that_tells_it_has_the_quantity(
    facts: list[Fact], measures: int, price_class: str
) -> None:
    found = comes_to(EVENT, *facts)
    assert (Measures(measures), price_class) == (found.measures, found.price_class)


@pytest.mark.parametrize(
    "facts", [[canceled()], [sent(), canceled()], [sent(quantity=3), canceled()]]
)
def test_what_is_void_is_nothing(facts: list[Fact]) -> None:
    assert (None, None) == (effective(EVENT, *facts), effective(None, *facts))


def test_void_progress_is_overruled_by_a_final_bill() -> None:
    facts = (replace(canceled(), rank=sent().rank), fact())
    assert Measures(3) == comes_to(EVENT, *facts).measures


@pytest.mark.parametrize(
    ("facts", "provisional"),
    [
        ([fact()], True),
        ([fact(quantity=3)], False),
        ([fact(quantity=1, metadata={"provisional": True})], True),
        ([failed()], False),
    ],
)
def test_an_estimate_stays_one_until_a_fact_tells_the_quantity(
    facts: list[Fact],
    provisional: bool,  # noqa: FBT001 - expected, not a switch
) -> None:
    assert provisional == comes_to(EVENT, *facts).provisional


@pytest.mark.parametrize(
    ("facts", "quantity", "provisional"),
    [
        ([fact()], 1, True),
        ([fact(quantity=4)], 4, False),
        ([processed("x"), processed("y"), processed("z")], 3, False),
        ([processed("x", quantity=5), processed("y", quantity=None)], 6, True),
    ],
)
def test_without_an_event_facts_tell_all_there_is(
    facts: list[Fact],
    quantity: int,
    provisional: bool,  # noqa: FBT001 - expected, not a switch
) -> None:
    found = comes_to(None, *facts)
    assert (Measures(quantity), provisional) == (found.measures, found.provisional)


@pytest.mark.parametrize(
    ("event", "facts", "feature"),
    [
        (EVENT, [fact(feature="ivr")], "broadcast"),
        (usage(feature=None), [fact(feature="ivr")], "ivr"),
        (None, [fact(feature="ivr"), sent(feature="booking")], "booking"),
        (None, [fact(feature="ivr"), sent()], "ivr"),
        (None, [fact()], None),
    ],
)
def test_the_feature_is_that_of_the_event_else_of_the_lowest_fact_that_has_one(
    event: Usage | None, facts: list[Fact], feature: str | None
) -> None:
    assert feature == comes_to(event, *facts).feature


def test_without_an_event_the_time_is_the_earliest_of_the_lowest_rank() -> None:
    later, earlier = TOLD + timedelta(days=2), TOLD + timedelta(days=1)
    facts = (fact(time=TOLD), sent(time=later), replace(sent(time=earlier), fact_id="queued"))
    found = comes_to(None, *facts)
    assert (earlier, earlier.date()) == (found.time, found.date)


def test_with_an_event_time_and_direction_are_the_events() -> None:
    told = fact(time=TOLD + timedelta(days=1), direction="inbound", quantity=2)
    assert usage(measures=Measures(2), provisional=False) == effective(EVENT, told)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (fact(channel="voice", quantity=7), EVENT),
        (canceled(channel="voice"), EVENT),
        (fact(channel="email", quantity=7, adds=True), EVENT),
        (fact(channel="mms", quantity=1), EVENT),
        (fact(channel="mms"), EVENT),
        (canceled(channel="mms"), None),
    ],
)
def test_what_is_told_of_another_channel_counts_no_units_and_is_no_end_but_of_messages(
    told: Fact, expected: Usage | None
) -> None:
    assert expected == effective(EVENT, told)


def test_a_count_of_another_channel_leaves_a_final_count_provisional() -> None:
    event = usage(provisional=False)
    assert EVENT == effective(event, fact(channel="mms", quantity=1))


def test_without_an_event_units_of_two_channels_are_not_taken_for_each_other() -> None:
    facts = (sent(channel="voice", quantity=7), fact(channel="email", quantity=2))
    assert ("email", Measures(2)) == comes_to(None, *facts)[2::8]


def test_the_order_of_facts_never_matters() -> None:
    facts = [
        sent(quantity=2, feature="a"),
        fact(quantity=1, feature="b"),
        fact("undelivered", time=TOLD - timedelta(days=1)),
        replace(sent(time=TOLD - timedelta(days=2)), fact_id="queued"),
    ]
    assert 1 == len({effective(None, *order) for order in permutations(facts)})


@pytest.mark.parametrize(
    ("booked", "target", "changes"),
    [
        ([], None, []),
        ([], EVENT, [Change(1, EVENT)]),
        ([EVENT], EVENT, []),
        ([EVENT], usage(time=TOLD + timedelta(hours=1)), []),
        ([EVENT], None, [Change(-1, EVENT)]),
        ([EVENT], usage(feature="x"), [Change(-1, EVENT), Change(1, usage(feature="x"))]),
        ([EVENT, usage(feature="x")], EVENT, [Change(-1, usage(feature="x"))]),
        ([EVENT, EVENT], EVENT, [Change(-1, EVENT)]),
        ([EVENT, usage(feature="x")], None, [Change(-1, EVENT), Change(-1, usage(feature="x"))]),
    ],
)
def test_what_is_booked_is_changed_by_what_it_takes_and_no_more(
    booked: list[Usage], target: Usage | None, changes: list[Change]
) -> None:
    assert changes == find_changes(booked, target)
