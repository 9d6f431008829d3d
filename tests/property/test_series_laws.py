"""Laws of series: whenever what is shipped, and how often, the same points are there in the end."""

from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.influx.target import Target
from collector.influx.writer import Writer
from collector.relay.job import Relay
from collector.relay.resend import EVER, make_due
from costing.job import Costing
from costing.pricing.flat import FlatMap
from ledger.session import operator_session
from ledger.tenants import list_tenants
from tests.builders import NOW
from tests.property.ledgers import Event, Ledger, Ledgers
from tests.property.test_costing_laws import pieces, price_books, zones
from tests.servers.influx_stand_in import ORG, TOKEN, InfluxTwoStandIn

LAW = settings(max_examples=10)

Points = dict[str, str]
"""Fields by measurement, tags and time, of which InfluxDB keeps the last that came."""


class Step(NamedTuple):
    """A batch, and what is done after it was booked."""

    batch: list[Event]
    book: FlatMap
    is_costed: bool
    is_shipped: bool


histories = pieces.flatmap(
    lambda batches: st.tuples(
        *(
            st.builds(Step, st.just(batch), price_books, st.booleans(), st.booleans())
            for batch in batches
        )
    )
)


class Series:
    """The lines that a stand-in for InfluxDB was sent, and a relay to it."""

    def __init__(self, server: InfluxTwoStandIn, ledger: Ledger) -> None:
        target = Target(url=server.url, token=TOKEN, org=ORG)
        server.lines.clear()
        self._server = server
        self._ledger = ledger
        self._relay = Relay(ledger.engine, target, writer=Writer(target), clock=lambda: NOW)

    def ship(self) -> None:
        shipped = self._relay.run()
        assert (None, []) == (shipped.error, shipped.failures)

    def send_again(self) -> None:
        with operator_session(self._ledger.engine) as session:
            tenants = list_tenants(session)
        for tenant in tenants:
            for _date in make_due(self._ledger.engine, tenant, EVER, now=NOW):
                pass
        self.ship()

    def points(self) -> Points:
        kept: Points = {}
        for line in self._server.lines.get("meterline", []):
            head, fields, stamp = line.rsplit(" ", 2)
            kept[f"{head} {stamp}"] = fields
        return kept


@pytest.fixture(scope="module")
def server() -> Iterator[InfluxTwoStandIn]:
    with closing(InfluxTwoStandIn()) as server:
        server.buckets["meterline"] = {"id": "b", "name": "meterline"}
        yield server


def live(ledger: Ledger, series: Series, history: tuple[Step, ...], *, ships: bool) -> None:
    """Let a history happen, shipping at its points or only at the end."""
    book = history[0].book
    for step in history:
        ledger.book(step.batch)
        if step.is_costed:
            Costing(ledger.engine, step.book, ships=True).run(clock=lambda: NOW)
        if step.is_shipped and ships:
            series.ship()
    Costing(ledger.engine, book, ships=True).run(clock=lambda: NOW)
    series.ship()


@given(history=histories, zone=zones)
@LAW
def test_shipping_at_any_points_of_a_history_leaves_the_same_series(
    ledgers: Ledgers, server: InfluxTwoStandIn, history: tuple[Step, ...], zone: str
) -> None:
    with ledgers.open(zone) as ledger:
        series = Series(server, ledger)
        live(ledger, series, history, ships=False)
        expected = series.points()
    with ledgers.open(zone) as ledger:
        series = Series(server, ledger)
        live(ledger, series, history, ships=True)
        assert expected == series.points()


@given(history=histories)
@LAW
def test_sending_everything_again_makes_no_other_point(
    ledgers: Ledgers, server: InfluxTwoStandIn, history: tuple[Step, ...]
) -> None:
    with ledgers.open() as ledger:
        series = Series(server, ledger)
        live(ledger, series, history, ships=True)
        before = series.points()
        series.send_again()
        assert before == series.points()


@given(history=histories)
@LAW
def test_the_series_of_a_ledger_are_those_that_are_sent_anew(
    ledgers: Ledgers, server: InfluxTwoStandIn, history: tuple[Step, ...]
) -> None:
    with ledgers.open() as ledger:
        series = Series(server, ledger)
        live(ledger, series, history, ships=True)
        before = series.points()
        server.lines.clear()
        series.send_again()
        assert before == series.points()
