"""What closed days were reported as: whatever changed them later."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from api.app import create_app
from api.services import Services
from costing.export import ExportLine, read_export
from costing.job import Costing
from costing.pricing.flat import FlatMap
from costing.reported import read_reported
from ledger.errors import ConflictError
from ledger.keys import Scope
from ledger.period import DateRange
from ledger.session import operator_session, tenant_session
from ledger.tenants import get_tenant
from tests.access import bearer, make_key
from tests.builders import NOW, sms
from tests.conftest import Book
from tests.costed import ACME, differences, other_book, tamper
from tests.pricing import lay, rate
from tests.service.prices.test_repricing import reprice

DAYS = DateRange(start=date(2026, 3, 1), end=date(2026, 3, 10))
CLOSED = date(2026, 3, 12)
"""The first date at whose end all of them had closed."""


def reported(engine: sa.Engine, on: date, dates: DateRange = DAYS) -> list[ExportLine]:
    now = NOW + timedelta(days=300)
    with operator_session(engine) as session:
        tenant = get_tenant(session, ACME)
    with tenant_session(engine, ACME) as session:
        return list(read_reported(session, tenant, dates, known_on=on, now=now))


def exported(engine: sa.Engine) -> list[ExportLine]:
    with tenant_session(engine, ACME) as session:
        return list(read_export(session, DAYS))


def noon(day: date) -> datetime:
    return datetime.combine(day, NOW.timetz())


def figures(lines: list[ExportLine]) -> list[tuple[int, int | None]]:
    return [(line.count, line.estimated_cost) for line in lines]


def test_late_usage_is_left_out_until_the_date_on_which_it_came(
    engine: sa.Engine, book: Book, costing: Costing, intake: Any
) -> None:
    book(sms("a"))
    intake.book([sms("b")], only_tenant=None, now=NOW)
    costing.run(clock=lambda: noon(date(2026, 3, 20)))
    found = [figures(reported(engine, day)) for day in (date(2026, 3, 19), date(2026, 3, 20))]
    assert [[(1, 8_900_000)], [(2, 17_800_000)]] == found


def test_a_row_that_came_late_was_not_there_before(
    engine: sa.Engine, costing: Costing, intake: Any
) -> None:
    intake.book([sms("a")], only_tenant=None, now=NOW)
    costing.run(clock=lambda: noon(date(2026, 3, 20)))
    assert ([], 1) == (reported(engine, CLOSED), len(reported(engine, date(2026, 3, 20))))


def test_a_repriced_day_still_says_what_it_cost_before(
    engine: sa.Engine, book: Book, prices: FlatMap
) -> None:
    book(sms("a"))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    reprice(engine, prices)  # on 2026-04-09
    found = [figures(reported(engine, day)) for day in (CLOSED, date(2026, 4, 8), date(2026, 4, 9))]
    assert [[(1, 8_900_000)], [(1, 8_900_000)], [(1, 10_000_000)]] == found


def test_counts_that_no_repricing_names_are_told_as_they_were(
    engine: sa.Engine, book: Book, costing: Costing, intake: Any, prices: FlatMap
) -> None:
    book(sms("a"))
    intake.book([sms("b")], only_tenant=None, now=NOW)
    costing.run(clock=lambda: noon(date(2026, 3, 20)))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    reprice(engine, prices)  # on 2026-04-09
    intake.book([sms("c")], only_tenant=None, now=NOW)
    costing.run(clock=lambda: noon(date(2026, 4, 20)))
    lay(engine, rate("sms_segment", "0.02", starts_on=date(2026, 3, 9), direction="outbound"),
        backdated=True)  # fmt: skip
    reprice(engine, prices, now=noon(date(2026, 5, 1)))
    days = [CLOSED, *(date(2026, month, day) for month, day in ((3, 20), (4, 9), (4, 20), (5, 1)))]
    expected = [(1, 8_900_000), (2, 17_800_000), (2, 20_000_000), (3, 30_000_000), (3, 60_000_000)]
    found = [figures(reported(engine, day)) for day in days]
    assert [[line] for line in expected] == found
    assert [] == differences(engine, prices)


def test_the_count_before_a_row_was_repriced_first_is_that_before_it_was_late(
    engine: sa.Engine, book: Book, costing: Costing, intake: Any, prices: FlatMap
) -> None:
    book(sms("a"))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    reprice(engine, prices)  # on 2026-04-09
    intake.book([sms("b")], only_tenant=None, now=NOW)
    costing.run(clock=lambda: noon(date(2026, 4, 20)))
    assert [(1, 8_900_000)] == figures(reported(engine, CLOSED))


def test_usage_that_was_unpriced_is_an_unpriced_line_until_it_was_priced(
    engine: sa.Engine, book: Book
) -> None:
    book(sms("a", channel="email", direction="inbound"))
    dear = Costing(engine, other_book(email={"inbound": "0.5"}))
    dear.run(clock=lambda: noon(date(2026, 3, 20)))
    found = [figures(reported(engine, day)) for day in (CLOSED, date(2026, 3, 20))]
    assert [[(1, None)], [(1, 500_000_000)]] == found


def test_a_mended_row_still_says_what_it_wrongly_said(
    engine: sa.Engine, book: Book, costing: Costing
) -> None:
    book(sms("a"))
    tamper(engine, "UPDATE usage_rollups_daily SET estimated_cost = 5")
    costing.rebuild(clock=lambda: noon(date(2026, 3, 20)))
    found = [figures(reported(engine, day)) for day in (CLOSED, date(2026, 3, 20))]
    assert [[(1, 5)], [(1, 8_900_000)]] == found


def test_what_is_reported_after_the_last_change_is_what_is_exported_now(
    engine: sa.Engine, book: Book, costing: Costing, intake: Any, prices: FlatMap
) -> None:
    book(
        sms("a"),
        sms("b", feature=...),
        sms("c", channel="email", direction="inbound"),
        sms("d", channel="mms", source=...),
    )
    intake.book([sms("e"), sms("f", channel="voice")], only_tenant=None, now=NOW)
    costing.run(clock=lambda: noon(date(2026, 3, 20)))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    reprice(engine, prices)
    assert exported(engine) == reported(engine, date(2026, 4, 9))


def test_a_day_that_had_not_closed_is_refused(engine: sa.Engine, book: Book) -> None:
    book(sms("a"))
    with pytest.raises(ConflictError, match="2026-03-09 had not closed by the end of 2026-03-10"):
        reported(engine, date(2026, 3, 10))


def test_the_command_writes_what_was_reported(
    engine: sa.Engine, book: Book, meterline: Any, prices: FlatMap
) -> None:
    book(sms("a"))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    reprice(engine, prices)
    span = ("export", "--tenant", "acme", "--from", "2026-03-01", "--to", "2026-03-09")
    done = meterline(*span, "--as-reported", "2026-03-31")
    early = meterline(*span, "--as-reported", "2026-03-10")
    assert (0, "2026-03-09,sms,outbound,twilio,broadcast,1,0.0089", 1, True) == (
        done.returncode,
        done.stdout.splitlines()[1],
        early.returncode,
        "had not closed" in early.stderr,
    )


def test_the_same_is_told_over_http(
    services: Services, engine: sa.Engine, intake: Any, costing: Costing, prices: FlatMap
) -> None:
    intake.book([sms("a", time="2026-03-05T12:00:00Z")], only_tenant=None, now=NOW)
    costing.run(clock=lambda: noon(date(2026, 3, 6)))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 1)), backdated=True)
    reprice(engine, prices, now=NOW)
    client = create_app(services).test_client()
    headers = bearer(make_key(engine, Scope.READ, tenant="acme"))

    def ask(known_on: str, last: str = "2026-03-05") -> TestResponse:
        dates = {"from": "2026-03-01", "to": last, "as_reported": known_on}
        return client.get("/api/billing/usage/export", query_string=dates, headers=headers)

    told = [ask(known_on) for known_on in ("2026-03-09", "2026-03-10")]
    refused = [ask("2026-03-09", last="2026-03-09"), ask("yesterday"), ask("2300-01-01")]
    costs = [answer.text.splitlines()[1].rpartition(",")[2] for answer in told]
    assert ["0.0089", "0.01"] == costs
    assert "as-reported-2026-03-09.csv" in told[0].headers["Content-Disposition"]
    assert [(409, "day_was_open"), (400, "invalid_date"), (400, "distant_date")] == [
        (answer.status_code, answer.json and answer.json["code"]) for answer in refused
    ]
