"""`meterline journal`: what changed of closed days, as a table and as CSV."""

import csv
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from costing.job import Costing
from costing.pricing.flat import FlatMap
from tests.builders import NOW, ai, sms
from tests.conftest import Book, Run
from tests.pricing import lay, rate
from tests.service.prices.test_repricing import MUCH_LATER, WHY, reprice

SQLITE = pytest.mark.ledger("sqlite")
"""How lines are told does not depend on where they come from."""

LATER = NOW + timedelta(days=10)


@pytest.fixture
def changed(engine: sa.Engine, book: Book, intake: Any, prices: FlatMap) -> None:
    """Late usage of a row that was there and of one that was not, a price, a repricing."""
    book(sms("a"), sms("b", channel="email", direction="inbound"))
    intake.book([sms("c"), ai("d", tenant="karachi")], only_tenant=None, now=NOW)
    start = date(2026, 3, 9)
    lay(engine, rate("email_recipient", "0.5", starts_on=start, direction="inbound"))
    Costing(engine, prices).run(clock=lambda: LATER)
    lay(engine, rate("sms_segment", "0.01", starts_on=start), backdated=True)
    reprice(engine, prices)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def said(line: dict[str, str], side: str) -> tuple[str, ...]:
    return tuple(line[f"{name}_{side}"] for name in ("count", "cost", "state"))


def names(line: dict[str, str]) -> tuple[str, ...]:
    return tuple(line[name] for name in ("booked_at", "channel", "cause"))


@pytest.mark.usefixtures("changed")
def test_the_csv_has_each_change_with_what_was_and_what_is(meterline: Run) -> None:
    done = meterline("journal", "--csv", "--tenant", "acme")
    found = [
        (*names(line), said(line, "before"), said(line, "after")) for line in read(done.stdout)
    ]
    was, now = LATER.isoformat(), MUCH_LATER.isoformat()
    expected = [
        (was, "sms", "late", ("1", "0.0089", "estimated"), ("2", "0.0178", "estimated")),
        (was, "email", "backprice", ("1", "", "unpriced"), ("1", "0.5", "estimated")),
        (now, "sms", "reprice", ("", "0.0178", "estimated"), ("", "0.02", "estimated")),
    ]
    assert (0, expected) == (done.returncode, found)


@pytest.mark.usefixtures("changed")
def test_a_row_that_was_not_there_has_no_figures_before(meterline: Run) -> None:
    (line,) = read(meterline("journal", "--csv", "--tenant", "karachi").stdout)
    assert ("house-llm", ("", "", ""), "1") == (
        line["model"],
        said(line, "before"),
        line["count_after"],
    )


@SQLITE
@pytest.mark.usefixtures("changed")
def test_only_the_cause_and_the_dates_that_are_named_are_told(meterline: Run) -> None:
    causes = [
        [line["cause"] for line in read(meterline("journal", "--csv", *options).stdout)]
        for options in (("--cause", "reprice"), ("--from", "2026-03-10"), ("--to", "2026-03-08"))
    ]
    assert [["reprice"], [], []] == causes


@SQLITE
@pytest.mark.usefixtures("changed")
def test_the_table_says_the_same_to_people(meterline: Run) -> None:
    done = meterline("journal", "--cause", "reprice")
    cells = " ".join(done.stdout.splitlines()[-1].split())
    assert (
        "2026-04-09 12:00:00 acme 2026-03-09 sms outbound twilio broadcast reprice"
        f" 0.0178 0.02 {WHY}"
    ) == cells


@SQLITE
@pytest.mark.usefixtures("changed")
def test_a_file_gets_what_standard_output_would(meterline: Run, tmp_path: Path) -> None:
    done = meterline("journal", "--output", "journal.csv")
    told = meterline("journal", "--csv").stdout
    assert ("", told) == (done.stdout, (tmp_path / "journal.csv").read_text())


@SQLITE
def test_a_reason_that_looks_like_a_formula_is_none_in_a_spreadsheet(
    engine: sa.Engine, book: Book, meterline: Run
) -> None:
    book(sms("a"))
    lay(engine, rate("sms_segment", "0.01", starts_on=date(2026, 3, 9)), backdated=True)
    span = ("--from", "2026-03-01", "--to", "2026-03-31")
    meterline("reprice", *span, "--reason", "=cmd()")
    (line,) = read(meterline("journal", "--csv").stdout)
    assert "'=cmd()" == line["reason"]


@SQLITE
def test_the_command_says_when_nothing_changed(book: Book, meterline: Run) -> None:
    book(sms("a"))
    done = meterline("journal")
    assert (0, "nothing changed of closed days\n") == (done.returncode, done.stdout)
