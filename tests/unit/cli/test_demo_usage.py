import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cli.demo.tenants import TENANTS, DemoTenant
from cli.demo.usage import Delivery, count_deliveries, deliver_usage, use_day
from collector.events import Rules, read_event
from collector.metadata import MetadataPolicy
from ledger.period import closes_at
from ledger.tenant import BEGINNING, Tenant, TenantId, TenantPeriod

TODAY = date(2026, 3, 10)
DAYS = 14
MIDNIGHT = datetime(2026, 3, 10, tzinfo=UTC)
CHANNELS = {"sms", "mms", "voice", "email", "ai"}
SOURCES = {"twilio", "sendgrid", "openai", "internal", None}
FEATURES = {
    "ai_sms",
    "booking_email",
    "broadcast",
    "ivr",
    "portal_email",
    "support_ai",
    "voicemail_ai",
    None,
}
MODELS = {
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4o-mini",
    "gpt-5-mini",
    "house-summary-1",
    "whisper-1",
}
DIGEST = """
from datetime import date
from hashlib import sha256
from cli.demo.tenants import TENANTS
from cli.demo.usage import deliver_usage
usage = list(deliver_usage(TENANTS, days=3, today=date(2026, 3, 10)))
print(sha256(repr(usage).encode()).hexdigest())
"""
ZONES = {"Asia/Karachi", "America/St_Johns", "Pacific/Apia", "Europe/Berlin"}


@pytest.fixture(scope="module")
def deliveries() -> list[Delivery]:
    return list(deliver_usage(TENANTS, days=DAYS, today=TODAY))


@pytest.fixture(scope="module")
def events(deliveries: list[Delivery]) -> list[dict[str, Any]]:
    return [event for delivery in deliveries for event in delivery.events]


def digest(days: int, today: date) -> str:
    return sha256(repr(list(deliver_usage(TENANTS, days=days, today=today))).encode()).hexdigest()


def named(name: str) -> DemoTenant:
    return next(tenant for tenant in TENANTS if tenant.name == name)


def of_tenant(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["tenant"] == named(name).tenant_id]


def time_of(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["time"])


def closing(event: dict[str, Any]) -> datetime:
    """Return when the local day of an event closes."""
    tenant = next(tenant for tenant in TENANTS if tenant.tenant_id == event["tenant"])
    period = TenantPeriod(valid_from=BEGINNING, plan=tenant.plan, timezone=tenant.timezone)
    whole = Tenant(tenant_id=tenant.tenant_id, name=tenant.name, periods=(period,))
    return closes_at(time_of(event).astimezone(ZoneInfo(tenant.timezone)).date(), whole)


def first_sendings(deliveries: list[Delivery]) -> Iterator[tuple[datetime, dict[str, Any]]]:
    seen = set()
    for at, events in deliveries:
        for event in events:
            key = (event["tenant"], event["id"])
            if key not in seen:
                seen.add(key)
                yield at, event


def test_the_same_day_gives_the_same_usage() -> None:
    assert digest(3, TODAY) == digest(3, TODAY)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_usage_does_not_depend_on_the_hashes_of_the_process(hash_seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    found = subprocess.check_output([sys.executable, "-c", DIGEST], env=environment, text=True)
    assert digest(3, TODAY) == found.strip()


def test_another_day_gives_other_usage() -> None:
    assert digest(3, TODAY) != digest(3, TODAY + timedelta(days=1))


def test_there_are_as_many_deliveries_as_counted(deliveries: list[Delivery]) -> None:
    assert count_deliveries(DAYS) == len(deliveries)


def test_the_last_delivery_is_at_the_start_of_today(deliveries: list[Delivery]) -> None:
    assert MIDNIGHT == deliveries[-1].at


def test_nothing_is_delivered_before_it_was_used(deliveries: list[Delivery]) -> None:
    early = [e for at, events in deliveries for e in events if time_of(e) > at]
    assert [] == early


def test_days_of_the_weekend_have_less_than_half_of_a_weekday(events: list[dict[str, Any]]) -> None:
    counts = Counter(time_of(event).weekday() // 5 for event in events)
    # Two whole weeks: ten weekdays and four days of the weekend.
    assert counts[1] / 4 < counts[0] / 10 / 2


def test_tenants_are_busier_in_their_forenoon_than_at_night(events: list[dict[str, Any]]) -> None:
    zones = {tenant.tenant_id: ZoneInfo(tenant.timezone) for tenant in TENANTS}
    hours = Counter(
        (event["tenant"], time_of(event).astimezone(zones[event["tenant"]]).hour)
        for event in events
    )
    restless = [t for t in zones if hours[t, 10] < hours[t, 2] + hours[t, 3] + hours[t, 4]]
    assert [] == restless


def test_there_are_about_forty_tenants() -> None:
    assert 40 == len({tenant.tenant_id for tenant in TENANTS})


def test_every_plan_has_tenants() -> None:
    assert {"Starter", "Pro", "Elite"} == {tenant.plan for tenant in TENANTS}


def test_the_zones_with_unusual_offsets_have_tenants() -> None:
    assert set() == ZONES - {tenant.timezone for tenant in TENANTS}


@pytest.mark.parametrize(
    ("field", "expected"), [("channel", CHANNELS), ("source", SOURCES), ("feature", FEATURES)]
)
def test_all_there_is_gets_used(
    events: list[dict[str, Any]], field: str, expected: set[str | None]
) -> None:
    assert expected == {event.get(field) for event in events}


def test_several_models_are_used(events: list[dict[str, Any]]) -> None:
    models = {event["metadata"]["model"] for event in events if event["channel"] == "ai"}
    assert MODELS == models


def test_ids_are_unique_within_a_tenant() -> None:
    ids = [
        (tenant.tenant_id, used.event["id"])
        for tenant in TENANTS
        for day in (TODAY - timedelta(days=ago) for ago in range(DAYS))
        for used in use_day(tenant, day, today=TODAY)
    ]
    assert len(ids) == len(set(ids))


def test_nothing_looks_personal_or_is_left_out(events: list[dict[str, Any]]) -> None:
    rules = Rules(policy=MetadataPolicy(hash_key=None), max_future=timedelta(0))
    read = [
        read_event(e, rules=rules, find_tenant=in_utc, only_tenant=None, now=MIDNIGHT)
        for e in events
    ]
    assert {()} == {each.dropped for each in read}


def in_utc(tenant_id: TenantId) -> Tenant:
    period = TenantPeriod(valid_from=BEGINNING, plan="Pro", timezone="UTC")
    return Tenant(tenant_id=tenant_id, name=tenant_id, periods=(period,))


def test_one_tenant_uses_nothing(events: list[dict[str, Any]]) -> None:
    assert [] == of_tenant(events, "Quiet Corner Archive")


def test_one_tenant_came_ten_days_ago(events: list[dict[str, Any]]) -> None:
    first = min(time_of(event) for event in of_tenant(events, "Fresh Start Tutoring"))
    local = first.astimezone(ZoneInfo(named("Fresh Start Tutoring").timezone))
    assert TODAY - timedelta(days=10) == local.date()


def test_one_tenant_has_a_spike(events: list[dict[str, Any]]) -> None:
    per_day = Counter(
        time_of(event).date()
        for event in of_tenant(events, "Lantern Support Desk")
        if event["feature"] == "support_ai"
    )
    assert {TODAY - timedelta(days=5), TODAY - timedelta(days=4)} == {
        day for day, _ in per_day.most_common(2)
    }


def test_a_growing_tenant_used_less_a_quarter_ago() -> None:
    days = [TODAY - timedelta(days=ago) for ago in (84, 7)]
    before, after = (
        sum(1 for _ in use_day(named("Orchard Hotline"), day, today=TODAY)) for day in days
    )
    assert before < after


def test_some_usage_comes_after_its_day_closed(deliveries: list[Delivery]) -> None:
    late = [event for at, event in first_sendings(deliveries) if at >= closing(event)]
    assert 0 < len(late)


def test_almost_all_usage_comes_before_its_day_closes(deliveries: list[Delivery]) -> None:
    sent = list(first_sendings(deliveries))
    late = [event for at, event in sent if at >= closing(event)]
    assert len(late) < len(sent) / 100


def test_the_newest_usage_is_in_time_at_any_hour_of_today(deliveries: list[Delivery]) -> None:
    newest = [event for event in deliveries[-1].events if time_of(event) >= deliveries[-2].at]
    assert MIDNIGHT + timedelta(days=1) < min(map(closing, newest))


def test_some_events_are_sent_again_as_they_were(events: list[dict[str, Any]]) -> None:
    assert 0 < sum(1 for count in Counter(map(repr, events)).values() if count > 1)


def test_some_ids_are_sent_again_with_another_content(events: list[dict[str, Any]]) -> None:
    contents = {(event["tenant"], event["id"], repr(event)) for event in events}
    per_id = Counter((tenant, event_id) for tenant, event_id, _ in contents)
    assert 0 < sum(1 for count in per_id.values() if count > 1)
