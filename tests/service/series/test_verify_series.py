"""Whatever differs between ledger and series is named; what waits is not a difference."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from collector.events import Rules
from collector.influx.target import Target
from collector.intake import Intake
from collector.relay.verify import SeriesVerifier
from costing.job import Costing
from costing.retention import Retention
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import add_tenant, change_tenant, list_tenants
from tests.builders import NOW, ai, sms
from tests.conftest import Book
from tests.costed import ACME, tamper
from tests.costed import book as book_only
from tests.facts import Facts, canceled, fact, failed
from tests.servers.faults import FaultProxy, Request
from tests.servers.influx import Influx
from tests.service.series.conftest import Ship, make_relay

NOON = int(datetime(2026, 3, 9, 12, tzinfo=UTC).timestamp())
MIDNIGHT = int(datetime(2026, 3, 9, tzinfo=UTC).timestamp())
OWN = "channel=sms,direction=outbound,feature=broadcast"
REST = "price_class=standard,source=twilio,tenant=acme"

Verify = Callable[[], list[str]]


@pytest.fixture
def verify(engine: sa.Engine, target: Target) -> Verify:
    return lambda: differences(engine, target)


def differences(engine: sa.Engine, target: Target) -> list[str]:
    """Return what differs, as `tenant where: expected/found`."""
    with operator_session(engine) as session:
        tenants = list_tenants(session)
    report = SeriesVerifier(engine, target).verify(tenants, is_all=True, now=NOW)
    return [
        f"{d.tenant_id} {d.where}: {d.expected}/{d.found.split(';')[0]}" for d in report.differences
    ]


@pytest.fixture
def shipped(book: Book, ship: Ship) -> None:
    """Two tenants' usage, in InfluxDB."""
    book(sms("a"), sms("b", quantity=2), ai("c"), sms("k", tenant="karachi"))
    book(sms("in", channel="email", direction="inbound"), sms("old", time="2026-02-28T23:59:59Z"))
    ship()


@pytest.mark.usefixtures("shipped")
def test_series_that_say_the_same_have_no_difference(verify: Verify) -> None:
    assert [] == verify()


@pytest.mark.usefixtures("shipped")
def test_corrections_that_are_shipped_have_no_difference(
    engine: sa.Engine, rules: Rules, costing: Costing, ship: Ship, verify: Verify
) -> None:
    told = [canceled(usage_id="a"), failed(usage_id="b"), fact(usage_id="old", quantity=4)]
    Facts(engine, rules).book(ACME, told, now=NOW)
    costing.run(clock=lambda: NOW)
    waiting = verify()
    ship()
    assert ([], []) == (waiting, verify())


def test_an_event_just_before_midnight_is_in_the_series_of_its_day(
    book: Book, ship: Ship, verify: Verify
) -> None:
    book(sms("a", time="2026-03-08T23:59:59.9997Z"))
    ship()
    assert [] == verify()


def test_a_ledger_and_series_without_anything_have_no_difference(verify: Verify) -> None:
    assert [] == verify()


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            f"usage,{OWN},{REST} count=1i,quantity=9i {NOON}000000009",
            "acme series usage of 2026-03-09: points: 4/5",
        ),
        (
            f"usage,{OWN},{REST} count=1i,quantity=9i {NOON}000000002",
            "acme series usage of 2026-03-09: quantity: 1504/1512",
        ),
        (
            f"usage_cost,{OWN},plan=Pro,{REST} cost_nanos=1i {MIDNIGHT}000000000",
            "acme series usage_cost of 2026-03-09 (from 00:00 UTC): cost_nanos: 31700000/5000001",
        ),
        (
            f"usage_cost,{OWN},plan=Elite,{REST} cost_nanos=0i {MIDNIGHT}000000000",
            "acme series usage_cost of 2026-03-09 (from 00:00 UTC): points: 3/4",
        ),
        (
            f"usage_tenant_day,plan=Pro,tenant=acme cost=0.5 {MIDNIGHT}000000000",
            "acme series usage_tenant_day of 2026-03-09 (from 00:00 UTC): cost: 0.0317/0.5",
        ),
        (
            f"usage_tenant_day,plan=Elite,tenant=acme cost=0.0 {MIDNIGHT}000000000",
            "acme series usage_tenant_day of 2026-03-09 (from 00:00 UTC): points: 1/2",
        ),
        (
            f"usage,tenant=acme quantity=1i {MIDNIGHT - 40 * 86_400}000000000",
            "acme series usage of 2026-01-28: points: 0/1",
        ),
        (
            f"usage_cost,tenant=nobody cost_nanos=1i {MIDNIGHT}000000000",
            "nobody series usage_cost: no points, since the tenant is not registered/1 points",
        ),
    ],
)
def test_what_was_changed_in_the_series_is_named(
    influx: Influx, verify: Verify, line: str, expected: str
) -> None:
    influx.write(line)
    assert [expected] == verify()


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(
    ("measurement", "expected"),
    [
        ("usage", "acme series usage of 2026-02-28: points: 1/0"),
        ("usage_cost", "acme series usage_cost of 2026-02-28 (from 00:00 UTC): points: 1/0"),
        (
            "usage_tenant_day",
            "acme series usage_tenant_day of 2026-02-28 (from 00:00 UTC): points: 1/0",
        ),
    ],
)
def test_what_was_deleted_from_the_series_is_named(
    influx: Influx, verify: Verify, measurement: str, expected: str
) -> None:
    influx.query(f'DELETE FROM "{measurement}" WHERE "tenant" = \'acme\'')
    assert [expected] == verify()


@pytest.mark.usefixtures("shipped")
def test_a_change_in_the_ledger_that_was_not_shipped_is_named(
    engine: sa.Engine, verify: Verify
) -> None:
    tamper(engine, "UPDATE usage_rollups_daily SET estimated_cost = 7 WHERE tenant_id = 'karachi'")
    (found,) = verify()
    assert (
        "karachi series usage_cost of 2026-03-08 (from 19:00 UTC): cost_nanos: 7/8900000" == found
    )


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(
    ("damage", "measurement"),
    [
        ("UPDATE usage_rollups_daily SET quantity = 7, revision = 9", "usage_cost"),
        ("DELETE FROM usage_tenant_days", "usage_tenant_day"),
    ],
)
def test_what_changed_and_waits_for_nobody_is_named(
    engine: sa.Engine, verify: Verify, damage: str, measurement: str
) -> None:
    tamper(engine, f"{damage} WHERE tenant_id = 'karachi'")
    (found,) = verify()
    assert ["karachi", "series", measurement] == found.split()[:3]


@pytest.mark.usefixtures("shipped")
def test_what_waits_for_costing_or_shipping_is_no_difference(
    intake: Intake, book: Book, verify: Verify
) -> None:
    book(sms("costed"))
    book_only(intake, sms("booked"))
    assert [] == verify()


@pytest.mark.usefixtures("shipped")
def test_more_points_than_are_booked_are_a_difference_also_where_some_wait(
    influx: Influx, book: Book, verify: Verify
) -> None:
    book(sms("waits"))
    for n in range(3):
        influx.write(f"usage,tenant=acme quantity=1i {NOON}00000090{n}")
    assert ["acme series usage of 2026-03-09: points: 4 to 5/7"] == verify()


@pytest.mark.usefixtures("shipped")
def test_figures_that_change_while_they_are_compared_are_no_difference(
    engine: sa.Engine, faults: FaultProxy, book: Book, ship: Ship
) -> None:
    events = [sms("meanwhile")]

    def ship_more(request: Request) -> None:
        if request.path.startswith("/query") and b"count" in request.body and events:
            book(events.pop())
            ship()

    faults.rule = ship_more
    assert ([], []) == (differences(engine, Target(url=faults.url)), events)


@pytest.mark.usefixtures("shipped")
def test_raw_usage_that_retention_took_is_left_out(engine: sa.Engine, verify: Verify) -> None:
    retention = Retention(engine, days=4)
    taken = sum(sum(retention.take(due)) for due in retention.find_due(now=NOW))
    assert (1, []) == (taken, verify())


def test_points_that_expired_are_left_out(engine: sa.Engine, influx: Influx, book: Book) -> None:
    influx.query('CREATE DATABASE "raw" WITH DURATION 30d')
    target = Target(url=influx.url, usage_bucket="raw")
    book(sms("a"))
    make_relay(engine, target).run()
    with operator_session(engine) as session:
        tenants = list_tenants(session)
    report = SeriesVerifier(engine, target).verify(
        tenants, is_all=True, now=datetime(2026, 11, 25, tzinfo=UTC)
    )
    assert (1, []) == (report.unshipped[ACME].expired, report.differences)


@pytest.mark.usefixtures("shipped")
def test_quarantined_points_are_no_difference_but_told(
    engine: sa.Engine, target: Target, influx: Influx, book: Book
) -> None:
    influx.write('usage,tenant=karachi quantity="text" 1736078400000000000')
    book(sms("bad", time="2025-01-05T12:00:00Z"), sms("good"))
    make_relay(engine, target).run()
    with operator_session(engine) as session:
        tenants = list_tenants(session)
    report = SeriesVerifier(engine, target).verify(tenants[:1], is_all=False, now=NOW)
    assert (1, []) == (report.unshipped[ACME].quarantined, report.differences)


def test_a_change_of_zone_makes_no_difference(
    engine: sa.Engine, book: Book, ship: Ship, verify: Verify
) -> None:
    book(sms("before", time="2026-03-09T03:00:00Z"))
    with operator_session(engine, write=True) as session:
        moved = datetime(2026, 3, 9, 11, 17, 23, 456789, tzinfo=UTC)
        change_tenant(session, ACME, timezone="Pacific/Auckland", now=moved)
    book(sms("after", time="2026-03-09T12:00:00Z"), sms("last", time="2026-03-10T12:01:00Z"))
    ship()
    assert [] == verify()


@pytest.mark.usefixtures("shipped")
def test_a_tenant_that_is_registered_meanwhile_is_no_stranger(
    engine: sa.Engine, faults: FaultProxy, book: Book, ship: Ship
) -> None:
    events = [sms("n", tenant="newcomer")]

    def register(request: Request) -> None:
        if request.path.startswith("/query") and b"count" in request.body and events:
            with operator_session(engine, write=True) as session:
                add_tenant(session, TenantId("newcomer"), name="N", now=NOW)
            book(events.pop())
            ship()

    faults.rule = register
    assert [] == differences(engine, Target(url=faults.url))
