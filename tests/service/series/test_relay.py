"""What is shipped, once or often: points that repeat themselves, and all that is due."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from collector.events import Rules
from collector.influx.target import Target
from collector.intake import Intake
from collector.relay import store
from costing.job import Costing
from costing.pricing.flat import FlatMap, load_flat_map
from costing.retention import Retention
from ledger.models import unshipped_batches
from ledger.session import operator_session
from ledger.shipping import Unshipped, measure_unshipped
from ledger.tenants import change_tenant
from tests.builders import NOW, ai, sms
from tests.conftest import Book
from tests.costed import ACME, tamper
from tests.costed import book as book_only
from tests.facts import Facts, fact
from tests.servers.influx import Influx
from tests.service.series.conftest import Ship, make_relay

MONDAY = "2026-03-09T12:00:00Z"
COST_NANOS = 'SELECT sum("cost_nanos") FROM "usage_cost"'
EVENTS = 'SELECT count("quantity") FROM "usage"'
FIELDS = "SHOW FIELD KEYS"


def points(influx: Influx, measurement: str, *, db: str = "meterline") -> list[dict[str, Any]]:
    series = influx.query(f'SELECT * FROM "{measurement}"', db=db)
    return [dict(zip(one["columns"], row, strict=True)) for one in series for row in one["values"]]


def unshipped(engine: sa.Engine) -> Unshipped:
    with operator_session(engine) as session:
        return measure_unshipped(session)


def count(engine: sa.Engine, table: sa.Table) -> int:
    with operator_session(engine) as session:
        return session.connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_an_event_is_a_point_at_its_second_and_booking_number(
    influx: Influx, book: Book, ship: Ship
) -> None:
    book(ai("a", time="2026-03-09T12:00:00.987Z"))
    ship()
    (found,) = points(influx, "usage")
    expected = {
        "time": int(datetime(2026, 3, 9, 12, tzinfo=UTC).timestamp()) * 10**9 + 2,
        "tenant": "acme", "channel": "ai", "direction": "outbound", "source": "openai",
        "feature": "ai_sms", "model": "house-llm", "price_class": "standard", "count": 1,
        "quantity": 1500, "input_tokens": 1000, "output_tokens": 500, "cached_input_tokens": 0,
        "cache_write_tokens": 0, "audio_in_tokens": 0, "audio_out_tokens": 0,
        "image_in_tokens": 0, "image_out_tokens": 0, "audio_ms": 0,
    }  # fmt: skip
    assert expected == found


def test_a_correction_is_points_that_add_up_to_what_is_left(  # noqa: PLR0917 - fixtures
    engine: sa.Engine, rules: Rules, influx: Influx, book: Book, costing: Costing, ship: Ship
) -> None:
    book(sms(quantity=3))
    ship()
    Facts(engine, rules).book(ACME, [fact(quantity=2)], now=NOW)
    costing.run(clock=lambda: NOW)
    ship()
    summed = influx.query('SELECT sum("count"), sum("quantity") FROM "usage"')[0]["values"][0][1:]
    assert ([-1, 1, 1], [1, 2]) == (sorted(p["count"] for p in points(influx, "usage")), summed)


def test_a_rollup_row_is_a_point_at_the_start_of_the_tenants_day(
    influx: Influx, book: Book, ship: Ship
) -> None:
    book(ai("a", tenant="karachi"), ai("b", tenant="karachi"))
    ship()
    (found,) = points(influx, "usage_cost")
    figures = ("time", "count", "quantity", "cost", "cost_nanos", "unpriced", "plan")
    start = int(datetime(2026, 3, 8, 19, tzinfo=UTC).timestamp()) * 10**9
    expected = (start, 2, 3000, 0.01, 10_000_000, 0, "unassigned")
    assert expected == tuple(found[name] for name in figures)


def test_a_tenants_day_has_its_name_plan_and_shares(influx: Influx, book: Book, ship: Ship) -> None:
    mail = {"channel": "email", "source": "sendgrid", "quantity": 7}
    book(sms("s"), ai("a"), sms("m", **mail), sms("in", direction="inbound", **mail))
    ship()
    (found,) = points(influx, "usage_tenant_day")
    expected = {
        "time": int(datetime(2026, 3, 9, tzinfo=UTC).timestamp()) * 10**9,
        "tenant": "acme", "plan": "Pro", "name": "Acme", "cost": 0.01635, "ai_cost": 0.005,
        "twilio_cost": 0.0089, "emails": 7, "unpriced": 1, "ai_unpriced": 0, "twilio_unpriced": 0,
    }  # fmt: skip
    assert expected == found


def test_a_tenants_day_tells_which_of_its_shares_are_not_known(
    influx: Influx, intake: Intake, engine: sa.Engine, ship: Ship
) -> None:
    book_only(intake, ai("a"), sms("in", channel="email", direction="inbound"), sms("s"))
    Costing(engine, load_flat_map(ai_flat_fallback=False), ships=True).run(clock=lambda: NOW)
    ship()
    (found,) = points(influx, "usage_tenant_day")
    names = ("unpriced", "ai_unpriced", "twilio_unpriced")
    assert (2, 1, 1) == tuple(found[name] for name in names)


def test_what_has_no_price_costs_nothing_and_says_so(
    influx: Influx, book: Book, ship: Ship
) -> None:
    book(sms("in", channel="email", direction="inbound"))
    ship()
    (found,) = points(influx, "usage_cost")
    assert (0, 0, 1) == (found["cost"], found["cost_nanos"], found["unpriced"])


def test_what_is_not_known_of_usage_is_no_tag(influx: Influx, book: Book, ship: Ship) -> None:
    book(sms("a", source=..., feature=...))
    ship()
    (found,) = points(influx, "usage_cost")
    assert {"channel", "direction", "plan", "price_class", "tenant"} == {
        name for name, value in found.items() if isinstance(value, str)
    }


def test_every_field_of_a_measurement_has_one_type(influx: Influx, book: Book, ship: Ship) -> None:
    book(sms("a"), ai("b"))
    ship()
    series = influx.query('SHOW FIELD KEYS FROM "usage_cost"')
    types = {name: kind for name, kind in series[0]["values"] if kind != "integer"}
    assert {"cost": "float"} == types


def test_what_was_shipped_is_due_no_more(engine: sa.Engine, book: Book, ship: Ship) -> None:
    book(sms("a"), ai("b"))
    assert (5, 0, Unshipped(0, None, 0, 0, 0, 0, 0)) == (ship(), ship(), unshipped(engine))


def test_shipping_everything_twice_changes_nothing(
    engine: sa.Engine, influx: Influx, book: Book, ship: Ship
) -> None:
    book(sms("a"), ai("b"), ai("c", tenant="karachi"))
    ship()
    measurements = ("usage", "usage_cost", "usage_tenant_day")
    before = [points(influx, name) for name in measurements]
    tamper(engine, "UPDATE usage_rollups_daily SET shipped_revision = 0")
    tamper(engine, "UPDATE usage_tenant_days SET shipped_revision = 0, rows_shipped_revision = 0")
    tamper(
        engine,
        "INSERT INTO unshipped_batches (tenant_id, batch_id, event_count, booked_at)"
        " SELECT tenant_id, batch_id, count(*), max(time) FROM usage_metrics"
        " GROUP BY tenant_id, batch_id",
    )
    again = ship()
    assert (8, before) == (again, [points(influx, name) for name in measurements])


def test_two_events_of_one_second_are_two_points(influx: Influx, book: Book, ship: Ship) -> None:
    book(sms("a"), sms("b"), sms("c"))
    ship()
    assert 3 == influx.value(EVENTS)


def test_usage_that_comes_later_takes_the_place_of_the_figures_before(
    influx: Influx, book: Book, ship: Ship
) -> None:
    book(sms("a"))
    ship()
    book(sms("b"))
    ship()
    assert ([17_800_000], 2) == (
        [point["cost_nanos"] for point in points(influx, "usage_cost")],
        influx.value(EVENTS),
    )


def test_only_rows_that_changed_are_sent_again(book: Book, ship: Ship) -> None:
    book(sms("a"), ai("b"), sms("old", time="2026-03-08T12:00:00Z"))
    first = ship()
    book(ai("c"))
    assert (8, 3) == (first, ship())


def test_a_day_has_the_sums_of_all_its_rows_also_of_those_that_did_not_change(
    influx: Influx, book: Book, ship: Ship
) -> None:
    book(sms("a"))
    ship()
    book(ai("b"))
    ship()
    (found,) = points(influx, "usage_tenant_day")
    expected = (0.0139, 0.005, 0.0089)
    assert expected == tuple(found[name] for name in ("cost", "ai_cost", "twilio_cost"))


def test_a_row_that_falls_to_zero_is_sent_as_zero(
    engine: sa.Engine, influx: Influx, book: Book, ship: Ship, costing: Costing
) -> None:
    book(sms("a"))
    ship()
    tamper(engine, "DELETE FROM usage_metrics")
    costing.rebuild(clock=lambda: NOW)
    ship()
    (found,) = points(influx, "usage_cost")
    day = points(influx, "usage_tenant_day")[0]
    assert (0, 0, 0.0) == (found["count"], found["cost_nanos"], day["cost"])


def test_another_plan_makes_no_second_point_of_a_day(
    engine: sa.Engine, influx: Influx, book: Book, ship: Ship
) -> None:
    book(sms("a"))
    ship()
    with operator_session(engine, write=True) as session:
        change_tenant(session, ACME, plan="Elite", now=NOW)
    book(sms("b"))
    ship()
    plans = [[p["plan"] for p in points(influx, m)] for m in ("usage_cost", "usage_tenant_day")]
    assert [["Pro"], ["Pro"]] == plans


def test_a_day_that_had_usage_before_it_began_keeps_the_plan_that_it_was_booked_with(
    engine: sa.Engine, influx: Influx, intake: Intake, costing: Costing, ship: Ship
) -> None:
    tamper(engine, "UPDATE tenant_periods SET timezone = 'Etc/GMT-12'")  # its next day is at noon
    before = NOW - timedelta(minutes=2)
    intake.book([sms("early", time="2026-03-10T12:01:00Z")], only_tenant=None, now=before)
    costing.run(clock=lambda: before)
    ship()
    with operator_session(engine, write=True) as session:
        change_tenant(session, ACME, plan="Elite", now=NOW - timedelta(minutes=1))
    book_only(intake, sms("late", time="2026-03-10T12:02:00Z"))
    costing.run(clock=lambda: NOW)
    ship()
    plans = [[p["plan"] for p in points(influx, m)] for m in ("usage_cost", "usage_tenant_day")]
    assert [["Pro"], ["Pro"]] == plans


def test_a_day_after_a_change_of_plan_has_the_new_one(
    engine: sa.Engine, influx: Influx, book: Book, ship: Ship
) -> None:
    with operator_session(engine, write=True) as session:
        change_tenant(session, ACME, plan="Elite", now=datetime(2026, 3, 9, 5, tzinfo=UTC))
    book(sms("a"), sms("b", time="2026-03-10T11:00:00Z"))
    ship()
    found = [point["plan"] for point in points(influx, "usage_tenant_day")]
    assert ["Pro", "Elite"] == found


def test_another_name_is_on_all_days(
    engine: sa.Engine, influx: Influx, book: Book, ship: Ship
) -> None:
    book(sms("a"), sms("b", time="2026-03-01T11:00:00Z"))
    ship()
    with operator_session(engine, write=True) as session:
        change_tenant(session, ACME, name='Acme "&" Söhne \\ Co', now=NOW)
    sent = ship()
    names = {point["name"] for point in points(influx, "usage_tenant_day")}
    assert (2, {'Acme "&" Söhne \\ Co'}) == (sent, names)


def test_usage_that_waits_for_costing_is_not_shipped(
    influx: Influx, intake: Intake, ship: Ship
) -> None:
    book_only(intake, sms("a"))
    assert (0, None) == (ship(), influx.value(EVENTS))


def test_where_no_influxdb_is_configured_nothing_accumulates(
    engine: sa.Engine, intake: Intake, prices: FlatMap
) -> None:
    book_only(intake, sms("a"))
    Costing(engine, prices).run(clock=lambda: NOW)
    assert 0 == count(engine, unshipped_batches)


def test_usage_of_two_buckets_is_in_two_databases(
    engine: sa.Engine, influx: Influx, book: Book
) -> None:
    influx.query('CREATE DATABASE "raw"')
    book(sms("a"))
    make_relay(engine, Target(url=influx.url, usage_bucket="raw")).run()
    found = (influx.value(EVENTS, db="raw"), influx.value(EVENTS), influx.value(COST_NANOS))
    assert (1, None, 8_900_000) == found


def test_points_that_are_older_than_their_bucket_keeps_any_are_counted_and_not_sent(
    engine: sa.Engine, influx: Influx, book: Book
) -> None:
    influx.query('CREATE DATABASE "raw" WITH DURATION 30d')
    book(sms("a"))
    shipped = make_relay(engine, Target(url=influx.url, usage_bucket="raw")).run()
    waits = unshipped(engine)
    assert (1, 2, 1, 0) == (shipped.expired, shipped.points, waits.expired, waits.events)


def test_a_batch_of_more_events_than_one_call_takes_goes_out_in_parts(
    engine: sa.Engine, influx: Influx, book: Book, ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "CALL_POINTS", 3)
    monkeypatch.setattr("collector.relay.reading.CALL_POINTS", 3)
    book(*(sms(f"e{n}") for n in range(10)))
    ship()
    assert (10, 0) == (influx.value(EVENTS), count(engine, unshipped_batches))


def test_retention_leaves_usage_that_waits_to_be_shipped(
    engine: sa.Engine, book: Book, ship: Ship
) -> None:
    book(sms("a", time="2026-01-05T12:00:00Z"))

    def due() -> int:
        retention = Retention(engine, days=30)
        return sum(each.rows for each in retention.find_due(now=NOW))

    before = due()
    ship()
    assert (0, 1) == (before, due())


def test_a_tenant_whose_rows_were_damaged_holds_up_no_other(
    engine: sa.Engine, influx: Influx, book: Book
) -> None:
    book(sms("a"), sms("k", tenant="karachi"))
    tamper(engine, "UPDATE usage_rollups_daily SET state = 'odd' WHERE tenant_id = 'acme'")
    shipped = make_relay(engine, Target(url=influx.url)).run()
    found = ([f.tenant_id for f in shipped.failures], influx.value(EVENTS))
    assert (["acme"], 1) == found


def test_history_is_not_sent_again_with_what_is_new(book: Book, ship: Ship) -> None:
    book(*(sms(f"old{n}", time=f"2026-03-0{1 + n}T12:00:00Z") for n in range(5)))
    ship()
    book(sms("new"))
    assert 3 == ship()


def test_a_tenant_with_much_to_ship_takes_its_turn(
    engine: sa.Engine, influx: Influx, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.relay.job._MOST_PARCELS", 2)
    monkeypatch.setattr("collector.relay.reading.CALL_POINTS", 2)
    for n in range(6):
        book(sms(f"a{n}"), sms(f"b{n}"))
    book(sms("k", tenant="karachi"))
    relay = make_relay(engine, Target(url=influx.url))
    relay.run()
    first = {one["tags"]["tenant"]: one["values"][0][1] for one in by_tenant(influx)}
    while relay.run().points:
        pass
    assert ({"acme": 2, "karachi": 1}, 13) == (first, influx.value(EVENTS))


def by_tenant(influx: Influx) -> list[dict[str, Any]]:
    return influx.query(f'{EVENTS} GROUP BY "tenant"')
