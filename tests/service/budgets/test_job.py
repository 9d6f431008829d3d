"""Budgets are evaluated by what the rollups say, once a threshold and period."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.budgets.budget import parse_budget
from costing.budgets.changing import remove_budget
from costing.budgets.job import Budgeting
from costing.budgets.store import read_budgets, replace_budgets
from costing.job import Costing
from ledger.budget_notices import Medium
from ledger.budget_standings import Standing, read_most_used
from ledger.errors import ConflictError, MissingError
from ledger.models import budget_revisions
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from ledger.tenants import change_tenant, close_tenant
from tests.builders import NOW, sms
from tests.costed import ACME
from tests.service.budgets.conftest import BEFORE, PAT, SetBudget, Spend, crossings, notices

KARACHI = TenantId("karachi")
MONTH = "2026-03-01"


def standings(engine: sa.Engine, now: datetime = NOW) -> list[tuple[TenantId, Standing]]:
    with operator_session(engine) as session:
        return read_most_used(session, now=now, limit=10)


def test_spend_that_reaches_a_threshold_is_noted(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one()
    spend(49)
    budgeting.run(now=NOW)
    assert [] == crossings(engine)
    spend(1)
    budgeting.run(now=NOW)
    assert [("monthly", MONTH, 50)] == crossings(engine)


def test_thresholds_that_are_passed_at_once_are_each_told(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one(recipients=[PAT])
    spend(100)
    assert 3 == budgeting.run(now=NOW).crossings
    expected = [f"monthly/{MONTH}/{n}/{medium}" for n in (100, 50, 80) for medium in Medium]
    assert expected == [row["notice_id"] for row in notices(engine)]


def test_a_budget_without_recipients_sends_no_mail(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one()
    spend(50)
    budgeting.run(now=NOW)
    assert ["webhook"] == [row["medium"] for row in notices(engine)]


def test_where_nothing_can_go_out_a_crossing_is_noted_and_nothing_waits(
    set_one: SetBudget, spend: Spend, engine: sa.Engine
) -> None:
    set_one(recipients=[PAT])
    spend(50)
    Budgeting(engine).run(now=NOW)
    assert ([("monthly", MONTH, 50)], []) == (crossings(engine), notices(engine))


def test_the_same_threshold_is_told_again_in_the_next_period(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one(thresholds=[50])
    spend(60, time="2026-02-27T12:00:00Z")
    spend(60)
    budgeting.run(now=datetime(2026, 2, 27, 20, tzinfo=UTC))
    budgeting.run(now=NOW)
    assert [("monthly", "2026-02-01", 50), ("monthly", MONTH, 50)] == crossings(engine)


def test_a_budget_that_is_lowered_below_spend_tells_once(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one(thresholds=[100])
    spend(60)
    budgeting.run(now=NOW)
    set_one(thresholds=[100], amount="60", now=NOW)
    budgeting.run(now=NOW)
    set_one(thresholds=[100], amount="40", now=NOW)
    assert (0, ()) == budgeting.run(now=NOW)[1:]
    assert [("monthly", MONTH, 100)] == crossings(engine)


def test_spend_that_falls_back_and_rises_again_tells_nothing_again(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one(thresholds=[50])
    spend(60)
    budgeting.run(now=NOW)
    set_one(thresholds=[50], amount="1000", now=NOW)  # 6 % now
    budgeting.run(now=NOW)
    spend(500)
    assert (0, ()) == budgeting.run(now=NOW)[1:]
    assert [("monthly", MONTH, 50)] == crossings(engine)


def test_a_budget_that_is_taken_away_and_set_again_tells_nothing_again(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one(thresholds=[50])
    spend(60)
    budgeting.run(now=NOW)
    with tenant_session(engine, ACME, write=True) as session:
        remove_budget(session, "monthly", by="a test", now=NOW)
    budgeting.run(now=NOW)
    assert [] == standings(engine)
    set_one(thresholds=[50], now=NOW)
    assert (0, ()) == budgeting.run(now=NOW)[1:]
    assert [("monthly", MONTH, 50)] == crossings(engine)


def test_a_budget_of_a_feature_is_about_that_feature_alone(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one(feature="ivr", thresholds=[50])
    spend(90)
    spend(90, feature=...)
    budgeting.run(now=NOW)
    assert [] == crossings(engine)
    spend(50, feature="ivr")
    budgeting.run(now=NOW)
    assert [("monthly:ivr", MONTH, 50)] == crossings(engine)


def test_the_budget_of_one_tenant_knows_nothing_of_another(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one()
    spend(100, tenant="karachi")
    budgeting.run(now=NOW)
    assert ([], [0]) == (crossings(engine), [one.spent for _, one in standings(engine)])


def test_a_day_is_the_tenants_own(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    # 20:00 in London is one o'clock of the next day in Karachi.
    late = datetime(2026, 3, 9, 20, tzinfo=UTC)
    for tenant in (ACME, KARACHI):
        set_one(tenant=tenant, period="daily", thresholds=[100])
        spend(100, tenant=tenant, time=late.isoformat())
    budgeting.run(now=late)
    found = [crossings(engine, tenant) for tenant in (ACME, KARACHI)]
    assert [[("daily", "2026-03-09", 100)], [("daily", "2026-03-10", 100)]] == found


def test_usage_of_the_last_minute_is_told_of_when_its_period_is_over(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one(thresholds=[100])
    budgeting.run(now=datetime(2026, 2, 28, 23, 59, tzinfo=UTC))
    spend(100, time="2026-02-28T23:59:30Z")
    budgeting.run(now=datetime(2026, 3, 1, 0, 1, tzinfo=UTC))
    assert [("monthly", "2026-02-01", 100)] == crossings(engine)


def test_a_budget_says_nothing_of_a_period_that_was_over_when_it_was_set(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    spend(100, time="2026-02-28T12:00:00Z")
    now = datetime(2026, 3, 1, 0, 1, tzinfo=UTC)
    set_one(now=now)
    budgeting.run(now=now)
    assert [] == crossings(engine)


def test_usage_without_a_price_is_told_beside_what_is_spent(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one(thresholds=[50])
    spend(50)
    spend(7, channel="email", source="sendgrid")
    budgeting.run(now=NOW)
    (row,) = notices(engine)
    said = orjson.loads(row["document"])
    expected = {"spent": "50", "has_unpriced": True, "unpriced_count": 1}
    assert expected == {name: said[name] for name in expected}
    assert [(50 * 10**9, True)] == [(one.spent, one.has_unpriced) for _, one in standings(engine)]


def test_a_notice_says_what_was_reached_of_what(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one(tenant=KARACHI, feature="broadcast", thresholds=[80], amount="12.5")
    spend(11, tenant="karachi")
    budgeting.run(now=NOW)
    (row,) = notices(engine)
    expected = {
        "id": f"karachi/monthly:broadcast/{MONTH}/80/webhook",
        "type": "budget.threshold_reached",
        "tenant": "karachi",
        "tenant_name": "K",
        "period": "monthly",
        "from": MONTH,
        "to": "2026-03-31",
        "timezone": "Asia/Karachi",
        "feature": "broadcast",
        "threshold": 80,
        "currency": "USD",
        "amount": "12.5",
        "spent": "11",
        "has_unpriced": False,
        "unpriced_count": 0,
        "reached_at": "2026-03-10T12:00:00Z",
    }
    assert expected == orjson.loads(row["document"])


def test_a_tenant_that_closed_is_told_nothing(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one()
    spend(100)
    with operator_session(engine, write=True) as session:
        close_tenant(session, ACME, now=NOW)
    budgeting.run(now=NOW)
    assert ([], []) == (crossings(engine), standings(engine))


def test_who_is_evaluated_is_whose_usage_or_budget_changed_or_whose_period_ended(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting
) -> None:
    set_one()
    set_one(tenant=KARACHI, period="daily")

    def looked_at(now: datetime = NOW) -> int:
        return budgeting.run(now=now).tenants

    assert (2, 0) == (looked_at(), looked_at())
    spend(1)
    assert (1, 0) == (looked_at(), looked_at())
    set_one(amount="7")
    assert (1, 0) == (looked_at(), looked_at())
    midnight = datetime(2026, 3, 10, 19, tzinfo=UTC)  # in Karachi
    assert (0, 1) == (looked_at(midnight - timedelta(seconds=1)), looked_at(midnight))


def test_what_is_priced_later_is_found_without_new_usage(
    set_one: SetBudget, intake: Intake, costing: Costing, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one(thresholds=[50])
    intake.book([sms("SM-1", quantity=60)], only_tenant=None, now=NOW)
    budgeting.run(now=NOW)
    costing.run(clock=lambda: NOW)
    budgeting.run(now=NOW)
    assert [("monthly", MONTH, 50)] == crossings(engine)


def test_a_tenant_that_cannot_be_evaluated_keeps_no_other_waiting(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one()
    set_one(tenant=KARACHI)
    spend(50, tenant="karachi")
    with operator_session(engine, write=True) as session:
        own = budget_revisions.c.tenant_id == ACME
        session.connection.execute(sa.update(budget_revisions).where(own).values(document="[{}]"))
    failures = budgeting.run(now=NOW).failures
    assert (["acme"], 1) == ([one.tenant_id for one in failures], len(crossings(engine, KARACHI)))


def test_a_tenant_that_moves_has_the_days_of_its_new_zone(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one(period="daily", thresholds=[100])
    moved = datetime(2026, 3, 9, 14, tzinfo=UTC)
    with operator_session(engine, write=True) as session:
        change_tenant(session, ACME, timezone="Asia/Karachi", now=moved)
    spend(100, time="2026-03-09T19:30:00Z")
    budgeting.run(now=datetime(2026, 3, 9, 20, tzinfo=UTC))
    assert [("daily", "2026-03-10", 100)] == crossings(engine)


def test_every_change_is_kept_with_who_made_it(set_one: SetBudget, engine: sa.Engine) -> None:
    for amount in ("100", "100", "200"):
        set_one(amount=amount)
    with operator_session(engine) as session:
        columns = budget_revisions.c
        rows = session.connection.execute(
            sa.select(columns.revision, columns.document, columns.set_by).order_by(columns.revision)
        ).all()
    kept = [(row[0], orjson.loads(row[1])[0]["amount"], row[2]) for row in rows]
    assert [(1, "100", "a test"), (2, "200", "a test")] == kept


def test_a_budget_keeps_the_time_since_which_it_is_what_it_is(
    set_one: SetBudget, engine: sa.Engine
) -> None:
    set_one()
    set_one(feature="ivr", now=NOW)
    with tenant_session(engine, ACME) as session:
        found = {one.budget_id: one.set_at for one in read_budgets(session).budgets}
    assert {"monthly": BEFORE, "monthly:ivr": NOW} == found


def change(engine: sa.Engine, amount: str, *, expected: int) -> Any:
    budget = parse_budget({"period": "monthly", "amount": amount})
    with tenant_session(engine, ACME, write=True) as session:
        return replace_budgets(session, [budget], expected=expected, by="a test", now=NOW)


def test_of_two_changes_of_the_same_budgets_the_second_is_refused(engine: sa.Engine) -> None:
    change(engine, "1", expected=0)
    with pytest.raises(ConflictError) as caught:
        change(engine, "2", expected=0)
    assert "budgets_changed" == caught.value.code


def test_a_budget_that_is_not_there_cannot_be_taken_away(engine: sa.Engine) -> None:
    with pytest.raises(MissingError) as caught, tenant_session(engine, ACME, write=True) as session:
        remove_budget(session, "daily:ivr", by="a test", now=NOW)
    assert ("unknown_budget", "daily:ivr") == (caught.value.code, caught.value.value)
