"""Laws of budgets: periods tile time, and a threshold is told of once a period."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from costing.budgets.budget import Budget
from costing.budgets.changing import set_budget
from costing.budgets.job import Budgeting
from costing.budgets.periods import Period, dates_of, ends_at, open_periods, running
from costing.pricing.flat import build_flat_map
from ledger.budget_notices import Medium
from ledger.models import budget_crossings, budget_notices
from ledger.money import Nanos
from ledger.period import day_start
from ledger.session import operator_session, tenant_session
from ledger.tenant import BEGINNING, Tenant, TenantId, TenantPeriod
from tests.builders import NOW, sms
from tests.property.ledgers import ACME, Ledger, Ledgers
from tests.property.test_time_laws import instants, zones
from tests.soaking import examples

DAY = timedelta(days=1)
BOOK = build_flat_map(
    {"name": "whole", "currency": "USD", "rates": {"sms": {"outbound": "1", "inbound": "1"}}}
)

dates = st.dates(date(1999, 12, 1), date(2040, 1, 31))
periods = st.sampled_from(list(Period))


def tenant_in(zone: str) -> Tenant:
    period = TenantPeriod(valid_from=BEGINNING, plan="Pro", timezone=zone)
    return Tenant(tenant_id=TenantId("acme"), name="Acme", periods=(period,))


@given(periods, dates)
def test_a_period_holds_its_days_and_no_other(period: Period, day: date) -> None:
    found = dates_of(period, day)
    assert [found] * (found.end - found.start).days == [dates_of(period, one) for one in found]
    assert found != dates_of(period, found.end)


@given(periods, dates)
def test_a_period_starts_where_the_one_before_ends(period: Period, day: date) -> None:
    found = dates_of(period, day)
    assert found.start == dates_of(period, found.start - DAY).end


@given(periods, zones, instants)
def test_an_instant_is_within_the_period_that_is_running(
    period: Period, zone: str, instant: datetime
) -> None:
    tenant = tenant_in(zone)
    found = running(period, tenant, now=instant)
    assert day_start(found.start, tenant) <= instant < ends_at(found, tenant)


@given(zones, st.integers(2000, 2035))
def test_the_months_of_a_year_tile_it_in_every_zone(zone: str, year: int) -> None:
    tenant = tenant_in(zone)
    months = [dates_of(Period.MONTHLY, date(year, month, 1)) for month in range(1, 13)]
    ends = [ends_at(month, tenant) for month in months]
    starts = [day_start(month.start, tenant) for month in months]
    assert starts[1:] == ends[:-1]
    assert (day_start(date(year + 1, 1, 1), tenant), ends) == (ends[-1], sorted(set(ends)))


@given(periods, zones, instants)
def test_a_period_is_looked_at_until_two_days_after_it_is_over(
    period: Period, zone: str, instant: datetime
) -> None:
    tenant = tenant_in(zone)
    found = open_periods(period, tenant, now=instant)
    earlier = dates_of(period, found[-1].start - DAY)
    ends = [ends_at(one, tenant) for one in found[1:]]
    assert all(end <= instant < end + timedelta(hours=48) for end in ends)
    assert ends_at(earlier, tenant) + timedelta(hours=48) <= instant


def crossed(engine: sa.Engine) -> list[int]:
    with operator_session(engine) as session:
        query = sa.select(budget_crossings.c.threshold).order_by(budget_crossings.c.threshold)
        return list(session.connection.execute(query).scalars())


def told(engine: sa.Engine) -> list[str]:
    with operator_session(engine) as session:
        query = sa.select(budget_notices.c.notice_id).order_by(budget_notices.c.notice_id)
        return list(session.connection.execute(query).scalars())


def spend(ledger: Ledger, parts: Sequence[int]) -> None:
    """Spend so many dollars this month, a costing pass and an evaluation after each part."""
    budgeting = Budgeting(ledger.engine, media=[Medium.WEBHOOK])
    for number, amount in enumerate(parts):
        event: dict[str, Any] = sms(f"part-{number}", quantity=amount)
        ledger.book([event])
        ledger.cost(BOOK)
        assert () == budgeting.run(now=NOW).failures
        assert (0, 0, ()) == budgeting.run(now=NOW)


@settings(max_examples=examples(8))
@given(st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_each_threshold_is_told_of_once_however_spend_comes_in(
    ledgers: Ledgers, parts: list[int]
) -> None:
    with ledgers.open() as ledger:
        budget = Budget(period=Period.MONTHLY, feature=None, amount=Nanos(100 * 10**9))
        with tenant_session(ledger.engine, ACME, write=True) as session:
            set_budget(session, budget, by="a test", now=datetime(2026, 3, 1, tzinfo=UTC))
        spend(ledger, parts)
        expected = [n for n in budget.thresholds if sum(parts) >= n]
        assert expected == crossed(ledger.engine)
        assert len(expected) == len(told(ledger.engine))
