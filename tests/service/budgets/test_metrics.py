"""What a scrape says of budgets and their notices."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from costing.budgets.job import Budgeting
from exporter import budgets
from exporter.budgets import collect_budgets
from ledger.models import budget_notices
from ledger.session import operator_session
from ledger.tenants import close_tenant
from tests.builders import NOW
from tests.costed import ACME
from tests.service.budgets.conftest import SetBudget, Spend

LATER = NOW + timedelta(seconds=90)

Read = Callable[[], dict[tuple[str, ...], float]]


@pytest.fixture
def read(engine: sa.Engine) -> Read:
    """Return samples by name, without the common prefix, and labels."""

    def run() -> dict[tuple[str, ...], float]:
        with operator_session(engine) as session:
            samples = list(collect_budgets(session, LATER))
        return {(one.name.removeprefix("meterline_"), *one.labels): one.value for one in samples}

    return run


def test_a_ledger_without_budgets_has_counts_and_no_ratio(read: Read) -> None:
    counts = (
        "running_budgets", "exceeded_budgets", "waiting_notices", "waiting_notices_age_seconds",
        "failed_notices", "spend_anomalies",
    )  # fmt: skip
    assert {(name,): 0 for name in counts} == read()


def test_each_budget_has_its_ratio(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, read: Read
) -> None:
    set_one()
    set_one(feature="broadcast", period="daily", amount="25")
    spend(30, time="2026-03-10T08:00:00Z")
    budgeting.run(now=NOW)
    found = read()
    assert (0.3, 1.2) == (
        found["budget_used_ratio", "acme", "", "monthly"],
        found["budget_used_ratio", "acme", "broadcast", "daily"],
    )
    assert (2, 1) == (found["running_budgets",], found["exceeded_budgets",])


def test_notices_wait_and_have_an_age(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, read: Read
) -> None:
    set_one()
    spend(80)
    budgeting.run(now=NOW)
    found = read()
    assert (2, 90) == (found["waiting_notices",], found["waiting_notices_age_seconds",])


def test_notices_that_were_given_up_are_counted_for_a_day(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine, read: Read
) -> None:
    set_one(thresholds=[50, 80])
    spend(80)
    budgeting.run(now=NOW)
    old = LATER - timedelta(days=1)
    for threshold, failed_at in ((50, old), (80, old + timedelta(seconds=1))):
        given_up = budget_notices.c.notice_id.like(f"%/{threshold}/%")
        with operator_session(engine, write=True) as session:
            session.connection.execute(
                sa.update(budget_notices).where(given_up).values(failed_at=failed_at)
            )
    assert (1, 0) == (read()["failed_notices",], read()["waiting_notices",])


def test_a_period_that_is_over_has_no_ratio(
    set_one: SetBudget, budgeting: Budgeting, engine: sa.Engine
) -> None:
    set_one(period="daily")
    budgeting.run(now=NOW)
    with operator_session(engine) as session:
        samples = list(collect_budgets(session, NOW + timedelta(days=1)))
    assert {"meterline_budget_used_ratio"}.isdisjoint(one.name for one in samples)


def test_a_tenant_that_closed_has_no_ratio(
    set_one: SetBudget, spend: Spend, budgeting: Budgeting, engine: sa.Engine, read: Read
) -> None:
    """An alert on it would go on until the month ends."""
    set_one()
    spend(120)
    budgeting.run(now=NOW)
    assert 1 == read()["exceeded_budgets",]
    with operator_session(engine, write=True) as session:
        close_tenant(session, ACME, now=LATER)
    found = read()
    assert (0, 0, False) == (
        found["running_budgets",],
        found["exceeded_budgets",],
        ("budget_used_ratio", "acme", "", "monthly") in found,
    )


def test_the_budgets_that_are_most_used_have_series_and_the_counts_are_of_all(
    set_one: SetBudget,
    spend: Spend,
    budgeting: Budgeting,
    read: Read,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budgets, "MOST_BUDGETS", 2)
    for amount, tenant in (("10", "acme"), ("30", "karachi")):
        set_one(tenant=tenant, amount=amount)
        set_one(tenant=tenant, feature="broadcast", amount="1000")
        spend(20, tenant=tenant)
    budgeting.run(now=NOW)
    found = read()
    ratios = [key[1:] for key in found if key[0] == "budget_used_ratio"]
    assert ([("acme", "", "monthly"), ("karachi", "", "monthly")], 4, 1) == (
        ratios,
        found["running_budgets",],
        found["exceeded_budgets",],
    )
