"""What the reports say of usage that came through the real intake and the real costing."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.job import Costing
from costing.pricing.flat import FlatMap, build_flat_map, load_flat_map
from costing.reports.features import features
from costing.reports.figures import NOTHING, Figures
from costing.reports.series import MAX_SERIES_DAYS, SeriesPoint, series
from costing.reports.summary import Summary, summary
from ledger.errors import InvalidError, MissingError
from ledger.models import metadata, usage_rollups_daily
from ledger.period import LAST_DATE, DateRange
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from ledger.tenants import get_own_tenant
from tests.builders import NOW, ai, sms
from tests.conftest import Book
from tests.statements import plan_steps, statements

ACME, KARACHI = TenantId("acme"), TenantId("karachi")
MARCH = DateRange.inclusive(date(2026, 3, 1), date(2026, 3, 10))
DAY = date(2026, 3, 9)
INBOUND_EMAIL = {"channel": "email", "direction": "inbound", "source": "sendgrid"}

ROLLUPS = usage_rollups_daily.name
SMS_COST, AI_COST, MMS_COST = 8_900_000, 5_000_000, 20_000_000


def summarise(engine: sa.Engine, dates: DateRange = MARCH, tenant: TenantId = ACME) -> Summary:
    with tenant_session(engine, tenant) as session:
        return summary(session, dates)


def figures(count: int, cost: int | None, unpriced: int = 0, flat_rated: int = 0) -> Figures:
    return Figures(
        count=count,
        estimated_cost=cost,  # type: ignore[arg-type] # whole nano-dollars
        has_unpriced=unpriced != 0,
        unpriced_count=unpriced,
        flat_rated_count=flat_rated,
    )


def points(engine: sa.Engine, dates: DateRange = MARCH) -> tuple[SeriesPoint, ...]:
    with tenant_session(engine, ACME) as session:
        return series(session, dates)


def feature_rows(engine: sa.Engine) -> list[tuple[Any, ...]]:
    with tenant_session(engine, ACME) as session:
        rows = features(session, MARCH)
    return [(row.feature, row.channel, row.source, row.figures) for row in rows]


def feature_names(engine: sa.Engine) -> list[str | None]:
    return [name for name, *_ in feature_rows(engine)]


def even_book() -> FlatMap:
    """Rates at which one usage of any of these channels costs the same."""
    rates = {name: {"outbound": "0.01"} for name in ("sms", "mms", "voice")}
    return build_flat_map({"name": "even", "currency": "USD", "rates": rates})


def test_the_total_is_what_all_usage_comes_to(engine: sa.Engine, book: Book) -> None:
    book(sms("a"), sms("b"), ai("c"))
    assert figures(3, 2 * SMS_COST + AI_COST, flat_rated=1) == summarise(engine).total


def test_unpriced_usage_is_counted_and_adds_nothing_to_the_cost(
    engine: sa.Engine, book: Book
) -> None:
    book(sms("a"), sms("b", **INBOUND_EMAIL))
    assert figures(2, SMS_COST, unpriced=1) == summarise(engine).total


def test_where_nothing_is_priced_the_total_is_not_known(engine: sa.Engine, book: Book) -> None:
    book(sms("a", **INBOUND_EMAIL))
    assert figures(1, None, unpriced=1) == summarise(engine).total


def test_a_tenant_without_usage_spent_nothing(engine: sa.Engine) -> None:
    assert NOTHING == summarise(engine).total


@pytest.mark.parametrize(("days", "count"), [((8, 8), 0), ((9, 9), 1), ((8, 9), 1), ((10, 10), 0)])
def test_a_range_has_both_its_dates_and_no_other(
    engine: sa.Engine, book: Book, days: tuple[int, int], count: int
) -> None:
    book(sms("a"))
    first, last = (date(2026, 3, day) for day in days)
    assert count == summarise(engine, DateRange.inclusive(first, last)).total.count


def test_ai_usage_at_the_flat_rate_is_counted(engine: sa.Engine, book: Book) -> None:
    book(ai("a"), ai("b"), sms("c"))
    found = summarise(engine)
    assert (2, True) == (found.total.flat_rated_count, found.has_flat_rated_ai)


def test_usage_other_than_ai_is_not_marked_as_flat_rated(engine: sa.Engine, book: Book) -> None:
    book(sms("a"))
    assert not summarise(engine).has_flat_rated_ai


def test_unpriced_ai_usage_is_not_marked_as_flat_rated(engine: sa.Engine, book: Book) -> None:
    book(ai("a"), job=Costing(engine, load_flat_map(ai_flat_fallback=False)))
    assert not summarise(engine).has_flat_rated_ai


def test_the_top_channel_is_the_one_that_cost_most(engine: sa.Engine, book: Book) -> None:
    book(sms("a"), sms("b"), ai("c"), sms("d", channel="mms"))
    top = summarise(engine).top_channel
    assert top is not None
    assert ("mms", MMS_COST) == (top.name, top.estimated_cost)


def test_of_channels_that_cost_the_same_the_first_of_the_catalogue_is_on_top(
    engine: sa.Engine, book: Book
) -> None:
    book(sms("a", channel="voice"), sms("b", channel="mms"), job=Costing(engine, even_book()))
    top = summarise(engine).top_channel
    assert top is not None
    assert "mms" == top.name


def test_the_top_feature_is_the_dearest_over_all_its_channels(
    engine: sa.Engine, book: Book
) -> None:
    book(
        sms("a", channel="mms", feature="ivr"),
        sms("b", feature="broadcast"),
        sms("c", channel="mms", feature="broadcast"),
    )
    top = summarise(engine).top_feature
    assert top is not None
    assert ("broadcast", SMS_COST + MMS_COST) == (top.name, top.estimated_cost)


def test_of_features_that_cost_the_same_the_first_by_name_is_on_top(
    engine: sa.Engine, book: Book
) -> None:
    zeta, alpha = sms("a", feature="zeta", channel="mms"), sms("b", feature="alpha")
    book(zeta, alpha, job=Costing(engine, even_book()))
    top = summarise(engine).top_feature
    assert top is not None
    assert "alpha" == top.name


def test_usage_without_a_feature_is_no_top_feature(engine: sa.Engine, book: Book) -> None:
    book(sms("a", feature=...))
    assert None is summarise(engine).top_feature


@pytest.mark.parametrize("event", [sms("a", **INBOUND_EMAIL), sms("a", quantity=0)])
def test_where_nothing_was_spent_nothing_is_on_top(
    engine: sa.Engine, book: Book, event: dict[str, Any]
) -> None:
    book(event)
    found = summarise(engine)
    assert (None, None) == (found.top_channel, found.top_feature)


def test_every_channel_has_its_row_in_the_order_of_the_catalogue(engine: sa.Engine) -> None:
    titles = [row.title for row in summarise(engine).channels]
    assert ["SMS", "MMS", "Voice", "Email", "AI"] == titles


def test_a_channel_that_only_old_rows_have_comes_last(engine: sa.Engine, book: Book) -> None:
    book(sms("a"))
    with operator_session(engine, write=True) as session:
        session.connection.execute(sa.update(usage_rollups_daily).values(channel="fax"))
    row = summarise(engine).channels[-1]
    assert ("fax", "fax", SMS_COST) == (row.channel, row.title, row.figures.estimated_cost)


def test_the_cost_of_a_channel_without_any_price_is_not_known(
    engine: sa.Engine, book: Book
) -> None:
    book(sms("a"), sms("b", **INBOUND_EMAIL))
    row = summarise(engine).channels[3]
    assert (figures(1, None, unpriced=1), None, None) == (row.figures, row.share, row.percent)


def test_a_channel_that_is_priced_in_part_costs_what_is_priced(
    engine: sa.Engine, book: Book
) -> None:
    book(sms("a", channel="email", source="sendgrid"), sms("b", **INBOUND_EMAIL))
    assert figures(2, 350_000, unpriced=1) == summarise(engine).channels[3].figures


def test_a_share_is_exact(engine: sa.Engine, book: Book) -> None:
    book(sms("a"), ai("b"))
    assert Fraction(89, 139) == summarise(engine).channels[0].share


def test_percentages_are_made_up_to_100_from_the_first_row_on(
    engine: sa.Engine, book: Book
) -> None:
    events = [sms(name, channel=name) for name in ("sms", "mms", "voice")]
    book(*events, job=Costing(engine, even_book()))
    shown = [str(row.percent) for row in summarise(engine).channels]
    assert ["33.4", "33.3", "33.3", "0.0", "0.0"] == shown


def test_where_nothing_was_spent_every_percentage_is_zero(engine: sa.Engine) -> None:
    assert [Decimal("0.0")] * 5 == [row.percent for row in summarise(engine).channels]


def test_freshness_says_when_the_tenant_was_costed_and_what_waits(
    engine: sa.Engine, intake: Intake, book: Book
) -> None:
    book(sms("a"))
    intake.book([sms("b"), sms("c")], only_tenant=None, now=NOW)
    fresh = summarise(engine).freshness
    assert (NOW, 2) == (fresh.costed_at, fresh.pending_events)


def test_what_waits_is_the_tenants_own(engine: sa.Engine, intake: Intake) -> None:
    intake.book([sms("a"), sms("b", tenant="karachi")], only_tenant=None, now=NOW)
    assert 1 == summarise(engine).freshness.pending_events


def test_a_tenant_that_was_never_costed_says_so(engine: sa.Engine, book: Book) -> None:
    book(sms("a", tenant="karachi"))
    assert None is summarise(engine).freshness.costed_at


def test_a_series_has_every_channel_on_every_date(engine: sa.Engine) -> None:
    names = ("sms", "mms", "voice", "email", "ai")
    expected = [(day, name) for day in MARCH for name in names]
    assert expected == [(point.date, point.channel) for point in points(engine)]


def test_a_series_has_the_figures_of_each_date_and_channel(engine: sa.Engine, book: Book) -> None:
    book(sms("a"), sms("b", feature="ivr"), sms("c", **INBOUND_EMAIL, time="2026-03-08T09:00Z"))
    used = {(p.date, p.channel): p.figures for p in points(engine) if p.figures != NOTHING}
    expected = {
        (DAY, "sms"): figures(2, 2 * SMS_COST),
        (date(2026, 3, 8), "email"): figures(1, None, unpriced=1),
    }
    assert expected == used


def test_days_are_those_of_the_tenants_zone(engine: sa.Engine, book: Book) -> None:
    book(sms("a", tenant="karachi", time="2026-03-08T19:00:00Z"))
    with tenant_session(engine, KARACHI) as session:
        days = [p.date for p in series(session, MARCH) if p.figures != NOTHING]
    assert [DAY] == days


def test_a_series_of_the_most_days_is_given(engine: sa.Engine) -> None:
    dates = DateRange(start=DAY, end=DAY + timedelta(days=MAX_SERIES_DAYS))
    assert 5 * MAX_SERIES_DAYS == len(points(engine, dates))


def test_a_series_of_more_days_is_refused(engine: sa.Engine) -> None:
    with pytest.raises(InvalidError) as refused:
        points(engine, DateRange(start=DAY, end=DAY + timedelta(days=MAX_SERIES_DAYS + 1)))
    assert "long_range" == refused.value.code


def test_features_are_told_apart_by_channel_and_source(engine: sa.Engine, book: Book) -> None:
    book(
        sms("a", feature="ivr"),
        sms("b", feature="ivr", source=...),
        sms("c", feature="ivr", channel="mms"),
        sms("d", feature="ivr", time="2026-03-08T12:00:00Z", direction="inbound"),
    )
    expected = [
        ("ivr", "mms", "twilio", figures(1, MMS_COST)),
        ("ivr", "sms", "twilio", figures(2, SMS_COST + 7_900_000)),
        ("ivr", "sms", None, figures(1, SMS_COST)),
    ]
    assert expected == feature_rows(engine)


def test_features_are_ordered_by_cost_then_name_and_those_of_unknown_cost_come_last(
    engine: sa.Engine, book: Book
) -> None:
    book(
        sms("a", feature="cheap", channel="email"),
        sms("b", feature="zeta"),
        sms("c", feature=...),
        sms("d", feature="alpha"),
        sms("e", feature="aaa", **INBOUND_EMAIL),
        sms("f", feature="free", quantity=0),
        sms("g", feature="dear", channel="mms"),
    )
    expected = ["dear", "alpha", "zeta", None, "cheap", "free", "aaa"]
    assert expected == feature_names(engine)


def test_rows_of_a_feature_that_cost_the_same_are_in_order_of_channel_then_source(
    engine: sa.Engine, book: Book
) -> None:
    events = [sms("a", channel="mms"), sms("b", source=...), sms("c"), sms("d", source="internal")]
    book(*events, job=Costing(engine, even_book()))
    found = [(channel, source) for _, channel, source, _ in feature_rows(engine)]
    assert [("sms", "internal"), ("sms", "twilio"), ("sms", None), ("mms", "twilio")] == found


def test_a_feature_that_is_unpriced_in_part_says_how_much(engine: sa.Engine, book: Book) -> None:
    mail = {"feature": "portal_email", "source": "sendgrid"}
    book(sms("a", channel="email", **mail), sms("b", **{**INBOUND_EMAIL, **mail}))
    assert [("portal_email", "email", "sendgrid", figures(2, 350_000, 1))] == feature_rows(engine)


def test_a_feature_whose_usage_was_taken_back_has_no_row(engine: sa.Engine, book: Book) -> None:
    book(sms("a"))
    with operator_session(engine, write=True) as session:
        rows = sa.update(usage_rollups_daily).values(count=0, estimated_cost=0)
        session.connection.execute(rows)
    assert [] == feature_rows(engine)


def all_of(engine: sa.Engine) -> tuple[Any, ...]:
    with tenant_session(engine, ACME) as session:
        return summary(session, MARCH), series(session, MARCH), features(session, MARCH)


def test_reports_show_no_usage_of_another_tenant(engine: sa.Engine, book: Book) -> None:
    before = all_of(engine)
    book(sms("a", tenant="karachi"), ai("b", tenant="karachi"))
    assert before == all_of(engine)


def test_reports_are_the_same_without_the_raw_usage(engine: sa.Engine, book: Book) -> None:
    book(sms("a"), ai("b"), sms("c", **INBOUND_EMAIL))
    before = all_of(engine)
    with operator_session(engine, write=True) as session:
        session.connection.execute(sa.delete(metadata.tables["usage_metrics"]))
    assert before == all_of(engine)


@pytest.mark.ledger("sqlite")
def test_no_report_of_a_tenant_scans_the_rollups(engine: sa.Engine) -> None:
    with statements(engine, naming=ROLLUPS) as sent:
        all_of(engine)
    found = [
        (step.startswith(f"SEARCH {ROLLUPS} USING INDEX"), step[step.index("(") :])
        for step in plan_steps(engine, sent, naming=ROLLUPS)
    ]
    assert [(True, "(tenant_id=? AND date>? AND date<?)")] * 3 == found


def test_every_report_of_a_tenant_reads_the_rollups_once(engine: sa.Engine) -> None:
    with statements(engine, naming=ROLLUPS) as sent:
        all_of(engine)
    assert 3 == len(sent)


def test_a_report_at_the_end_of_the_calendar_is_empty(engine: sa.Engine) -> None:
    last = DateRange.inclusive(date(2199, 12, 30), LAST_DATE)
    assert NOTHING == summarise(engine, last).total


def test_a_tenant_reads_itself_and_nobody_else(engine: sa.Engine) -> None:
    with tenant_session(engine, KARACHI) as session:
        assert ("K", "Asia/Karachi") == (
            get_own_tenant(session).name,
            get_own_tenant(session).current.timezone,
        )


def test_a_tenant_that_is_not_registered_is_missing(engine: sa.Engine) -> None:
    with tenant_session(engine, TenantId("ghost")) as session, pytest.raises(MissingError) as error:
        get_own_tenant(session)
    assert "unknown_tenant" == error.value.code
