"""What the exporter says of today's spend, at an instant of the test's own."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
import sqlalchemy as sa

from costing.job import Costing
from costing.pricing.flat import load_flat_map
from exporter import spending
from exporter.metric import Sample
from exporter.spending import collect_spending
from exporter.watch import OTHER, Watch
from ledger.event import is_slug
from ledger.money import parse_usd
from ledger.session import operator_session
from ledger.tenant import TenantId, is_tenant_id
from ledger.tenants import add_tenant
from tests.builders import NOW, sms
from tests.conftest import Book
from tests.service.exporter.spend import WATCH, ai_of
from tests.statements import plan_steps, statements

TODAY = "2026-03-10T10:00:00Z"

Look = Callable[..., dict[str, float]]


@pytest.fixture
def look(engine: sa.Engine) -> Look:
    """Return what is said of spend, by name without the prefix and labels."""

    def run(watch: Watch = WATCH) -> dict[str, float]:
        with operator_session(engine) as session:
            samples = [*collect_spending(watch, session, NOW)]
        assert all(isinstance(sample, Sample) for sample in samples)
        return {
            " ".join([sample.name.removeprefix("meterline_"), *sample.labels]): sample.value
            for sample in samples
        }

    return run


def named(found: dict[str, float], prefix: str) -> dict[str, float]:
    return {
        name.removeprefix(prefix).strip(): value
        for name, value in found.items()
        if name.startswith(prefix)
    }


@pytest.fixture
def tenants(engine: sa.Engine) -> None:
    """More tenants than there are places at the top."""
    with operator_session(engine, write=True) as session:
        for name in ("t1", "t2", "t3", "t4"):
            add_tenant(session, TenantId(name), name=name, now=NOW)


def test_without_usage_there_is_nothing_but_zeros(look: Look) -> None:
    expected = {
        "today_active_tenants": 0,
        "ai_share_unknown_tenants": 0,
        f"tenant_today_cost_usd {OTHER}": 0,
        f"tenant_today_ai_cost_usd {OTHER}": 0,
        "high_ai_tenants": 0,
    }
    assert expected == look()


def test_usage_of_today_is_shown_by_channel_source_and_feature(book: Book, look: Look) -> None:
    book(sms("a", time=TODAY, quantity=2), sms("b", time=TODAY, tenant="karachi", feature=...))
    book(ai_of("acme", 3, time=TODAY), sms("yesterday"))
    found = look()
    expected = {"sms twilio broadcast": 1, "sms twilio": 1, "ai openai ai_sms": 1}
    assert expected == named(found, "today_usages")
    assert 3 == found["today_cost_usd ai openai ai_sms"]


@pytest.mark.ledger("sqlite")
def test_the_day_is_the_tenants_own(engine: sa.Engine, book: Book, look: Look) -> None:
    with operator_session(engine, write=True) as session:
        add_tenant(
            session, TenantId("kiritimati"), name="k", timezone="Pacific/Kiritimati", now=NOW
        )
    # There, it is the 11th since 10:00 UTC.
    book(sms("a", tenant="kiritimati", time="2026-03-10T09:59:00Z"))
    book(sms("b", tenant="kiritimati", time="2026-03-10T10:01:00Z", channel="mms"))
    assert {"mms twilio broadcast": 1} == named(look(), "today_usages")


def test_usage_without_a_price_is_counted_and_costs_nothing_known(
    engine: sa.Engine, book: Book, look: Look
) -> None:
    strict = Costing(engine, load_flat_map(ai_flat_fallback=False))
    book(ai_of("acme", 3, time=TODAY), job=strict)
    found = look()
    assert {"ai openai ai_sms": 1} == named(found, "today_unpriced_usages")
    unknown = (found["ai_share_unknown_tenants"], found["high_ai_tenants"])
    assert (1, 0) == unknown
    assert {} == named(found, "today_ai_share_ratio")


@pytest.mark.ledger("sqlite")
def test_ai_spend_that_is_high_whatever_the_rest_costs_is_not_silent(
    engine: sa.Engine, book: Book, look: Look
) -> None:
    book(ai_of("acme", 3, time=TODAY))
    strict = Costing(engine, load_flat_map(ai_flat_fallback=False))
    book(ai_of("acme", 1, time=TODAY, feature="support_ai"), job=strict)
    found = look()
    assert (1, 1) == (found["ai_share_unknown_tenants"], found["high_ai_tenants"])
    assert {"acme": 1} == named(found, "high_ai_share_ratio")


@pytest.mark.usefixtures("tenants")
def test_tenants_that_spend_most_are_named_and_the_others_are_together(
    book: Book, look: Look
) -> None:
    book(*(ai_of(f"t{usd}", usd, time=TODAY) for usd in (1, 2, 3, 4)))
    expected = {"t4": 4, "t3": 3, OTHER: 3}
    assert expected == named(look(), "tenant_today_ai_cost_usd")


@pytest.mark.usefixtures("tenants")
def test_the_share_of_ai_is_shown_of_those_tenants_and_of_all(book: Book, look: Look) -> None:
    rate = 1 / 0.0089
    book(ai_of("t3", 3, time=TODAY), sms("s", tenant="t3", time=TODAY, quantity=round(rate)))
    found = look()
    assert {"t3": pytest.approx(0.75, abs=0.001)} == named(found, "tenant_today_ai_share_ratio")
    assert pytest.approx(0.75, abs=0.001) == found["today_ai_share_ratio"]


@pytest.mark.ledger("sqlite")
@pytest.mark.usefixtures("tenants")
@pytest.mark.parametrize(
    ("share", "amount", "expected"),
    [
        ("0.30", "2.5", {"t3": 3}),  # t4 spends on AI alone, and less; t1 more, and a small part
        ("0.30", "0.5", {"t2": 1, "t3": 3}),
        ("0.10", "2.5", {"t1": 5, "t3": 3}),
        ("0.30", "3", {}),  # over it, not at it
    ],
)
def test_ai_spend_is_high_where_it_is_over_both_limits(
    book: Book, look: Look, share: str, amount: str, expected: dict[str, float]
) -> None:
    book(ai_of("t1", 5, time=TODAY), sms("s", tenant="t1", time=TODAY, quantity=3_000))
    book(ai_of("t2", 1, time=TODAY), ai_of("t3", 3, time=TODAY))
    watch = replace(WATCH, ai_share=Fraction(share), ai_amount=parse_usd(amount))
    found = look(watch)
    shown = named(found, "high_ai_cost_usd")
    assert (expected, len(expected)) == (shown, found["high_ai_tenants"])


@pytest.mark.ledger("sqlite")
@pytest.mark.usefixtures("tenants")
def test_a_share_that_is_exactly_the_limit_is_not_over_it(book: Book, look: Look) -> None:
    book(ai_of("t1", 89, time=TODAY), sms("s", tenant="t1", time=TODAY, quantity=10_000))
    at, over = (replace(WATCH, ai_share=Fraction(share)) for share in ("0.5", "0.4999"))
    assert (0, 1) == (look(at)["high_ai_tenants"], look(over)["high_ai_tenants"])


@pytest.mark.ledger("sqlite")
@pytest.mark.usefixtures("tenants")
def test_every_tenant_with_high_ai_spend_is_named_up_to_a_limit_and_all_are_counted(
    book: Book, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spending, "MAX_HIGH_AI_TENANTS", 3)
    book(*(ai_of(f"t{number}", number + 1, time=TODAY) for number in (1, 2, 3, 4)))
    found = look(replace(WATCH, tenants=0))
    assert {"t4": 5, "t3": 4, "t2": 3} == named(found, "high_ai_cost_usd")
    assert 4 == found["high_ai_tenants"]


@pytest.mark.ledger("sqlite")
def test_kinds_of_usage_that_are_too_many_are_together_by_channel(
    book: Book, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spending, "MAX_GROUPS", 2)
    for number in range(1, 5):
        book(sms(f"s{number}", time=TODAY, quantity=number, feature=f"f{number}"))
    expected = {"sms twilio f4": 1, "sms twilio f3": 1, f"sms {OTHER} {OTHER}": 2}
    assert expected == named(look(), "today_usages")


def test_no_tenant_and_no_feature_can_be_called_as_the_rest_is() -> None:
    assert (False, False) == (is_slug(OTHER), is_tenant_id(OTHER))


def test_yesterday_is_over(book: Book, look: Look, engine: sa.Engine) -> None:
    book(ai_of("acme", 3, time=TODAY))
    with operator_session(engine) as session:
        later = NOW + timedelta(days=1)
        found = {sample.name for sample in collect_spending(WATCH, session, later)}
    assert (1, False) == (look()["high_ai_tenants"], "meterline_high_ai_cost_usd" in found)


@pytest.mark.ledger("sqlite")
def test_no_rows_are_read_but_todays(engine: sa.Engine, book: Book, look: Look) -> None:
    book(ai_of("acme", 3, time=TODAY))
    with statements(engine, naming="usage_rollups_daily") as sent:
        look()
    steps = plan_steps(engine, sent, naming="usage_rollups_daily")
    assert (2, []) == (len(steps), [step for step in steps if "tenant_id=? AND date>?" not in step])
