"""Days that are over, rated again: what changes, what is written down, and what stays."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from costing.job import Costing
from costing.pricing.flat import FlatMap, load_flat_map
from costing.pricing.laying import lay_down
from costing.pricing.reader import BookReader
from costing.repricing import store as pages
from costing.repricing.job import Repricing, Scope, parse_reason
from costing.repricing.outside import find_outside
from costing.repricing.page import Sums
from ledger.errors import InvalidError
from ledger.models import usage_tenant_days
from ledger.period import DateRange, closes_at
from ledger.rollups import State
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from ledger.tenants import get_tenant
from tests.builders import NOW, ai, sms
from tests.conftest import Book
from tests.costed import ACME, differences, journal, only_row, rows, tamper
from tests.pricing import FILE, lay, rate, read, tokens

MUCH_LATER = NOW + timedelta(days=30)
WHY = "the contract of March"
DAYS = DateRange(start=date(2026, 3, 1), end=date(2026, 4, 1))
NINTH = DateRange(start=date(2026, 3, 9), end=date(2026, 3, 10))
KARACHI = TenantId("karachi")
OTHER = {"model": "other-llm", "input_tokens": 1000, "output_tokens": 500}


def repricing(
    engine: sa.Engine, flat: FlatMap, dates: DateRange = DAYS, model: str | None = None
) -> Repricing:
    return Repricing(engine, BookReader(engine, flat).find_book, Scope(dates, model))


def reprice(
    engine: sa.Engine,
    flat: FlatMap,
    tenant_id: TenantId = ACME,
    *,
    now: datetime = MUCH_LATER,
    **scope: Any,
) -> Sums:
    sums = Sums()
    for part in repricing(engine, flat, **scope).run(tenant_id, clock=lambda: now, reason=WHY):
        sums = sums.plus(part)
    return sums


def costs(engine: sa.Engine, tenant_id: TenantId = ACME) -> list[int | None]:
    return [row.estimated_cost for row in rows(engine, tenant_id)]


def test_rows_take_the_price_that_the_book_has_now_for_their_date(
    engine: sa.Engine, book: Book, prices: FlatMap
) -> None:
    book(sms("a"), sms("b", channel="mms"))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    done = reprice(engine, prices)
    found = {row.key.channel: (row.estimated_cost, row.price_source) for row in rows(engine)}
    assert Sums(1, 8_900_000, 10_000_000) == done
    assert {"sms": (10_000_000, "operator"), "mms": (20_000_000, "flat")} == found


def test_a_day_before_the_start_of_a_price_does_not_change(
    engine: sa.Engine, book: Book, prices: FlatMap
) -> None:
    book(sms("a", time="2026-03-08T12:00:00Z"), sms("b"))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    reprice(engine, prices)
    assert [8_900_000, 10_000_000] == costs(engine)


def test_changes_of_closed_days_are_journalled_with_the_reason(
    engine: sa.Engine, book: Book, prices: FlatMap
) -> None:
    book(sms("a"))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    reprice(engine, prices)
    (entry,) = journal(engine)
    figures = [entry[side]["estimated_cost"] for side in ("before", "after")]
    assert ("reprice", WHY, MUCH_LATER, [8_900_000, 10_000_000], []) == (
        entry["cause"],
        entry["reason"],
        entry["booked_at"],
        figures,
        differences(engine, prices),
    )


def test_an_entry_of_a_repricing_names_what_a_price_can_change_and_no_more(
    engine: sa.Engine, book: Book, prices: FlatMap
) -> None:
    book(sms("a"))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    reprice(engine, prices)
    (entry,) = journal(engine)
    row = only_row(engine)
    after = {"estimated_cost": 10_000_000, "price_version": row.price_version, "state": "estimated"}
    assert (after, after.keys()) == (entry["after"], entry["before"].keys())


@pytest.mark.parametrize("late", [0, 1])
def test_verify_follows_the_entries_of_repricings(
    engine: sa.Engine, book: Book, prices: FlatMap, intake: Any, late: int
) -> None:
    book(sms("a"))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    reprice(engine, prices)
    # What comes after an entry begins where it ended: the next entry, or else the row.
    intake.book([sms("b")] * late, only_tenant=None, now=NOW)
    Costing(engine, prices).run(clock=lambda: MUCH_LATER)
    sound = differences(engine, prices)
    text, json = ("::text", "::json") if engine.dialect.name == "postgresql" else ("", "")
    changed = f"replace(after{text}, '10000000', '7'){json}"
    tamper(engine, f"UPDATE usage_journal SET after = {changed} WHERE cause = 'reprice'")
    (found,) = differences(engine, prices)
    assert ([], True) == (sound, found.startswith("journal of rollup"))


def test_repricing_again_changes_nothing(engine: sa.Engine, book: Book, prices: FlatMap) -> None:
    book(sms("a"))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    reprice(engine, prices)
    before = rows(engine)
    assert (Sums(), before, 1) == (reprice(engine, prices), rows(engine), len(journal(engine)))


def test_what_changed_is_due_for_the_series(engine: sa.Engine, book: Book, prices: FlatMap) -> None:
    book(sms("a"), sms("b", time="2026-03-08T12:00:00Z"))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    reprice(engine, prices)
    with operator_session(engine) as session:
        day = usage_tenant_days.c
        query = sa.select(day.date, day.revision).order_by(day.date)
        days = [tuple(row) for row in session.connection.execute(query)]
    assert ([1, 2], [(date(2026, 3, 8), 1), (date(2026, 3, 9), 2)]) == (
        [row.revision for row in rows(engine)],
        days,
    )


def test_a_dry_run_says_the_same_and_writes_nothing(
    engine: sa.Engine, book: Book, prices: FlatMap
) -> None:
    book(sms("a"), ai("b"))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    before = rows(engine)
    preview = repricing(engine, prices).preview(ACME)
    assert (before, []) == (rows(engine), journal(engine))
    assert reprice(engine, prices) == preview


def test_only_the_model_and_the_tenant_and_the_days_that_are_named_change(
    engine: sa.Engine, book: Book, prices: FlatMap
) -> None:
    book(
        ai("a"),
        ai("b", metadata=OTHER),
        ai("c", tenant="karachi"),
        ai("d", time="2026-03-08T12:00:00Z"),
    )
    for model in ("house-llm", "other-llm"):
        lay(engine, *tokens(model, "0.1", starts_on=date(2026, 3, 1)), backdated=True)
    done = reprice(engine, prices, dates=NINTH, model="house-llm")
    assert (1, [5_000_000]) == (done.rows, costs(engine, KARACHI))


def test_usage_that_has_no_price_any_more_is_unpriced_and_told_as_that(
    engine: sa.Engine, book: Book
) -> None:
    book(ai("a"))
    done = reprice(engine, load_flat_map(ai_flat_fallback=False))
    row = only_row(engine)
    assert (Sums(1, 5_000_000, 0, 0, 1), State.UNPRICED, None) == (
        done,
        row.state,
        row.estimated_cost,
    )


def test_pages_of_any_size_come_to_the_same(
    engine: sa.Engine, book: Book, prices: FlatMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE_ROWS", 2)
    book(*(sms(str(n), time=f"2026-03-0{1 + n % 5}T12:00:00Z", feature=f"f{n}") for n in range(9)))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 3)), backdated=True)
    done = reprice(engine, prices)
    again = Costing(engine, prices).rebuild(clock=lambda: MUCH_LATER)
    assert (5, 0, []) == (done.rows, again, differences(engine, prices))


def test_a_repricing_that_was_stopped_amid_a_tenant_is_finished_by_running_it_again(
    engine: sa.Engine, book: Book, prices: FlatMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE_ROWS", 2)
    book(*(sms(str(n), feature=f"f{n}") for n in range(5)))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    stopped = repricing(engine, prices).run(ACME, clock=lambda: MUCH_LATER, reason=WHY)
    first = next(stopped)
    amid = (sorted(row.estimated_cost or 0 for row in rows(engine)), differences(engine, prices))
    del stopped
    rest = reprice(engine, prices)
    assert ([8_900_000] * 3 + [10_000_000] * 2, []) == amid
    assert (2, 3, [10_000_000] * 5, 5) == (
        first.rows,
        rest.rows,
        costs(engine),
        len(journal(engine)),
    )


def test_a_day_that_closes_while_it_is_repriced_is_journalled_from_then_on(
    engine: sa.Engine, book: Book, prices: FlatMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE_ROWS", 2)
    book(*(sms(str(n), feature=f"f{n}") for n in range(5)))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    with operator_session(engine) as session:
        tenant = get_tenant(session, ACME)
    closes = closes_at(date(2026, 3, 9), tenant)
    instants = [closes - timedelta(seconds=1)]
    running = repricing(engine, prices).run(ACME, clock=lambda: instants[-1], reason=WHY)
    first = next(running)
    instants.append(closes)
    rest = [part.rows for part in running]
    assert (2, [2, 1], [closes] * 3, []) == (
        first.rows,
        rest,
        [entry["booked_at"] for entry in journal(engine)],
        differences(engine, prices),
    )


@pytest.mark.parametrize(
    ("scope", "repriced", "lines"),
    [
        (Scope(DAYS), {ACME, KARACHI}, []),
        (Scope(NINTH), {ACME, KARACHI}, [1, 7]),
        (Scope(DAYS), {ACME}, [1, 7]),
        (Scope(DAYS, "house-llm"), {ACME, KARACHI}, [13, 19]),
    ],
)
def test_rated_rows_that_a_narrowed_repricing_leaves_are_told_by_line(
    engine: sa.Engine, book: Book, scope: Scope, repriced: set[TenantId], lines: list[int]
) -> None:
    book(
        ai("a"),
        ai("b", metadata=OTHER),
        ai("c", tenant="karachi"),
        ai("d", time="2026-03-08T12:00:00Z"),
    )
    first = date(2026, 3, 1)
    new = (*tokens("house-llm", "0.1", first), *tokens("other-llm", "0.1", first))
    with operator_session(engine, write=True) as session:
        laying = lay_down(
            session,
            read(*new),
            flat=load_flat_map(),
            origin=FILE,
            now=NOW,
            backdated=True,
        )
        found = find_outside(session, laying, scope, repriced)
    told = "1 rated rollup rows of 1 tenants, 2026-03-0"
    assert lines == [fault.line for fault in found if fault.reason.startswith(told)]
    assert len(lines) == len(found)


def test_late_usage_takes_the_price_of_the_repriced_row(
    engine: sa.Engine, book: Book, prices: FlatMap
) -> None:
    book(sms("a"))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    reprice(engine, prices)
    book(sms("b"))
    assert [20_000_000] == costs(engine)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 256, "two\nlines"])
def test_a_reason_is_a_line_that_says_something(reason: str) -> None:
    with pytest.raises(InvalidError, match="say why"):
        parse_reason(reason)


PRICES = """
[[rates]]
unit = "sms_segment"
amount = "0.01"
currency = "USD"
starts_on = 2026-03-09
"""
SPAN = ("--from", "2026-03-01", "--to", "2026-03-31")


def test_the_command_lays_a_file_down_and_shows_what_changed_by_tenant(
    engine: sa.Engine, book: Book, meterline: Any, tmp_path: Any
) -> None:
    book(sms("a"), sms("b", tenant="karachi"))
    (tmp_path / "march.toml").write_text(PRICES)
    command = ("reprice", *SPAN, "--prices", "march.toml", "--reason", WHY)
    dry = meterline(*command, "--dry-run")
    before = costs(engine)
    done = meterline(*command)
    table = [line.split() for line in done.stdout.splitlines()]
    assert "note" not in dry.stderr + done.stderr
    assert (0, 0, [8_900_000], [10_000_000]) == (
        dry.returncode,
        done.returncode,
        before,
        costs(engine),
    )
    assert ["acme", "1", "0.0089", "0.01", "+0.0011", "0", "→", "0"] in table
    assert ["all", "2", "0.0178", "0.02", "+0.0022", "0", "→", "0"] in table


def test_the_command_notes_what_a_file_reaches_and_it_leaves_as_it_is(
    engine: sa.Engine, book: Book, meterline: Any, tmp_path: Any
) -> None:
    book(sms("a"), sms("b", tenant="karachi"))
    (tmp_path / "march.toml").write_text(PRICES)
    command = ("reprice", *SPAN, "--prices", "march.toml", "--reason", WHY)
    done = meterline(*command, "--tenant", "acme")
    note = "note: march.toml:2: 1 rated rollup rows of 1 tenants, 2026-03-09 to 2026-03-09, would"
    assert (0, True, [8_900_000]) == (
        done.returncode,
        note in done.stderr,
        costs(engine, KARACHI),
    )


def test_the_command_says_when_nothing_changes(book: Book, meterline: Any) -> None:
    book(sms("a"))
    done = meterline("reprice", *SPAN, "--reason", WHY)
    assert (0, True) == (done.returncode, "nothing changes" in done.stdout)


def test_the_command_needs_a_reason(meterline: Any) -> None:
    done = meterline("reprice", *SPAN, "--reason", " ")
    assert (2, True) == (done.returncode, "say why" in done.stderr)


def test_the_command_refuses_a_file_with_faults_by_line_and_changes_nothing(
    engine: sa.Engine, book: Book, meterline: Any, tmp_path: Any
) -> None:
    book(sms("a"))
    (tmp_path / "march.toml").write_text(PRICES.replace('"0.01"', "0.01"))
    done = meterline("reprice", *SPAN, "--prices", "march.toml", "--reason", WHY)
    assert (2, True, [8_900_000]) == (
        done.returncode,
        "march.toml:4: amount must be a decimal string" in done.stderr,
        costs(engine),
    )


def test_an_opening_balance_is_left_alone(engine: sa.Engine, book: Book, prices: FlatMap) -> None:
    book(sms("a"))
    with tenant_session(engine, ACME, write=True) as session:
        session.connection.exec_driver_sql("UPDATE usage_rollups_daily SET price_version = 'sp3'")
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    assert (Sums(), [8_900_000]) == (reprice(engine, prices), costs(engine))
