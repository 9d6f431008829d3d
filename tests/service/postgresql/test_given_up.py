"""What the database gives up in favour of another transaction is done again, whoever does it."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date

import pytest
import sqlalchemy as sa

from collector.influx.target import Target
from collector.influx.writer import Writer
from collector.intake import Intake
from collector.relay.job import Relay
from collector.relay.resend import EVER, make_due
from costing.job import Costing
from costing.pricing.flat import FlatMap
from costing.retention import Retention
from costing.verify import verify
from ledger.models import usage_rollups_daily
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from ledger.tenants import get_tenant
from tests.builders import NOW, sms
from tests.servers.influx_stand_in import ORG, TOKEN, InfluxTwoStandIn
from tests.servers.postgresql import Database

pytestmark = pytest.mark.ledger("postgresql", own=True)

ACME = TenantId("acme")
GIVE_UP = """
CREATE SEQUENCE attempts;
GRANT USAGE ON SEQUENCE attempts TO PUBLIC;
CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('attempts') <= 2 THEN RAISE EXCEPTION 'given up' USING ERRCODE = '40001'; END IF;
    RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER give_up BEFORE {change} FOR EACH ROW EXECUTE FUNCTION give_up();
"""


def give_up(database: Database, change: str) -> None:
    """Give up the next two transactions that change a table so."""
    database.server.administer(GIVE_UP.format(change=change), database=database.name)


def book(intake: Intake, day: str = "2026-03-09") -> list[str]:
    events = [sms("a", time=f"{day}T12:00:00Z"), sms("b", time=f"{day}T12:00:00Z")]
    return [str(result.status) for result in intake.book(events, only_tenant=None, now=NOW)]


def count_differences(engine: sa.Engine, prices: FlatMap) -> int:
    return len(verify(engine, prices).differences)


@pytest.fixture
def relay(engine: sa.Engine, intake: Intake, prices: FlatMap) -> Iterator[Relay]:
    """A relay that has two events and their figures to ship."""
    book(intake)
    Costing(engine, prices, ships=True).run(clock=lambda: NOW)
    with closing(InfluxTwoStandIn()) as server:
        server.buckets["meterline"] = {"id": "b", "name": "meterline"}
        target = Target(url=server.url, token=TOKEN, org=ORG)
        yield Relay(engine, target, writer=Writer(target), clock=lambda: NOW)


def test_booking(database: Database, intake: Intake, engine: sa.Engine, prices: FlatMap) -> None:
    give_up(database, "INSERT ON usage_batches")
    assert (["stored", "stored"], 0) == (book(intake), count_differences(engine, prices))


def test_costing(
    database: Database, intake: Intake, costing: Costing, engine: sa.Engine, prices: FlatMap
) -> None:
    book(intake)
    give_up(database, "INSERT ON usage_rollups_daily")
    done = costing.run(clock=lambda: NOW).batches
    assert (1, 0) == (done, count_differences(engine, prices))


def test_a_rebuild(database: Database, intake: Intake, costing: Costing, engine: sa.Engine) -> None:
    book(intake)
    costing.run(clock=lambda: NOW)
    with tenant_session(engine, ACME, write=True) as session:
        session.connection.execute(sa.update(usage_rollups_daily).values(quantity=9))
    give_up(database, "UPDATE ON usage_rollups_daily")
    assert 1 == costing.rebuild(ACME, clock=lambda: NOW)


def test_retention(database: Database, intake: Intake, costing: Costing, engine: sa.Engine) -> None:
    book(intake, "2025-06-01")
    costing.run(clock=lambda: NOW)
    retention = Retention(engine, days=90)
    (due,) = retention.find_due(now=NOW)
    give_up(database, "INSERT ON usage_tombstones")
    assert [2] == list(retention.take(due))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("INSERT ON relay_state", id="the first lease of a tenant"),
        pytest.param("UPDATE ON relay_state", id="a lease that is given back"),
        pytest.param("DELETE ON unshipped_batches", id="what was shipped"),
    ],
)
def test_a_mark_of_the_relay(database: Database, relay: Relay, change: str) -> None:
    give_up(database, change)
    shipped = relay.run()
    assert (4, None) == (shipped.points, shipped.error)


def test_a_lease_that_is_taken_again(
    database: Database, engine: sa.Engine, intake: Intake, prices: FlatMap, relay: Relay
) -> None:
    relay.run()
    intake.book([sms("c")], only_tenant=None, now=NOW)
    Costing(engine, prices, ships=True).run(clock=lambda: NOW)
    give_up(database, "UPDATE ON relay_state")
    assert 3 == relay.run().points


def test_a_day_that_is_made_due_again(
    database: Database, engine: sa.Engine, costing: Costing, intake: Intake
) -> None:
    book(intake)
    costing.run(clock=lambda: NOW)
    with operator_session(engine) as session:
        tenant = get_tenant(session, ACME)
    give_up(database, "UPDATE ON usage_tenant_days")
    assert [date(2026, 3, 9)] == list(make_due(engine, tenant, EVER, now=NOW))
