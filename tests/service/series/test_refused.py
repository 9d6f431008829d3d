"""Points that InfluxDB refuses: few are put aside and tried again, most of a measurement waits."""

import gzip
import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from collector.influx.target import Target
from collector.relay.job import Relay
from collector.relay.keeping import Keeper
from ledger.models import unshipped_batches
from ledger.session import operator_session
from ledger.shipping import Unshipped, list_holds, measure_unshipped
from ledger.tenant import TenantId
from tests.builders import sms
from tests.conftest import Book
from tests.servers.faults import FaultProxy, Reply, Request
from tests.servers.influx import Influx
from tests.service.series.conftest import HandClock, make_relay
from tests.service.series.test_verify_series import differences

EVENTS = 'SELECT count("quantity") FROM "usage"'
COSTS = 'SELECT count("cost_nanos") FROM "usage_cost"'
DAYS = 'SELECT count("cost") FROM "usage_tenant_day"'
HOUR = 3600
KEY = re.compile(rb"^(\w+),\S*\btenant=(\w+)", re.MULTILINE)


class Refusing:
    """Refuses calls in which a line is bad, as InfluxDB does: the good ones are stored.

    Attributes:
        is_bad: decides on each line.
        calls: measurements and tenants of the lines of each call.
    """

    def __init__(self, influx: Influx) -> None:
        self._influx = influx
        self.is_bad: Callable[[str], bool] = lambda _line: False
        self.calls: list[set[tuple[str, str]]] = []

    def __call__(self, request: Request) -> Reply | None:
        if not request.path.startswith("/api/v2/write"):
            return None
        body = gzip.decompress(request.body)
        self.calls.append({(a.decode(), b.decode()) for a, b in KEY.findall(body)})
        lines = body.decode().split("\n")
        good = [line for line in lines if not self.is_bad(line)]
        if len(good) == len(lines):
            return None
        if good:
            self._influx.write("\n".join(good))
        return Reply(400, b'{"error":"partial write: field type conflict dropped=1"}')

    def refuse(self, text: str) -> None:
        """Refuse lines that a pattern is found in; empty: none any more."""
        pattern = re.compile(text)
        self.is_bad = lambda line: bool(text) and pattern.search(line) is not None


@pytest.fixture
def refusing(influx: Influx, faults: FaultProxy) -> Refusing:
    faults.rule = rule = Refusing(influx)
    return rule


@pytest.fixture
def relay(engine: sa.Engine, faults: FaultProxy, clock: HandClock) -> Relay:
    return make_relay(engine, Target(url=faults.url, timeout_seconds=5), clock)


def unshipped(engine: sa.Engine) -> Unshipped:
    with operator_session(engine) as session:
        return measure_unshipped(session)


def held(engine: sa.Engine) -> list[tuple[str, str, int]]:
    with operator_session(engine) as session:
        return [(each.tenant_id, each.measurement, each.failures) for each in list_holds(session)]


def test_refused_points_that_come_a_few_at_a_time_are_not_put_aside(
    engine: sa.Engine, refusing: Refusing, relay: Relay, clock: HandClock, book: Book
) -> None:
    refusing.refuse("^usage,")
    for n in range(4):
        book(sms(f"a{n}"), sms(f"b{n}"))
        relay.run()
        clock.move(HOUR)
    waits = unshipped(engine)
    assert (0, 8, [("acme", "usage", 4)]) == (waits.quarantined, waits.events, held(engine))


@pytest.mark.parametrize(
    ("measurement", "others"), [("usage", (None, 1, 1)), ("usage_cost", (1, None, 1)),
    ("usage_tenant_day", (1, 1, None))],
)  # fmt: skip
def test_what_is_refused_of_a_tenant_holds_up_nothing_else_of_it(  # noqa: PLR0917 - fixtures
    engine: sa.Engine,
    influx: Influx,
    refusing: Refusing,
    relay: Relay,
    book: Book,
    measurement: str,
    others: tuple[int | None, ...],
) -> None:
    refusing.refuse(f"^{measurement},")
    book(sms("a"))
    relay.run()
    waits = unshipped(engine)
    found = (tuple(map(influx.value, (EVENTS, COSTS, DAYS))), waits.quarantined, held(engine))
    assert (others, 0, [("acme", measurement, 1)]) == found


@pytest.mark.parametrize("measurement", ["usage", "usage_cost", "usage_tenant_day"])
def test_what_is_held_back_is_not_sent_before_its_time_and_the_rest_is_not_sent_again(
    refusing: Refusing, relay: Relay, book: Book, measurement: str
) -> None:
    refusing.refuse(f"^{measurement},")
    book(sms("a"))
    relay.run()
    refusing.calls.clear()
    relay.run()
    assert [] == refusing.calls


def test_what_is_held_back_waits_longer_each_time(
    engine: sa.Engine, refusing: Refusing, relay: Relay, clock: HandClock, book: Book
) -> None:
    refusing.refuse("^usage,")
    book(sms("a"))
    tried = []
    for second in range(60):
        refusing.calls.clear()
        relay.run()
        tried += [second] if refusing.calls else []
        clock.move(1)
    assert ([0, 1, 3, 7, 15, 31], 6) == (tried, held(engine)[0][2])


@pytest.mark.parametrize("measurement", ["usage", "usage_cost", "usage_tenant_day"])
def test_what_was_held_back_is_shipped_when_its_cause_is_gone(  # noqa: PLR0917 - fixtures
    engine: sa.Engine,
    target: Target,
    refusing: Refusing,
    relay: Relay,
    clock: HandClock,
    book: Book,
    measurement: str,
) -> None:
    refusing.refuse(f"^{measurement},")
    book(sms("a"))
    relay.run()
    book(sms("b"))
    relay.run()
    refusing.refuse("")
    clock.move(HOUR)
    relay.run()
    waits = unshipped(engine)
    assert ([], 0, []) == (held(engine), waits.points, differences(engine, target))


@pytest.mark.parametrize("call_points", [5000, 24])
def test_what_is_held_back_of_a_tenant_holds_up_no_other(  # noqa: PLR0917 - fixtures
    influx: Influx,
    refusing: Refusing,
    relay: Relay,
    book: Book,
    monkeypatch: pytest.MonkeyPatch,
    call_points: int,
) -> None:
    # Both tenants in one call, and each in its own.
    monkeypatch.setattr("collector.relay.job.CALL_POINTS", call_points)
    refusing.refuse("^usage,.*tenant=acme")
    book(*(sms(f"bad{n}") for n in range(25)))
    book(sms("k", tenant="karachi"))
    shipped = relay.run()
    found = ([f.tenant_id for f in shipped.failures], shipped.error, influx.value(EVENTS))
    assert (["acme"], None, 1) == found


def test_a_run_that_finds_something_held_back_tells_it(
    refusing: Refusing, relay: Relay, book: Book
) -> None:
    refusing.refuse("^usage,")
    book(sms("a"))
    told = [[f.reason for f in relay.run().failures] for _ in range(2)]
    reason = (
        "usage is held back: InfluxDB refuses more than 0 of 1 points, such as:"
        " partial write: field type conflict dropped=1"
    )
    assert [[reason], [reason]] == told


def few_bad(book: Book, refusing: Refusing, bad: int, good: int) -> None:
    """Book points of which some are refused: those of 7 in quantity."""
    refusing.refuse(r"^usage,.* .*\bquantity=7i")
    events = [sms(f"bad{n}", quantity=7) for n in range(bad)]
    book(*events, *(sms(f"good{n}", quantity=1) for n in range(good)))


def test_as_many_bad_points_as_are_looked_for_are_put_aside(  # noqa: PLR0917 - fixtures
    engine: sa.Engine,
    influx: Influx,
    refusing: Refusing,
    relay: Relay,
    book: Book,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collector.relay.cargo.MOST_REFUSALS", 6)
    few_bad(book, refusing, bad=6, good=16)
    relay.run()
    waits = unshipped(engine)
    assert (16, 6, 0, []) == (
        influx.value(EVENTS), waits.quarantined, waits.points, held(engine),
    )  # fmt: skip


@pytest.mark.parametrize(("bad", "good"), [(7, 16), (6, 5)])
def test_where_there_are_more_or_they_are_most_none_is_put_aside(  # noqa: PLR0917 - fixtures
    engine: sa.Engine,
    refusing: Refusing,
    relay: Relay,
    book: Book,
    monkeypatch: pytest.MonkeyPatch,
    bad: int,
    good: int,
) -> None:
    monkeypatch.setattr("collector.relay.cargo.MOST_REFUSALS", 6)
    few_bad(book, refusing, bad=bad, good=good)
    relay.run()
    assert (0, [("acme", "usage", 1)]) == (unshipped(engine).quarantined, held(engine))


def test_a_point_that_was_put_aside_arrives_when_its_cause_is_gone(  # noqa: PLR0917 - fixtures
    engine: sa.Engine,
    target: Target,
    refusing: Refusing,
    relay: Relay,
    clock: HandClock,
    book: Book,
) -> None:
    few_bad(book, refusing, bad=2, good=3)
    relay.run()
    refusing.refuse("")
    clock.move(60)
    shipped = relay.run()
    found = (shipped.points, unshipped(engine).quarantined, differences(engine, target))
    assert (2, 0, []) == found


def test_a_point_in_quarantine_is_tried_again_less_and_less_often(
    engine: sa.Engine, refusing: Refusing, relay: Relay, clock: HandClock, book: Book
) -> None:
    few_bad(book, refusing, bad=1, good=1)
    tried = []
    for minute in range(20):
        refusing.calls.clear()
        relay.run()
        tried += [minute] if refusing.calls else []
        clock.move(60)
    assert ([0, 1, 3, 7, 15], 1) == (tried, unshipped(engine).quarantined)


def test_a_run_tries_a_bounded_number_of_points_again(
    refusing: Refusing,
    relay: Relay,
    clock: HandClock,
    book: Book,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collector.relay.plan.MOST_RETRIES", 5)
    few_bad(book, refusing, bad=9, good=10)
    relay.run()
    clock.move(60)
    refusing.calls.clear()
    relay.run()
    assert 5 <= len(refusing.calls) <= 2 * 5


def test_a_figure_that_changed_while_its_point_was_in_quarantine_is_the_newer_one_after_all(  # noqa: PLR0917 - fixtures
    engine: sa.Engine,
    target: Target,
    refusing: Refusing,
    relay: Relay,
    clock: HandClock,
    book: Book,
) -> None:
    refusing.refuse(r"^usage_cost,channel=mms")
    book(sms("m", channel="mms"), sms("s"))
    relay.run()
    put_aside = unshipped(engine).quarantined
    refusing.refuse("")
    book(sms("m2", channel="mms"))
    clock.move(60)
    relay.run()
    assert (1, 0, []) == (put_aside, unshipped(engine).quarantined, differences(engine, target))


def test_a_point_that_another_relay_sent_meanwhile_is_not_sent_as_it_was_before(  # noqa: PLR0917 - fixtures
    engine: sa.Engine,
    target: Target,
    refusing: Refusing,
    relay: Relay,
    clock: HandClock,
    book: Book,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusing.refuse(r"^usage_cost,channel=mms")
    book(sms("m", channel="mms"), sms("s"))
    relay.run()
    refusing.refuse("")
    book(sms("m2", channel="mms"))
    clock.move(60)
    take, others = Keeper.take, [relay]

    def take_later(keeper: Keeper, tenant_id: TenantId) -> bool:
        while others:  # the other one is faster
            others.pop().run()
        return take(keeper, tenant_id)

    monkeypatch.setattr(Keeper, "take", take_later)
    make_relay(engine, target, clock).run()
    assert [] == differences(engine, target)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let calls be of three points, so that a batch of ten is shipped in parts."""
    for module in ("store", "reading", "job"):
        monkeypatch.setattr(f"collector.relay.{module}.CALL_POINTS", 3)


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("part", [0, 1, 2, 3])
def test_a_refused_part_of_a_large_batch_is_sent_again_where_later_ones_arrived(  # noqa: PLR0917 - fixtures
    engine: sa.Engine,
    target: Target,
    refusing: Refusing,
    relay: Relay,
    clock: HandClock,
    book: Book,
    part: int,
) -> None:
    # Each part of three, and the last of one, has its own quantity.
    refusing.refuse(rf"^usage,.* .*\bquantity={1 + part}i")
    book(*(sms(f"e{n}", quantity=1 + n // 3) for n in range(10)))
    relay.run()
    refusing.refuse("")
    clock.move(HOUR)
    while relay.run().points:
        pass
    with operator_session(engine) as session:
        left = session.connection.scalar(sa.select(sa.func.count()).select_from(unshipped_batches))
    assert (0, 0, []) == (left, unshipped(engine).quarantined, differences(engine, target))


def test_an_answer_that_is_a_success_and_none_of_influxdb_is_not_taken_for_one(
    engine: sa.Engine, faults: FaultProxy, relay: Relay, book: Book
) -> None:
    def answer(request: Request) -> Reply | None:
        is_write = request.path.startswith("/api/v2/write")
        return Reply(200, b"<html>Back soon</html>") if is_write else None

    book(sms("a"))
    faults.rule = answer
    shipped = relay.run()
    found: tuple[Any, ...] = (shipped.error is None, unshipped(engine).points)
    assert (False, 3) == found
