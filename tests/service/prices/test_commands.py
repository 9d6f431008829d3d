"""`meterline prices` as people run it."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from costing.pricing.store import read_laid
from ledger.clock import system_clock
from ledger.session import operator_session
from tests.builders import ai, sms
from tests.conftest import Book, Run
from tests.costed import only_row
from tests.pricing import lay, rate, table, tokens
from tests.service.prices.test_missing import INBOUND
from tests.unit.costing.test_price_documents import EXAMPLE

PAST = date(2026, 1, 1)
Write = Callable[..., Path]


def later(days: int = 2) -> date:
    """A date that is a start for everybody."""
    return system_clock().date() + timedelta(days=days)


@pytest.fixture
def write(tmp_path: Path, engine: sa.Engine) -> Write:
    """Write a price file, and return its name."""
    del engine

    def save(*tables: str, name: str = "prices.toml") -> Path:
        (tmp_path / name).write_text("\n".join(tables))
        return Path(name)

    return save


def count(engine: sa.Engine) -> int:
    with operator_session(engine) as session:
        return len(read_laid(session))


def test_a_good_file_is_checked(meterline: Run, write: Write) -> None:
    path = write(*tokens("house-llm", "0.000001"))
    finished = meterline("prices", "check", path)
    assert (0, "prices.toml: 2 entries\n") == (finished.returncode, finished.stdout)


def test_a_check_lays_nothing_down(meterline: Run, write: Write, engine: sa.Engine) -> None:
    meterline("prices", "check", write(rate("sms_segment", "0.0083")))
    assert 0 == count(engine)


def test_faults_of_all_files_are_told_with_their_lines(meterline: Run, write: Write) -> None:
    bad = rate("sms_segment", "0.0083").replace('"0.0083"', "0.0083")
    first = write(bad, rate("fax_page", "1"), name="first.toml")
    second = write(rate("sms_segment", "-1"), name="second.toml")
    finished = meterline("prices", "check", first, second)
    lines = re.findall(r"^(\w+\.toml:\d+):", finished.stderr, re.MULTILINE)
    assert (1, ["first.toml:3", "first.toml:7", "second.toml:3"]) == (finished.returncode, lines)


def test_a_flat_map_is_checked(meterline: Run, write: Write) -> None:
    path = write('name = "mine"\ncurrency = "USD"\n[rates.sms]\noutbound = "0.01"')
    assert meterline("prices", "check", path).stdout.startswith("prices.toml: flat map mine@")


def test_a_faulty_flat_map_is_told(meterline: Run, write: Write) -> None:
    path = write('name = "mine"\ncurrency = "USD"\n[rates.sms]\noutbound = 0.01')
    finished = meterline("prices", "check", path)
    assert (1, True) == (finished.returncode, "must be a decimal string" in finished.stderr)


def test_a_file_that_is_nested_too_deep_is_told(meterline: Run, write: Write) -> None:
    finished = meterline("prices", "check", write("a = " + "[" * 100_000))
    assert (1, True) == (finished.returncode, finished.stderr.startswith("prices.toml:1: no TOML"))


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_prices_are_shown_of_no_date_that_no_usage_can_have(
    meterline: Run, engine: sa.Engine, day: str
) -> None:
    del engine
    finished = meterline("prices", "show", "--tenant", "karachi", "--date", day)
    assert (2, True) == (finished.returncode, "dates are from 1970-01-01" in finished.stderr)


def test_an_added_file_is_laid_down(meterline: Run, write: Write, engine: sa.Engine) -> None:
    finished = meterline("prices", "add", write(rate("sms_segment", "0.0083", later())))
    told = "entries laid down: 1, there already: 0\nrows without a price that have one now: 0\n"
    assert (0, told, 1) == (finished.returncode, finished.stdout, count(engine))


def test_a_file_can_be_added_again(meterline: Run, write: Write, engine: sa.Engine) -> None:
    path = write(rate("sms_segment", "0.0083", later()))
    meterline("prices", "add", path)
    told = meterline("prices", "add", path).stdout.splitlines()[0]
    assert ("entries laid down: 0, there already: 1", 1) == (told, count(engine))


def test_what_had_no_price_is_priced_at_once(
    meterline: Run, write: Write, engine: sa.Engine, book: Book
) -> None:
    book(sms("a", quantity=3, **INBOUND))
    finished = meterline("prices", "add", write(rate("email_recipient", "0.001", PAST)))
    told = finished.stdout.splitlines()[1]
    expected = ("rows without a price that have one now: 1", 3_000_000)
    assert expected == (told, only_row(engine).estimated_cost)


def test_a_refused_file_is_told_with_its_lines(
    meterline: Run, write: Write, engine: sa.Engine, book: Book
) -> None:
    book(sms("a"))
    path = write(rate("mms_message", "0.02", later()), rate("sms_segment", "0.0083", PAST))
    finished = meterline("prices", "add", path)
    assert (1, 0) == (finished.returncode, count(engine))
    assert (
        "prices.toml:6: it starts on 2026-01-01, and 1 rollup rows of 1 tenants" in finished.stderr
    )


def test_a_plan_that_nobody_is_on_is_noted(meterline: Run, write: Write) -> None:
    markups = table("markups", plan="Por", percent="15", starts_on=later())
    finished = meterline("prices", "add", write(markups))
    assert (0, "note: no tenant is on the plan Por\n") == (finished.returncode, finished.stderr)


def test_a_difference_has_the_old_price_and_the_new_one(meterline: Run, write: Write) -> None:
    start = later()
    path = write(rate("sms_segment", "0.0083", start, direction="outbound"))
    (line,) = meterline("prices", "diff", path).stdout.splitlines()[2:]
    expected = f"{start} sms outbound standard sms_segment 0.0089 (flat) 0.0083 (operator) all 2"
    assert expected.split() == line.split()


def test_a_difference_for_one_tenant_names_it(meterline: Run, write: Write) -> None:
    path = write(rate("sms_segment", "0.0083", later(), direction="outbound", tenant="acme"))
    assert ["(tenant)", "acme"] == meterline("prices", "diff", path).stdout.split()[-2:]


@pytest.mark.usefixtures("book")
def test_a_markup_is_a_difference_for_what_was_used(
    meterline: Run, write: Write, book: Book
) -> None:
    book(sms("a"), sms("k", tenant="karachi"))
    path = write(table("markups", plan="Pro", percent="10", starts_on=later()))
    (line,) = meterline("prices", "diff", path).stdout.splitlines()[2:]
    assert ["0.0089", "(flat)", "0.00979", "(flat)", "acme"] == line.split()[-5:]


def test_a_difference_changes_nothing(meterline: Run, write: Write, engine: sa.Engine) -> None:
    meterline("prices", "diff", write(rate("sms_segment", "0.0083", later())))
    assert 0 == count(engine)


def test_a_difference_tells_what_would_be_refused(meterline: Run, write: Write) -> None:
    finished = meterline("prices", "diff", write(rate("sms_segment", "1", later(), tenant="x")))
    assert (1, True) == (
        finished.returncode,
        finished.stderr.startswith("prices.toml:1: there is no tenant x"),
    )


def test_entries_in_force_and_to_come_are_shown(meterline: Run, engine: sa.Engine) -> None:
    lay(engine, rate("sms_segment", "0.0083", date(2026, 3, 12)))
    lay(engine, rate("sms_segment", "0.0084", date(2026, 4, 1)))
    lay(engine, rate("sms_segment", "0.0085", date(2026, 5, 1)))
    shown = meterline("prices", "show", "--date", "2026-04-10").stdout
    assert ["0.0084", "0.0085"] == re.findall(r"(0\.008\d) USD", shown)


@pytest.mark.usefixtures("engine")
def test_the_flat_map_is_shown(meterline: Run) -> None:
    assert re.search(r"^email +outbound +email_recipient +0.00035$", show(meterline), re.MULTILINE)


def show(meterline: Run, *arguments: str) -> str:
    return meterline("prices", "show", *arguments).stdout


def test_what_rates_a_tenant_is_shown_with_its_layer(meterline: Run, engine: sa.Engine) -> None:
    lay(engine, rate("sms_segment", "0.0083", tenant="acme", direction="outbound"))
    (line,) = re.findall(
        r"^sms +outbound +standard .*", show(meterline, "--tenant", "acme"), re.MULTILINE
    )
    assert ["sms_segment", "0.0083", "tenant"] == line.split()[3:6]


def test_what_nothing_rates_is_shown_as_unpriced(meterline: Run, engine: sa.Engine) -> None:
    del engine
    (line,) = re.findall(r"^email +inbound.*", show(meterline, "--tenant", "acme"), re.MULTILINE)
    assert ["-", "unpriced", "none"] == line.split()[-3:]


def test_models_that_a_tenant_used_are_shown(meterline: Run, book: Book) -> None:
    book(ai("a"))
    lines = re.findall(r"^ai .*", show(meterline, "--tenant", "acme"), re.MULTILINE)
    assert {"house-llm"} == {line.split()[2] for line in lines}


def test_the_rates_of_a_version_are_shown(meterline: Run, engine: sa.Engine, book: Book) -> None:
    lay(engine, rate("sms_segment", "0.0083", PAST))
    book(sms("a"))
    shown = show(meterline, only_row(engine).price_version)
    assert re.search(r"^sms +any +sms_segment +0.0083$", shown, re.MULTILINE)


def test_missing_prices_are_listed(meterline: Run, book: Book) -> None:
    book(sms("a", quantity=3, **INBOUND), ai("b"))
    rows = [line.split() for line in meterline("prices", "missing").stdout.splitlines()[1:]]
    assert [
        ["unpriced", "email", "inbound", "standard", "1", "1", "1", "3"],
        ["flat", "ai", "outbound", "house-llm", "standard", "1", "1", "1", "1500"],
    ] == rows


def test_that_nothing_is_missing_is_told(meterline: Run, book: Book) -> None:
    book(sms("a", **INBOUND))
    told = meterline("prices", "missing", "--tenant", "karachi").stdout
    assert "all usage has a price of its own\n" == told


def test_a_file_that_is_none_is_a_wrong_command(meterline: Run, write: Write) -> None:
    finished = meterline("prices", "add", write("[[rates]"))
    assert (2, True) == (finished.returncode, "error: prices.toml:1: no TOML: " in finished.stderr)


@pytest.mark.usefixtures("engine")
def test_an_upgrade_of_a_ledger_that_is_there_takes_none(meterline: Run, engine: sa.Engine) -> None:
    meterline("db", "upgrade")
    assert 0 == count(engine)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("show", "x@1"), 1, "no rates x@1 are kept"),
        (("show", "x@1", "--tenant", "acme"), 2, "a VERSION has no tenant, date or model"),
        (("show", "--tenant", "nobody"), 1, "there is no tenant nobody"),
        (("show", "--date", "soon"), 2, "`date` is a date like 2026-03-01 (it is soon)"),
        (("check",), 2, "Missing argument"),
        (("check", "nowhere.toml"), 2, "does not exist"),
        (("add", "nowhere.toml"), 2, "does not exist"),
        (("diff",), 2, "give a FILE or --catalogue"),
        (("missing", "--from", "2026-03-01"), 2, "--from and --to go together"),
        (("missing", "--tenant", "nobody"), 1, "there is no tenant nobody"),
        ((), 2, "Usage: meterline prices"),
    ],
)
def test_a_wrong_command_has_its_exit_code_and_a_reason(
    meterline: Run, arguments: tuple[str, ...], code: int, words: str
) -> None:
    finished = meterline("prices", *arguments)
    assert (code, True) == (finished.returncode, words in finished.stderr)


def test_the_example_of_the_documentation_is_checked_and_added(
    meterline: Run, write: Write
) -> None:
    path = write(EXAMPLE)
    codes = [meterline("prices", command, path).returncode for command in ("check", "diff", "add")]
    assert [0, 0, 0] == codes
