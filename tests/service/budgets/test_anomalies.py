"""Days of unusual spend are found in the rollups, listed, shown and counted."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from api.app import create_app
from api.services import Services
from collector.intake import Intake
from costing.anomalies.job import AnomalySearch
from costing.job import Costing
from exporter.budgets import collect_budgets
from ledger import anomalies
from ledger.accounts.roles import Role
from ledger.anomalies import read_anomalies
from ledger.session import operator_session
from tests.access import make_sign_in
from tests.builders import NOW, sms
from tests.costed import book
from tests.interleaving import before_statement
from tests.routes import Credential, client_with

Found = list[tuple[str, str, str, int, int]]


@pytest.fixture
def search(engine: sa.Engine) -> AnomalySearch:
    return AnomalySearch(engine)


@pytest.fixture
def use(intake: Intake, costing: Costing) -> Callable[..., None]:
    """Spend 10 dollars a day for weeks before `NOW`, and so much on the days that are named."""

    def use_days(tenant: str = "acme", **dollars: int) -> None:
        days = {f"d{n}": 10 for n in range(1, 40)} | dollars
        book(
            intake,
            *(
                sms(
                    f"{tenant}-{name}",
                    tenant=tenant,
                    quantity=amount,
                    time=(NOW - timedelta(days=int(name[1:]))).isoformat(),
                )
                for name, amount in days.items()
            ),
        )
        costing.run(clock=lambda: NOW)

    return use_days


def listed(engine: sa.Engine, now: datetime = NOW) -> Found:
    with operator_session(engine) as session:
        found = read_anomalies(session, since=(now - timedelta(days=7)).date())
    return [
        (tenant, one.channel, str(one.date), one.spent // 10**9, one.usual // 10**9)
        for tenant, _, one in found
    ]


def test_an_unusual_day_of_one_tenant_is_listed(
    use: Callable[..., None], search: AnomalySearch, engine: sa.Engine
) -> None:
    use("acme", d2=90)
    use("karachi")
    assert 1 == search.run(now=NOW)
    assert [("acme", "sms", "2026-03-08", 90, 10)] == listed(engine)


def test_what_was_spent_today_so_far_can_be_too_much(
    use: Callable[..., None], search: AnomalySearch, engine: sa.Engine
) -> None:
    use("acme", d0=50)
    search.run(now=NOW)
    assert [("acme", "sms", "2026-03-10", 50, 10)] == listed(engine)


def test_what_is_usual_after_all_is_listed_no_more(
    use: Callable[..., None], search: AnomalySearch, engine: sa.Engine, intake: Intake,
    costing: Costing,
) -> None:  # fmt: skip
    use("acme", d2=17)
    search.run(now=NOW)
    assert 1 == len(listed(engine))
    # Late usage: on the same weekdays of the weeks before it was the same.
    late = [
        sms(f"late-{n}", quantity=7, time=(NOW - timedelta(days=n)).isoformat())
        for n in (9, 16, 23)
    ]
    book(intake, *late)
    costing.run(clock=lambda: NOW)
    search.run(now=NOW)
    assert [] == listed(engine)


def test_a_second_search_finds_the_same(
    use: Callable[..., None], search: AnomalySearch, engine: sa.Engine
) -> None:
    use("acme", d2=90)
    assert (1, 1) == (search.run(now=NOW), search.run(now=NOW))
    assert 1 == len(listed(engine))


@pytest.mark.ledger("postgresql")
def test_two_searches_that_find_the_same_at_once_list_it_once(
    use: Callable[..., None], search: AnomalySearch, engine: sa.Engine
) -> None:
    use("acme", d2=90)
    with before_statement(engine, "INSERT INTO usage_anomalies", lambda: search.run(now=NOW)):
        search.run(now=NOW)
    assert 1 == len(listed(engine))


def test_older_days_are_listed_no_more(
    use: Callable[..., None], search: AnomalySearch, engine: sa.Engine
) -> None:
    use("acme", d2=90)
    search.run(now=NOW)
    assert [] == listed(engine, NOW + timedelta(days=6))


def test_the_excess_is_a_metric(
    use: Callable[..., None], search: AnomalySearch, engine: sa.Engine
) -> None:
    use("acme", d2=90, d3=40)
    search.run(now=NOW)
    with operator_session(engine) as session:
        samples = {(one.name, *one.labels): one.value for one in collect_budgets(session, NOW)}
    assert (2, 80) == (
        samples["meterline_spend_anomalies",],
        samples["meterline_spend_anomaly_excess_usd", "acme", "sms"],
    )


def test_one_place_says_how_long_anomalies_are_listed(
    use: Callable[..., None],
    search: AnomalySearch,
    engine: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use("acme", d2=90)
    search.run(now=NOW)
    monkeypatch.setattr(anomalies, "LISTED_DAYS", 1)
    with operator_session(engine) as session:
        samples = {one.name: one.value for one in collect_budgets(session, NOW)}
    assert (0, 0) == (samples["meterline_spend_anomalies"], search.run(now=NOW))


def test_operators_see_the_list_on_their_page(
    use: Callable[..., None], search: AnomalySearch, engine: sa.Engine, services: Services
) -> None:
    app: Flask = create_app(services)
    client = client_with(app, Credential({}, make_sign_in(engine, Role.OPS, None)))

    def page() -> str:
        return client.get("/admin/usage", base_url="https://localhost").text

    assert "Unusual spend" not in page()
    use("acme", d2=90)
    search.run(now=NOW)
    text = page()
    assert [True] * 4 == [
        part in text for part in ("Unusual spend", "Mar 8, 2026", "$90.00", "$80.00")
    ]
