"""One relay a tenant: who has lost the lease marks nothing; what changed meanwhile stays due."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from cli.shipping import ship_all
from collector.influx.target import Target
from collector.relay.job import Relay
from collector.relay.leases import Leases
from ledger.errors import ConflictError
from ledger.models import usage_rollups_daily
from ledger.session import operator_session
from ledger.shipping import measure_unshipped
from ledger.tenant import TenantId
from tests.builders import NOW, ai, sms
from tests.conftest import Book
from tests.costed import ACME
from tests.interleaving import at_once
from tests.processes import wait_until
from tests.servers.influx import Influx
from tests.service.series.conftest import make_relay

EVENTS = 'SELECT count("quantity") FROM "usage"'
START = datetime(2026, 3, 10, 12, tzinfo=UTC)
LATER = START + timedelta(hours=1)


class WatchedWriter:
    """Writes to InfluxDB, and lets something happen before or after."""

    def __init__(self, target: Target, *, before: Any = None, after: Any = None) -> None:
        from collector.influx.writer import Writer  # noqa: PLC0415 - as the wiring does

        self._writer = Writer(target)
        self._before, self._after = before, after
        self.bodies: list[bytes] = []

    def write(self, bucket: str, body: bytes) -> int:
        self.bodies.append(body)
        if self._before is not None:
            self._before()
        expired = self._writer.write(bucket, body)
        if self._after is not None:
            self._after()
        return expired


def due_points(engine: sa.Engine) -> int:
    with operator_session(engine) as session:
        return measure_unshipped(session).points


def test_a_tenant_is_leased_by_one_at_a_time(engine: sa.Engine) -> None:
    first, second = (Leases(engine, owner=name) for name in ("first", "second"))
    taken = [each.take(ACME, now=START, until=LATER) for each in (first, second, first)]
    assert [True, False, True] == taken


def test_a_lease_that_has_ended_is_anybodys(engine: sa.Engine) -> None:
    Leases(engine, owner="first").take(ACME, now=START, until=LATER)
    second = Leases(engine, owner="second")
    assert second.take(ACME, now=LATER, until=LATER + timedelta(hours=1))


def test_a_lease_that_was_given_back_is_anybodys(engine: sa.Engine) -> None:
    first, second = (Leases(engine, owner=name) for name in ("first", "second"))
    first.take(ACME, now=START, until=LATER)
    first.release(ACME)
    assert second.take(ACME, now=START, until=LATER)


def test_nobody_gives_back_the_lease_of_another(engine: sa.Engine) -> None:
    first, second = (Leases(engine, owner=name) for name in ("first", "second"))
    first.take(ACME, now=START, until=LATER)
    second.release(ACME)
    assert not second.take(ACME, now=START, until=LATER)


def test_of_many_that_take_a_tenant_at_once_one_has_it(engine: sa.Engine) -> None:
    leases = [Leases(engine, owner=f"relay-{n}") for n in range(8)]
    tasks = [partial(each.take, ACME, now=START, until=LATER) for each in leases]
    assert 1 == sum(at_once(tasks))


def test_a_relay_that_lost_its_lease_marks_nothing(
    engine: sa.Engine, target: Target, book: Book
) -> None:
    book(sms("a"))

    def take_over() -> None:
        with operator_session(engine, write=True) as session:
            session.connection.execute(sa.text("UPDATE relay_state SET lease_owner = 'other'"))

    writer = WatchedWriter(target, after=take_over)
    relay = Relay(engine, target, writer=writer, clock=lambda: START)
    assert (0, 3) == (relay.run().points, due_points(engine))


def test_shipping_all_ends_when_nothing_is_due_also_where_a_lease_was_lost(
    engine: sa.Engine, target: Target, book: Book
) -> None:
    book(sms("a"))
    owners = ["other"]

    def take_over_once() -> None:
        if owners:
            with operator_session(engine, write=True) as session:
                session.connection.execute(
                    sa.text(
                        f"UPDATE relay_state SET lease_owner = '{owners.pop()}',"
                        " lease_until = '2026-03-10 11:00:00.000000'"
                    )
                )

    writer = WatchedWriter(target, after=take_over_once)
    ship_all(Relay(engine, target, writer=writer, clock=lambda: START))
    assert 0 == due_points(engine)


def test_a_relay_that_slept_through_its_lease_does_not_send_at_all(
    engine: sa.Engine, target: Target, book: Book
) -> None:
    book(sms("a"))
    times = [START, START, START, START]

    def clock() -> datetime:
        if len(times) > 1:
            return times.pop()
        with operator_session(engine, write=True) as session:
            session.connection.execute(
                sa.text(
                    "UPDATE relay_state SET lease_owner = 'other',"
                    " lease_until = '2026-03-10 23:00:00'"
                )
            )
        return LATER

    writer = WatchedWriter(target)
    shipped = Relay(engine, target, writer=writer, clock=clock).run()
    assert isinstance(shipped.error, ConflictError)
    assert ("lease_lost", []) == (shipped.error.code, writer.bodies)


@pytest.mark.parametrize("at", [1, 2])
def test_a_relay_that_is_told_to_stop_ends_its_run_and_gives_all_leases_back(
    engine: sa.Engine, target: Target, book: Book, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr("collector.relay.job.CALL_POINTS", 1)
    book(sms("a"), sms("b", tenant="karachi"))
    writer = WatchedWriter(target)
    relay = Relay(engine, target, writer=writer, clock=lambda: START)
    shipped = relay.run(is_stopped=lambda: len(writer.bodies) >= at)
    other = Leases(engine, owner="other")
    free = [other.take(TenantId(n), now=START, until=LATER) for n in ("acme", "karachi")]
    assert (at, None, [True, True]) == (len(writer.bodies), shipped.error, free)


def test_what_a_stopped_relay_did_not_ship_is_due(
    engine: sa.Engine, target: Target, book: Book
) -> None:
    book(sms("a"))
    relay = Relay(engine, target, writer=WatchedWriter(target), clock=lambda: START)
    stopped = relay.run(is_stopped=lambda: True)
    assert (0, 3, 3) == (stopped.points, due_points(engine), relay.run().points)


def test_a_relay_that_takes_turns_tells_that_more_is_due(
    engine: sa.Engine, target: Target, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.relay.job._MOST_PARCELS", 1)
    book(sms("a"))
    relay = Relay(engine, target, writer=WatchedWriter(target), clock=lambda: START)
    assert [True, True, False] == [relay.run().is_more for _ in range(3)]


def test_a_row_that_changes_while_it_is_sent_stays_due(
    engine: sa.Engine, target: Target, book: Book, influx: Influx
) -> None:
    book(sms("a"))
    events = [sms("b")]

    def change_once() -> None:
        if events:
            book(events.pop())

    writer = WatchedWriter(target, before=change_once)
    relay = Relay(engine, target, writer=writer, clock=lambda: START)
    relay.run()
    query = sa.select(usage_rollups_daily.c.revision, usage_rollups_daily.c.shipped_revision)
    with operator_session(engine) as session:
        between = [tuple(row) for row in session.connection.execute(query)]
    relay.run()
    total = influx.value('SELECT sum("cost_nanos") FROM "usage_cost"')
    assert ([(2, 1)], 17_800_000) == (between, total)


def test_no_transaction_is_held_open_over_a_call_to_influxdb(
    engine: sa.Engine, target: Target, book: Book
) -> None:
    book(sms("a"))

    def wait_for_all_to_end() -> None:
        # Others read and mark meanwhile, in transactions that end by themselves.
        pool = engine.pool
        assert isinstance(pool, sa.QueuePool)
        wait_until(lambda: pool.checkedout() == 0, "no transaction is open", seconds=5)

    writer = WatchedWriter(target, before=wait_for_all_to_end)
    relay = Relay(engine, target, writer=writer, clock=lambda: START)
    assert 3 == relay.run().points


def test_many_relays_at_once_send_everything_once_or_more_and_mark_it_once(
    engine: sa.Engine, target: Target, influx: Influx, book: Book
) -> None:
    for n in range(4):
        book(*(sms(f"{n}-{k}", tenant=("acme", "karachi")[k % 2]) for k in range(50)))
    relays = [make_relay(engine, target) for _ in range(4)]

    def ship(relay: Relay) -> int:
        points = 0
        while (shipped := relay.run()).points or shipped.busy:
            points += shipped.points
        return points

    sent = sum(at_once([partial(ship, each) for each in relays]))
    assert (204, 200, 0) == (sent, influx.value(EVENTS), due_points(engine))


def test_the_relay_and_costing_at_once_leave_nothing_out(
    engine: sa.Engine, target: Target, influx: Influx, book: Book
) -> None:
    relay = make_relay(engine, target)

    def use() -> None:
        for n in range(10):
            book(sms(f"s{n}"), ai(f"a{n}"))

    def ship() -> None:
        for _ in range(10):
            relay.run()

    at_once([use, ship])
    relay.run()
    total = influx.value('SELECT sum("cost_nanos") FROM "usage_cost"')
    assert (20, 139_000_000, 0) == (influx.value(EVENTS), total, due_points(engine))


def test_the_clock_of_the_ledger_is_not_that_of_the_lease(engine: sa.Engine) -> None:
    Leases(engine, owner="first").take(ACME, now=START, until=LATER)
    early = Leases(engine, owner="second").take(ACME, now=NOW - timedelta(days=1), until=LATER)
    assert not early
