"""Facts of providers: every order of them and of the SDK's event comes to the same."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
import sqlalchemy as sa

from collector.events import Rules
from collector.facts.fact import Booked, Fact
from collector.intake import Intake
from costing.export import read_export, write_csv
from costing.job import Costing
from costing.pricing.flat import FlatMap
from costing.retention import Retention
from ledger.errors import InvalidError, MissingError
from ledger.event import Status
from ledger.models import usage_balances, usage_batches, usage_facts, usage_metrics
from ledger.session import tenant_session
from ledger.tenant import TenantId
from tests.builders import NOW, ai, sms
from tests.costed import differences, journal, rows, tamper
from tests.facts import (
    ACME,
    Facts,
    Figures,
    canceled,
    count_rows,
    fact,
    failed,
    net_figures,
    of_usage,
    processed,
    sent,
)

DAY = date(2026, 3, 9)
SDK_FIRST, FACTS_FIRST = "event first", "facts first"

Tell = Callable[..., list[Booked]]


@pytest.fixture
def facts(engine: sa.Engine, rules: Rules) -> Facts:
    return Facts(engine, rules)


@pytest.fixture
def tell(facts: Facts) -> Tell:
    def book(*told: Fact, tenant_id: TenantId = ACME, now: datetime = NOW) -> list[Booked]:
        return facts.book(tenant_id, told, now=now)

    return book


def book(intake: Intake, *events: object) -> list[Status]:
    return [result.status for result in intake.book(events, only_tenant=None, now=NOW)]


def message(count: int, quantity: int, provisional: int = 0, **changes: Any) -> set[Figures]:
    """Return the figures of the message of the builders."""
    labels = {
        "date": DAY, "channel": "sms", "direction": "outbound", "source": "twilio",
        "feature": "broadcast", "price_class": "standard", **changes,
    }  # fmt: skip
    return {(*labels.values(), count, quantity, provisional)}


NO_COUNT = sms(quantity=...)
UNSURE = sms(quantity=3, metadata={"provisional": True})
MAILING = sms("M1", channel="email", source="sendgrid", quantity=4)
TOLD = {"feature": "broadcast"}
MAIL: dict[str, Any] = {"channel": "email", "source": "sendgrid"}

SCENARIOS: dict[str, tuple[list[Any], set[Figures]]] = {
    "SDK and delivered": ([sms(quantity=3), fact()], message(1, 3)),
    "delivered alone": ([fact(**TOLD)], message(1, 1, 1)),
    "sent and delivered": ([sent(**TOLD), fact(quantity=2)], message(1, 2)),
    "SDK, sent, delivered": ([UNSURE, sent(quantity=5), fact(quantity=2)], message(1, 2)),
    "an estimate that nobody corrects": ([UNSURE, sent(), fact()], message(1, 3, 1)),
    "failed with a fee": (
        [sms(quantity=3), sent(quantity=3), failed()],
        message(1, 1, price_class="failed"),
    ),
    "failed, and the SDK never told": ([failed(**TOLD)], message(1, 1, price_class="failed")),
    "failed for free": ([sms(quantity=3), canceled()], set()),
    "canceled after it was sent": ([UNSURE, sent(quantity=2), canceled()], set()),
    "canceled, and the SDK never told": ([canceled()], set()),
    "a count that nobody knows": ([NO_COUNT, sent(), fact()], message(1, 1)),
    "on another day": (
        [sms(quantity=3), sent(time=NOW), fact(quantity=1, time=NOW)],
        message(1, 1),
    ),
    "recipients, and the SDK told all": (
        [MAILING, processed("a"), processed("b"), processed("c")],
        message(1, 4, **MAIL),
    ),
    "recipients alone": (
        [processed("a", **TOLD), processed("b", **TOLD), processed("c", **TOLD)],
        message(1, 3, **MAIL),
    ),
}


def named(item: Any, usage_id: str) -> Any:
    """Return an event or a fact of another usage."""
    return of_usage([item], usage_id)[0] if isinstance(item, Fact) else {**item, "id": usage_id}


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("is_costed", [True, False], ids=["costed between", "costed after"])
def test_every_order_comes_to_the_same_and_ties_at_every_step(  # noqa: PLR0917 - fixtures
    engine: sa.Engine,
    intake: Intake,
    tell: Tell,
    costing: Costing,
    prices: FlatMap,
    name: str,
    is_costed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    items, expected = SCENARIOS[name]
    orders = list(permutations(items))
    differing = []
    for step in range(len(items)):
        # Each order is a usage of its own; with each step come all that came before once more.
        for number, order in enumerate(orders):
            for item in [order[step], *order[:step]]:
                one = named(item, f"U{number}")
                if isinstance(one, Fact):
                    tell(one)
                else:
                    book(intake, one)
        if is_costed:
            costing.run(clock=lambda: NOW)
        differing += differences(engine, prices)
    costing.run(clock=lambda: NOW)
    differing += differences(engine, prices)
    every = {f"U{number}": expected for number in range(len(orders)) if expected}
    assert (every, []) == (net_figures(engine), differing)


@pytest.mark.parametrize("together", [True, False])
def test_facts_in_one_call_come_to_what_they_come_to_one_by_one(
    engine: sa.Engine,
    tell: Tell,
    together: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    told = [sent(quantity=3), fact(quantity=2, **TOLD), failed(usage_id="SM2", **TOLD), fact()]
    if together:
        tell(*told)
    else:
        for one in told:
            tell(one)
    expected = {"SM1": message(1, 2), "SM2": message(1, 1, price_class="failed")}
    assert expected == net_figures(engine)


def test_each_fact_is_told_what_became_of_it(tell: Tell) -> None:
    answers = [tell(fact())[0], tell(fact())[0], tell(sent())[0], tell(sent(quantity=2))[0]]
    assert [Booked.STORED, Booked.DUPLICATE, Booked.OUTRANKED, Booked.DUPLICATE] == answers


def test_a_fact_of_another_channel_than_its_event_is_told_so_and_changes_nothing(
    engine: sa.Engine, intake: Intake, tell: Tell
) -> None:
    book(intake, sms(quantity=3))
    told = [fact(channel="voice", quantity=7), canceled(channel="voice"), sent()]
    assert [Booked.OTHER_CHANNEL, Booked.OTHER_CHANNEL, Booked.STORED] == tell(*told)
    assert {"SM1": message(1, 3)} == net_figures(engine)


def test_an_event_that_comes_after_a_fact_of_another_channel_stands(
    engine: sa.Engine, intake: Intake, tell: Tell
) -> None:
    tell(fact(channel="voice", quantity=7))
    book(intake, sms(quantity=3))
    assert {"SM1": message(1, 3)} == net_figures(engine)


def test_a_lower_fact_that_tells_more_is_stored(tell: Tell) -> None:
    tell(fact())
    assert [Booked.STORED] == tell(sent(quantity=2))


def test_a_fact_twice_in_one_call_is_a_duplicate(tell: Tell) -> None:
    assert [Booked.STORED, Booked.DUPLICATE] == tell(fact(), fact(quantity=7))


def test_no_facts_are_no_transaction(tell: Tell) -> None:
    assert [] == tell()


def test_a_fact_that_cannot_be_leaves_none_of_its_call(engine: sa.Engine, tell: Tell) -> None:
    with pytest.raises(InvalidError):
        tell(fact(), fact(usage_id="SM2", channel="fax"))
    assert 0 == count_rows(engine, usage_facts)


def test_facts_of_a_tenant_that_is_not_there_are_refused(tell: Tell) -> None:
    with pytest.raises(MissingError):
        tell(fact(), tenant_id=TenantId("nobody"))


def test_the_event_is_told_stored_and_then_duplicate_also_after_facts(
    intake: Intake, tell: Tell
) -> None:
    tell(fact())
    event = sms(quantity=3)
    assert [Status.STORED, Status.DUPLICATE, Status.CONFLICT] == [
        *book(intake, event), *book(intake, event), *book(intake, sms(quantity=4)),
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1, 3, 200])
def test_events_of_any_number_at_once_find_their_facts(
    engine: sa.Engine, intake: Intake, tell: Tell, prices: FlatMap, size: int
) -> None:
    ids = [f"SM{n:03}" for n in range(size)]
    tell(*(fact(usage_id=one, quantity=2, **TOLD) for one in ids))
    assert [Status.STORED] * size == book(intake, *(sms(one, quantity=5) for one in ids))
    every = {one: message(1, 2) for one in ids}
    assert (every, []) == (net_figures(engine), differences(engine, prices))


def test_usage_of_ai_is_never_told_by_facts(engine: sa.Engine, intake: Intake, tell: Tell) -> None:
    tell(fact(usage_id="chatcmpl-1"))
    book(intake, ai())
    by_channel = {figures[1]: figures[6:8] for figures in net_figures(engine)["chatcmpl-1"]}
    assert {"ai": (1, 1500), "sms": (1, 1)} == by_channel


def test_usage_without_facts_has_one_row_and_nothing_else(
    engine: sa.Engine, intake: Intake
) -> None:
    book(intake, sms(), ai(), sms("SM2"))
    counts = [count_rows(engine, t) for t in (usage_metrics, usage_facts, usage_balances)]
    assert [3, 0, 0] == counts


def test_a_fact_that_changes_no_figure_books_no_row(
    engine: sa.Engine, intake: Intake, tell: Tell
) -> None:
    book(intake, sms())
    tell(sent(), fact(quantity=1))
    assert (1, 1) == (count_rows(engine, usage_metrics), count_rows(engine, usage_batches))


def test_a_correction_reverses_what_is_booked_and_names_its_usage(
    engine: sa.Engine, intake: Intake, tell: Tell
) -> None:
    book(intake, sms(quantity=3))
    tell(fact(quantity=2))
    columns = usage_metrics.c
    query = sa.select(
        columns.event_id.startswith("meterline:"), columns.usage_id, columns["count"],
        columns.quantity, columns.corrects,
    ).order_by(columns.id)  # fmt: skip
    with tenant_session(engine, ACME) as session:
        found = [tuple(row) for row in session.connection.execute(query)]
    assert [
        (False, None, 1, 3, False), (True, "SM1", -1, -3, True), (True, "SM1", 1, 2, True),
    ] == found  # fmt: skip


def test_ids_of_corrections_cannot_be_submitted(intake: Intake) -> None:
    (result,) = intake.book([sms("meterline:7")], only_tenant=None, now=NOW)
    assert (Status.REJECTED, "reserved_id") == (result.status, result.code)


def test_other_tenants_have_nothing_of_it(engine: sa.Engine, intake: Intake, tell: Tell) -> None:
    book(intake, sms(quantity=3), sms(tenant="karachi"))
    tell(canceled())
    assert ({}, 1) == (net_figures(engine), len(net_figures(engine, TenantId("karachi"))))


def test_the_date_of_a_fact_is_the_tenants_own(engine: sa.Engine, tell: Tell) -> None:
    karachi = TenantId("karachi")
    tell(fact(time=datetime(2026, 3, 9, 20, tzinfo=UTC)), tenant_id=karachi)
    ((figures,),) = net_figures(engine, karachi).values()
    assert date(2026, 3, 10) == figures[0]


def test_a_failed_message_costs_its_fee_and_not_its_segments(
    engine: sa.Engine, intake: Intake, tell: Tell, costing: Costing
) -> None:
    book(intake, sms(quantity=3))
    costing.run(clock=lambda: NOW)
    tell(failed())
    costing.run(clock=lambda: NOW)
    costs = {row.key.price_class: (row.tally.events, row.estimated_cost) for row in rows(engine)}
    assert {"standard": (0, 0), "failed": (1, 1_000_000)} == costs


def test_an_estimate_that_was_corrected_is_provisional_in_no_figure(
    engine: sa.Engine, intake: Intake, tell: Tell, costing: Costing
) -> None:
    book(intake, UNSURE, named(UNSURE, "SM2"))
    costing.run(clock=lambda: NOW)
    tell(fact(quantity=2))
    costing.run(clock=lambda: NOW)
    assert [1] == [row.tally.provisional_count for row in rows(engine)]


def test_the_csv_counts_what_is_left(
    engine: sa.Engine, intake: Intake, tell: Tell, costing: Costing
) -> None:
    book(intake, sms(quantity=3), sms("SM2"), sms("SM3", feature="ivr"))
    tell(failed(), canceled(usage_id="SM3"))
    costing.run(clock=lambda: NOW)
    with tenant_session(engine, ACME) as session:
        lines = "".join(write_csv(read_export(session))).splitlines()[1:]
    assert ["2026-03-09,sms,outbound,twilio,broadcast,2,0.0099"] == lines


LATER = NOW + timedelta(days=5)


def test_corrections_of_closed_days_are_journalled_as_such(
    engine: sa.Engine, intake: Intake, tell: Tell, costing: Costing
) -> None:
    book(intake, sms(quantity=3))
    costing.run(clock=lambda: NOW)
    tell(fact(quantity=2))
    costing.run(clock=lambda: LATER)
    entries = [
        (e["cause"], e["before"]["quantity"], e["after"]["quantity"]) for e in journal(engine)
    ]
    assert [("correction", 3, 2)] == entries


def test_late_usage_that_facts_tell_is_journalled_as_late(
    engine: sa.Engine, tell: Tell, costing: Costing
) -> None:
    tell(fact())
    costing.run(clock=lambda: LATER)
    assert ["late"] == [entry["cause"] for entry in journal(engine)]


def test_late_usage_and_its_correction_are_two_entries_that_follow_each_other(
    engine: sa.Engine, intake: Intake, tell: Tell, costing: Costing, prices: FlatMap
) -> None:
    tell(fact(quantity=2, **TOLD))
    costing.run(clock=lambda: NOW)
    book(intake, sms(quantity=3))
    costing.run(clock=lambda: LATER)
    found = [(e["cause"], e["after"]["quantity"]) for e in journal(engine)]
    assert ([("late", 5), ("correction", 2)], []) == (found, differences(engine, prices))


def test_a_rebuild_changes_nothing(
    engine: sa.Engine, intake: Intake, tell: Tell, costing: Costing
) -> None:
    book(intake, sms(quantity=3), sms("SM2"))
    tell(failed(), canceled(usage_id="SM2"))
    costing.run(clock=lambda: NOW)
    before = rows(engine)
    assert (0, before) == (costing.rebuild(clock=lambda: NOW), rows(engine))


def test_a_correction_that_is_lost_is_found_by_verify(
    engine: sa.Engine, intake: Intake, tell: Tell, costing: Costing, prices: FlatMap
) -> None:
    book(intake, sms(quantity=3))
    tell(fact(quantity=2))
    costing.run(clock=lambda: NOW)
    tamper(engine, "DELETE FROM usage_metrics WHERE count = -1")
    (difference,) = differences(engine, prices)
    assert "events" in difference


MUCH_LATER = NOW + timedelta(days=60)


def take(engine: sa.Engine) -> int:
    retention = Retention(engine, days=30)
    return sum(sum(retention.take(due)) for due in retention.find_due(now=MUCH_LATER))


def test_facts_of_usage_that_retention_took_have_expired(
    engine: sa.Engine, intake: Intake, tell: Tell, costing: Costing
) -> None:
    book(intake, sms(), sms("SM2"))
    tell(fact(usage_id="SM2"), fact(usage_id="SM3"))
    costing.run(clock=lambda: NOW)
    take(engine)
    told = (canceled(usage_id=f"SM{n}") for n in (1, 2, 3))
    assert [Booked.EXPIRED] * 3 == tell(*told, now=MUCH_LATER)


def test_retention_leaves_no_facts_and_only_balances_that_nothing_else_answers_for(
    engine: sa.Engine, intake: Intake, tell: Tell, costing: Costing
) -> None:
    book(intake, sms(), sms("SM2"))
    tell(fact(), failed(usage_id="SM2"), fact(usage_id="SM3"))
    costing.run(clock=lambda: NOW)
    take(engine)
    assert (0, 1) == (count_rows(engine, usage_facts), count_rows(engine, usage_balances))


def test_an_event_that_comes_after_retention_took_its_usage_is_not_counted_again(
    engine: sa.Engine, intake: Intake, tell: Tell, costing: Costing, prices: FlatMap
) -> None:
    tell(fact(quantity=2, **TOLD))
    costing.run(clock=lambda: NOW)
    take(engine)
    before = [(row.tally, row.estimated_cost) for row in rows(engine)]
    assert [Status.STORED] == book(intake, sms(quantity=3))
    costing.run(clock=lambda: NOW)
    after = [(row.tally, row.estimated_cost) for row in rows(engine)]
    assert (before, []) == (after, differences(engine, prices))


def test_retention_in_the_midst_of_a_corrected_usage_ties(  # noqa: PLR0917 - fixtures
    engine: sa.Engine,
    intake: Intake,
    tell: Tell,
    costing: Costing,
    prices: FlatMap,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Reversal and usage lie on two dates, and rows are taken one by one.
    monkeypatch.setattr("costing.retention.TAKEN_ROWS", 1)
    tell(fact(time=NOW, **TOLD), failed(usage_id="SM2", **TOLD))
    book(intake, sms(quantity=3), sms("SM2"))
    costing.run(clock=lambda: NOW)
    before = [(row.key, row.tally) for row in rows(engine)]
    retention = Retention(engine, days=30)
    found = []
    for due in retention.find_due(now=MUCH_LATER):
        for _ in retention.take(due):
            found += differences(engine, prices)
    assert (before, []) == ([(row.key, row.tally) for row in rows(engine)], found)
