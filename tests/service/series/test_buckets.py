"""Buckets are made once, on 1.x for real; the paths of 2.x and 3.x against stand-ins of them."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
import sqlalchemy as sa

from collector.influx.buckets import Buckets, Flavour, Made, Server
from collector.influx.probe import probe_bucket
from collector.influx.query import Reader
from collector.influx.target import Target
from collector.influx.transport import Transport
from collector.influx.writer import Writer
from ledger.errors import ForbiddenError, InvalidError, MissingError, UnavailableError
from tests.builders import sms
from tests.conftest import Book
from tests.servers.influx import Influx
from tests.servers.influx_stand_in import ORG, TOKEN, InfluxThreeStandIn, InfluxTwoStandIn
from tests.service.series.conftest import make_relay

MONTH = timedelta(days=30)


@pytest.fixture
def two() -> Iterator[InfluxTwoStandIn]:
    with closing(InfluxTwoStandIn()) as server:
        yield server


@pytest.fixture
def three() -> Iterator[InfluxThreeStandIn]:
    with closing(InfluxThreeStandIn()) as server:
        yield server


def target_of(server: InfluxTwoStandIn, **changes: str) -> Target:
    return Target(**{"url": server.url, "token": TOKEN, "org": ORG, **changes})  # type: ignore[arg-type] # all of these are text


def buckets_of(target: Target) -> Buckets:
    return Buckets(target, Transport(target))


def test_the_version_that_debian_has_is_1(target: Target) -> None:
    server = buckets_of(target).find_server()
    assert ("1.6.7", Flavour.V1) == (server.version[:5], server.flavour)


def test_a_database_is_made_once(influx: Influx, target: Target) -> None:
    buckets = buckets_of(target)
    made = [buckets.ensure("fresh", Flavour.V1, None) for _ in range(2)]
    found = influx.query("SHOW DATABASES")[0]["values"]
    assert ([Made.CREATED, Made.UNCHANGED], True) == (made, ["fresh"] in found)


def test_a_database_gets_its_retention_and_another_one_later(target: Target) -> None:
    buckets = buckets_of(target)
    found = []
    for days in (30, 30, 60):
        made = buckets.ensure("raw", Flavour.V1, timedelta(days=days))
        found.append((made, buckets.read_retention("raw", Flavour.V1)))
    twice = timedelta(days=60)
    expected = [(Made.CREATED, MONTH), (Made.UNCHANGED, MONTH), (Made.CHANGED, twice)]
    assert expected == found


def test_a_database_without_retention_keeps_all(target: Target) -> None:
    assert buckets_of(target).read_retention("meterline", Flavour.V1) is None


def test_a_database_that_is_not_there_is_named(target: Target) -> None:
    with pytest.raises(MissingError, match="meterline influx setup"):
        buckets_of(target).read_retention("nowhere", Flavour.V1)


def test_a_name_that_needs_quotes_is_a_name(influx: Influx, target: Target) -> None:
    name = 'odd"name-with.dots'
    buckets_of(target).ensure(name, Flavour.V1, None)
    assert [name] in influx.query("SHOW DATABASES")[0]["values"]


def test_a_probe_finds_nothing_wrong_and_leaves_nothing(influx: Influx, target: Target) -> None:
    probe_bucket(Transport(target), target, "meterline")
    assert [] == influx.query("SHOW MEASUREMENTS")


def test_an_influxdb_before_1_8_is_told_by_the_path_it_lacks(influx: Influx) -> None:
    bare = Target(url=f"http://127.0.0.1:{influx.bare_port}")
    with pytest.raises(MissingError, match=r"older than 1\.8"):
        probe_bucket(Transport(bare), bare, "meterline")


@pytest.mark.parametrize("statement", ["SELECT", 'SELECT "x" FROM', "DROP"])
def test_a_statement_that_is_none_is_refused(target: Target, statement: str) -> None:
    with pytest.raises(InvalidError, match="refuses"):
        Reader(Transport(target)).run(statement, bucket="meterline")


def test_something_else_at_the_address_is_no_influxdb() -> None:
    with closing(InfluxTwoStandIn()) as server:
        server.url = server.url + "/elsewhere"
        with pytest.raises((MissingError, UnavailableError)):
            Reader(Transport(target_of(server))).run("SHOW MEASUREMENTS", bucket="meterline")


def test_the_kind_is_told_by_the_version(two: InfluxTwoStandIn, three: InfluxThreeStandIn) -> None:
    found = [buckets_of(target_of(each)).find_server() for each in (two, three)]
    assert [Server("v2.7.11", Flavour.V2), Server("3.0.1", Flavour.V3)] == found


def test_a_bucket_of_2_is_made_once(two: InfluxTwoStandIn) -> None:
    buckets = buckets_of(target_of(two))
    made = [buckets.ensure("meterline", Flavour.V2, None) for _ in range(2)]
    rules = two.buckets["meterline"]["retentionRules"]
    assert ([Made.CREATED, Made.UNCHANGED], []) == (made, rules)


def test_a_bucket_of_2_gets_its_retention_and_another_one_later(two: InfluxTwoStandIn) -> None:
    buckets = buckets_of(target_of(two))
    found = []
    for days in (30, 30, 60):
        made = buckets.ensure("raw", Flavour.V2, timedelta(days=days))
        found.append((made, buckets.read_retention("raw", Flavour.V2)))
    twice = timedelta(days=60)
    expected = [(Made.CREATED, MONTH), (Made.UNCHANGED, MONTH), (Made.CHANGED, twice)]
    assert expected == found


@pytest.mark.parametrize(("org", "error"), [("", InvalidError), ("other", MissingError)])
def test_a_bucket_of_2_needs_its_organisation(
    two: InfluxTwoStandIn, org: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        buckets_of(target_of(two, org=org)).ensure("meterline", Flavour.V2, None)


def test_a_database_of_3_is_made_by_writing(three: InfluxThreeStandIn) -> None:
    made = buckets_of(target_of(three)).ensure("meterline", Flavour.V3, None)
    assert (Made.IMPLICIT, {}) == (made, three.buckets)


@pytest.mark.parametrize("token", ["", "another"])
def test_a_wrong_token_is_told(two: InfluxTwoStandIn, token: str) -> None:
    target = target_of(two, token=token)
    with pytest.raises(ForbiddenError, match="refuses the token"):
        probe_bucket(Transport(target), target, "meterline")


def test_a_bucket_that_is_not_there_is_told(two: InfluxTwoStandIn) -> None:
    target = target_of(two)
    with pytest.raises(MissingError, match="meterline influx setup"):
        probe_bucket(Transport(target), target, "meterline")


def test_every_request_has_the_one_form_of_token_that_all_versions_take(
    engine: sa.Engine, two: InfluxTwoStandIn, book: Book
) -> None:
    target = target_of(two)
    buckets_of(target).ensure("meterline", Flavour.V2, None)
    book(sms("a"))
    make_relay(engine, target).run()
    probe_bucket(Transport(target), target, "meterline")
    assert {f"Token {TOKEN}"} == {each.headers.get("Authorization") for each in two.requests}


def test_reading_names_a_database_and_no_retention_policy(two: InfluxTwoStandIn) -> None:
    two.buckets["meterline"] = {}
    Reader(Transport(target_of(two))).run("SHOW MEASUREMENTS", bucket="meterline")
    path = two.requests[-1].path
    assert (True, False) == ("db=meterline" in path, "rp=" in path)


@pytest.mark.parametrize("kind", [InfluxTwoStandIn, InfluxThreeStandIn])
def test_usage_and_figures_go_to_2_and_3_as_lines(
    engine: sa.Engine, kind: type[InfluxTwoStandIn], book: Book
) -> None:
    book(sms("a"), sms("b"))
    with closing(kind()) as server:
        server.buckets["meterline"] = {"id": "b", "name": "meterline"}
        make_relay(engine, target_of(server)).run()
        measurements = sorted(line.split(",")[0] for line in server.lines["meterline"])
    assert ["usage", "usage", "usage_cost", "usage_tenant_day"] == measurements


def test_a_partial_write_of_2_puts_the_bad_line_aside(
    engine: sa.Engine, two: InfluxTwoStandIn, book: Book
) -> None:
    two.buckets["meterline"] = {"id": "b", "name": "meterline"}
    book(sms("a"), sms("b", feature="poison"), sms("c"))
    shipped = make_relay(engine, target_of(two)).run()
    usage = {line for line in two.lines["meterline"] if line.startswith("usage,")}
    assert (2, 2) == (shipped.refused, len(usage))


def test_a_write_into_a_bucket_that_is_not_there_is_told(two: InfluxTwoStandIn) -> None:
    with closing(Writer(target_of(two))) as writer, pytest.raises(MissingError, match="setup"):
        writer.write("nowhere", b"usage quantity=1i 1")
