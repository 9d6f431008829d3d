"""A tenant whose points InfluxDB refuses holds up no other."""

import pytest
import sqlalchemy as sa

from collector.influx.target import Target
from ledger.session import operator_session
from ledger.shipping import measure_unshipped
from tests.builders import sms
from tests.conftest import Book
from tests.servers.influx import Influx
from tests.service.series.conftest import make_relay

KARACHI = 'SELECT count("quantity") FROM "usage" WHERE "tenant" = \'karachi\''


@pytest.fixture
def poison(influx: Influx) -> None:
    """Make the type of a field another one, in one week alone."""
    influx.write('usage,tenant=other quantity="text" 1736078400000000000')


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize("call_points", [5000, 24])
def test_too_many_refused_points_of_a_tenant_stay_due_and_the_next_tenant_is_shipped(
    engine: sa.Engine, influx: Influx, book: Book, monkeypatch: pytest.MonkeyPatch, call_points: int
) -> None:
    # Both tenants in one call, and each in its own.
    monkeypatch.setattr("collector.relay.job.CALL_POINTS", call_points)
    book(*(sms(f"bad{n}", time="2025-01-05T12:00:00Z") for n in range(25)))
    book(sms("k", tenant="karachi"))
    shipped = make_relay(engine, Target(url=influx.url)).run()
    with operator_session(engine) as session:
        due = measure_unshipped(session).events
    found = ([f.tenant_id for f in shipped.failures], shipped.error, influx.value(KARACHI), due)
    assert (["acme"], None, 1, 25) == found
