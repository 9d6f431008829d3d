"""Which tenants the exporter finds to spend faster than usual."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from exporter import burning
from exporter.burning import LEAST_HOURS, collect_burning
from exporter.store import read_usual_hours
from ledger.session import operator_session
from tests.builders import NOW, sms
from tests.conftest import Book
from tests.costed import tamper
from tests.service.exporter.spend import WATCH, ai_of, usual_hours

JUST_NOW = "2026-03-10T12:00:00Z"
BEFORE = "2026-03-10T11:30:00Z"

Look = Callable[..., dict[str, float]]


@pytest.fixture
def look(engine: sa.Engine) -> Look:
    """Return what is said of hours, by name without the prefix and tenant."""

    def run(now: datetime = NOW) -> dict[str, float]:
        with operator_session(engine) as session:
            samples = [*collect_burning(WATCH, session, now)]
        return {
            " ".join([sample.name.removeprefix("meterline_hour_"), *sample.labels]): sample.value
            for sample in samples
        }

    return run


def test_an_hour_is_compared_with_the_tenants_usual_one(book: Book, look: Look) -> None:
    book(*usual_hours("acme", 2, LEAST_HOURS), ai_of("acme", 12, time=BEFORE))
    expected = {
        "costly_tenants": 1,
        "cost_usd acme": pytest.approx(12),
        "burn_ratio acme": pytest.approx(6),
        "ai_costly_tenants": 1,
        "ai_cost_usd acme": pytest.approx(12),
        "ai_burn_ratio acme": pytest.approx(6),
    }
    assert expected == look()


def test_the_dearer_of_the_hour_that_runs_and_the_one_before_counts(book: Book, look: Look) -> None:
    book(ai_of("acme", 3, time=BEFORE), ai_of("acme", 2, time=JUST_NOW))
    assert pytest.approx(3) == look()["cost_usd acme"]


def test_hours_before_that_are_over(book: Book, look: Look) -> None:
    book(ai_of("acme", 3, time=BEFORE))
    later = NOW + timedelta(hours=1)
    assert (1, 0) == (look()["costly_tenants"], look(later)["costly_tenants"])


def test_spend_of_other_channels_is_not_ais(book: Book, look: Look) -> None:
    book(sms("a", time=BEFORE, quantity=1_000))
    found = look()
    assert (1, 0) == (found["costly_tenants"], found["ai_costly_tenants"])


def test_what_is_less_than_the_limit_is_not_looked_at(book: Book, look: Look) -> None:
    book(sms("a", time=BEFORE, quantity=112))
    assert {"costly_tenants": 0, "ai_costly_tenants": 0} == look()


@pytest.mark.ledger("sqlite")
def test_with_too_few_hours_nothing_is_usual(book: Book, look: Look) -> None:
    book(*usual_hours("acme", 2, LEAST_HOURS - 1), ai_of("acme", 12, time=BEFORE))
    assert "burn_ratio acme" not in look()


@pytest.mark.ledger("sqlite")
def test_hours_without_usage_make_no_hour_unusual(book: Book, look: Look) -> None:
    book(*usual_hours("acme", 2, LEAST_HOURS), ai_of("acme", 2, time=BEFORE, id="now"))
    assert pytest.approx(1) == look()["burn_ratio acme"]


@pytest.mark.ledger("sqlite")
def test_those_that_spent_most_are_named_up_to_a_limit_and_all_are_counted(
    book: Book, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(burning, "MAX_COSTLY_TENANTS", 1)
    book(ai_of("acme", 3, time=BEFORE), ai_of("karachi", 4, time=BEFORE))
    found = look()
    assert {"cost_usd karachi"} == {name for name in found if name.startswith("cost_usd")}
    assert 2 == found["costly_tenants"]


def test_an_hour_costs_what_its_row_costs_now(engine: sa.Engine, book: Book, look: Look) -> None:
    book(ai_of("acme", 3, time=BEFORE), ai_of("acme", 1, time="2026-03-10T09:00:00Z"))
    tamper(engine, "UPDATE usage_rollups_daily SET estimated_cost = estimated_cost * 2")
    assert pytest.approx(6) == look()["cost_usd acme"]


def test_the_hours_of_a_day_come_to_what_the_day_costs(engine: sa.Engine, book: Book) -> None:
    book(*some_usage())
    with operator_session(engine) as session:
        found = read_usual_hours(session, ["acme"], days=7, now=NOW)
        day = session.connection.exec_driver_sql(
            "SELECT sum(estimated_cost) FROM usage_rollups_daily"
        ).scalar_one()
    assert [pytest.approx(float(day))] == [each.cost for each in found]


def some_usage() -> Iterator[dict[str, object]]:
    for hour in range(8, 20):
        tokens = {"model": "house-llm", "input_tokens": hour * 100, "output_tokens": 7000 // hour}
        time = f"2026-03-09T{hour:02}:30:00Z"
        yield ai_of("acme", 0, id=f"a{hour}", time=time, metadata=tokens)
        yield sms(f"s{hour}", time=time, quantity=hour)
