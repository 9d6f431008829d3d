"""InfluxDB fails in every way: nothing is lost, the reason is told, and it goes on by itself."""

import gzip

import pytest
import sqlalchemy as sa

from collector.influx.errors import UncertainError
from collector.influx.target import Target
from collector.relay.job import Relay
from collector.relay.outcome import Shipped
from ledger.errors import MeterlineError
from ledger.models import quarantined_points
from ledger.session import operator_session
from ledger.shipping import Health, Unshipped, measure_unshipped, read_health
from tests.builders import ai, sms
from tests.conftest import Book
from tests.servers.faults import FaultProxy, Reply, Request, Rule
from tests.servers.influx import Influx
from tests.service.series.conftest import HandClock, make_relay

EVENTS = 'SELECT count("quantity") FROM "usage"'
COST_NANOS = 'SELECT sum("cost_nanos") FROM "usage_cost"'
TIMEOUT = 5.0
HASTE = 0.5


@pytest.fixture
def relay(engine: sa.Engine, faults: FaultProxy, clock: HandClock) -> Relay:
    return make_relay(engine, Target(url=faults.url, timeout_seconds=TIMEOUT), clock)


@pytest.fixture
def hasty(engine: sa.Engine, faults: FaultProxy, clock: HandClock) -> Relay:
    """A relay that does not wait for long."""
    return make_relay(engine, Target(url=faults.url, timeout_seconds=HASTE), clock)


def writes(reply: Reply) -> Rule:
    """Answer all writes so, and pass on all else."""
    return lambda request: reply if request.path.startswith("/api/v2/write") else None


def lines(request: Request) -> list[bytes]:
    return gzip.decompress(request.body).split(b"\n")


def unshipped(engine: sa.Engine) -> Unshipped:
    with operator_session(engine) as session:
        return measure_unshipped(session)


def health(engine: sa.Engine) -> Health | None:
    with operator_session(engine) as session:
        return read_health(session)


def error_of(shipped: Shipped) -> MeterlineError:
    assert shipped.error is not None
    return shipped.error


FAILURES = {
    "full disk": (Reply(500, b'{"error":"no space left on device"}'), "influx_unavailable"),
    "overloaded": (Reply(503, b'{"error":"timeout"}'), "influx_unavailable"),
    "rate limit": (Reply(429), "influx_unavailable"),
    "wrong token": (Reply(401, b'{"code":"unauthorized"}'), "influx_token_refused"),
    "no rights": (Reply(403, b'{"message":"forbidden"}'), "influx_token_refused"),
    "no bucket": (Reply(404, b'{"message":"bucket \\"x\\" not found"}'), "influx_bucket_missing"),
    "too old": (Reply(404, b"404 page not found"), "influx_path_missing"),
    "no organisation": (Reply(400, b'{"message":"please provide org"}'), "influx_refused"),
    "bad gateway": (Reply(502, b"<html>Bad Gateway</html>"), "influx_unavailable"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_an_answer_that_is_no_success_ends_the_run_with_its_reason(
    faults: FaultProxy, relay: Relay, book: Book, name: str
) -> None:
    reply, code = FAILURES[name]
    book(sms("a"))
    faults.rule = writes(reply)
    shipped = relay.run()
    assert (code, 0) == (error_of(shipped).code, shipped.points)


@pytest.mark.parametrize("name", FAILURES)
def test_after_any_failure_everything_is_shipped(  # noqa: PLR0917 - fixtures
    influx: Influx, faults: FaultProxy, relay: Relay, clock: HandClock, book: Book, name: str
) -> None:
    book(sms("a"), ai("b"))
    with faults.answering(writes(FAILURES[name][0])):
        relay.run()
    clock.move(4 * TIMEOUT)
    relay.run()
    assert (2, 13_900_000) == (influx.value(EVENTS), influx.value(COST_NANOS))


def test_an_influxdb_that_is_down_from_the_start_keeps_nobody_from_booking_and_costing(
    engine: sa.Engine, influx: Influx, relay: Relay, book: Book
) -> None:
    influx.kill()
    book(sms("a"))
    failed = relay.run()
    book(sms("b"))
    waiting = unshipped(engine)
    assert (True, (2, 1, 1)) == (failed.error is not None, waiting[:1] + waiting[2:4])


def test_an_influxdb_that_was_down_gets_everything_when_it_is_back(
    influx: Influx, relay: Relay, clock: HandClock, book: Book
) -> None:
    influx.kill()
    book(sms("a"))
    relay.run()
    book(ai("b"))
    relay.run()
    influx.start()
    clock.move(4 * TIMEOUT)
    relay.run()
    assert (2, 13_900_000) == (influx.value(EVENTS), influx.value(COST_NANOS))


def test_nobody_who_listens_at_the_address_is_told(engine: sa.Engine, book: Book) -> None:
    book(sms("a"))
    target = Target(url="http://127.0.0.1:9", timeout_seconds=TIMEOUT)
    assert "influx_unavailable" == error_of(make_relay(engine, target).run()).code


def test_an_answer_that_comes_too_late_is_not_waited_for(
    faults: FaultProxy, hasty: Relay, book: Book
) -> None:
    book(sms("a"))
    faults.rule = writes(Reply(204, delay=30))
    assert "influx_unavailable" == error_of(hasty.run()).code


def test_after_an_answer_that_was_not_waited_for_nobody_sends_before_the_lease_has_ended(
    faults: FaultProxy, hasty: Relay, relay: Relay, clock: HandClock, book: Book
) -> None:
    # What was sent may arrive after newer figures, and would take their place.
    book(sms("a"))
    with faults.answering(writes(Reply(204, delay=30))):
        hasty.run()
    early = [hasty.run().busy, relay.run().busy]
    clock.move(4 * HASTE)
    assert ([1, 1], 3) == (early, relay.run().points)


def test_after_an_answer_that_was_given_the_next_relay_may_go_on_at_once(
    engine: sa.Engine, faults: FaultProxy, relay: Relay, clock: HandClock, book: Book
) -> None:
    book(sms("a"))
    with faults.answering(writes(FAILURES["full disk"][0])):
        relay.run()
    other = make_relay(engine, Target(url=faults.url, timeout_seconds=TIMEOUT), clock)
    assert 3 == other.run().points


def test_the_last_error_is_kept_for_whoever_looks(
    engine: sa.Engine, faults: FaultProxy, relay: Relay, clock: HandClock, book: Book
) -> None:
    book(sms("a"))
    faults.rule = writes(FAILURES["full disk"][0])
    relay.run()
    relay.run()
    text = "InfluxDB answers 500: no space left on device"
    assert Health(2, text, clock.now, None) == health(engine)


def test_a_recovery_is_kept_too(
    engine: sa.Engine, faults: FaultProxy, relay: Relay, clock: HandClock, book: Book
) -> None:
    book(sms("a"))
    with faults.answering(writes(FAILURES["full disk"][0])):
        relay.run()
    clock.move(7)
    relay.run()
    found = health(engine)
    assert found is not None
    assert clock.now == found.recovered_at


def small_enough(most: int) -> Rule:
    """Refuse writes of more lines for their size."""

    def rule(request: Request) -> Reply | None:
        is_write = request.path.startswith("/api/v2/write")
        return Reply(413) if is_write and len(lines(request)) > most else None

    return rule


def test_a_write_that_is_too_large_is_sent_in_smaller_ones(
    influx: Influx, faults: FaultProxy, relay: Relay, book: Book
) -> None:
    book(*(sms(f"e{n}") for n in range(40)))
    faults.rule = small_enough(5)
    assert (42, 40) == (relay.run().points, influx.value(EVENTS))


def test_a_size_that_was_too_large_is_not_tried_again(
    faults: FaultProxy, relay: Relay, book: Book
) -> None:
    book(*(sms(f"e{n}") for n in range(40)))
    tried: list[int] = []

    def watch(request: Request) -> Reply | None:
        reply = small_enough(5)(request)
        if reply is not None:
            tried.append(len(lines(request)))
        return reply

    faults.rule = watch
    relay.run()
    book(*(sms(f"later{n}") for n in range(40)))
    relay.run()
    assert [42, 21, 10] == tried


def test_one_point_that_is_too_large_is_a_fault_of_the_way_and_not_of_the_point(
    engine: sa.Engine, faults: FaultProxy, relay: Relay, book: Book
) -> None:
    book(sms("a"))
    faults.rule = small_enough(0)
    assert ("influx_unavailable", 0) == (error_of(relay.run()).code, unshipped(engine).quarantined)


POISONED = "2025-01-05T12:00:00Z"


@pytest.fixture
def poison(influx: Influx) -> None:
    """Make the type of a field another one, in the week of `POISONED` alone."""
    influx.write('usage,tenant=other quantity="text" 1736078400000000000')


@pytest.mark.usefixtures("poison")
def test_one_poisonous_line_is_put_aside_with_the_reason_and_the_rest_arrives(
    engine: sa.Engine, influx: Influx, relay: Relay, book: Book
) -> None:
    book(*(sms(f"e{n}") for n in range(20)), sms("bad", time=POISONED), sms("last"))
    shipped = relay.run()
    with operator_session(engine) as session:
        query = sa.select(quarantined_points.c.line, quarantined_points.c.reason)
        ((line, reason),) = session.connection.execute(query).all()
    found = (shipped.refused, influx.value(EVENTS), line[:30], "field type conflict" in reason)
    assert (1, 21, "usage,channel=sms,direction=ou", True) == found


@pytest.mark.usefixtures("poison")
def test_what_was_put_aside_is_due_no_more(engine: sa.Engine, relay: Relay, book: Book) -> None:
    book(sms("bad", time=POISONED), sms("good"))
    relay.run()
    waits = unshipped(engine)
    assert (0, 1, 0) == (waits.points, waits.quarantined, relay.run().points)


def test_points_that_are_too_old_for_a_bucket_are_no_poison(
    engine: sa.Engine, influx: Influx, relay: Relay, book: Book
) -> None:
    book(sms("a"))
    relay.run()  # asks how long the bucket keeps points, and believes it for a while
    influx.query('ALTER RETENTION POLICY "autogen" ON "meterline" DURATION 3d SHARD DURATION 1d')
    book(*(sms(f"e{n}", time=POISONED) for n in range(60)))
    shipped = relay.run()
    waits = unshipped(engine)
    assert (None, 62, 0, 0) == (shipped.error, shipped.expired, waits.quarantined, waits.points)


def test_a_page_that_is_no_utf8_is_an_answer_that_leaves_all_open(
    faults: FaultProxy, relay: Relay, book: Book
) -> None:
    book(sms("a"))
    faults.rule = writes(Reply(502, "<html>Gatewáy</html>".encode("latin-1")))
    assert isinstance(error_of(relay.run()), UncertainError)


def test_a_recovery_is_kept_by_whoever_ships_next(
    engine: sa.Engine, faults: FaultProxy, relay: Relay, clock: HandClock, book: Book
) -> None:
    other = make_relay(engine, Target(url=faults.url, timeout_seconds=TIMEOUT), clock)
    book(sms("a"))
    other.run()
    book(sms("b"))
    with faults.answering(writes(FAILURES["full disk"][0])):
        relay.run()
    other.run()
    found = health(engine)
    assert found is not None
    assert clock.now == found.recovered_at
