import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from cli.demo.run import book_deliveries, prepare_ledger
from cli.demo.tenants import TENANTS
from cli.demo.usage import deliver_usage
from cli.wiring import connect
from ledger.clock import system_clock
from ledger.models import usage_journal, usage_rollups_daily
from ledger.session import operator_session
from tests.builders import NOW
from tests.conftest import Run

Result = subprocess.CompletedProcess[str]


class Demo(NamedTuple):
    """A finished `meterline demo`, the address of its ledger, and the day on which it began."""

    finished: Result
    url: str
    day: date


def run(folder: Path, *arguments: str, **environment: str) -> Result:
    return subprocess.run(
        [Path(sys.executable).parent / "meterline", *arguments],
        env={**os.environ, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def run_demo(folder: Path) -> Demo:
    day = system_clock().date()
    finished = run(folder, "demo", "--no-serve", "--days", "7")
    return Demo(finished, f"sqlite:///{folder / 'meterline-demo.db'}", day)


def verify(demo: Demo) -> Result:
    return run(Path(), "verify", METERLINE_DATABASE_URL=demo.url)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(folder: Path) -> Demo:
    return run_demo(folder)


@pytest.fixture(scope="module")
def fixed_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """A demo of some tenants on a day that is always the same."""
    path = tmp_path_factory.mktemp("fixed") / "demo.db"
    wiring = replace(connect(f"sqlite:///{path}"), clock=lambda: NOW)
    tenants = [tenant for tenant in TENANTS if tenant.plan == "Elite"]
    prepare_ledger(wiring, tenants, days=9, today=NOW.date())
    deliveries = deliver_usage(tenants, days=9, today=NOW.date())
    book_deliveries(wiring, deliveries, now=NOW)
    yield wiring.engine
    wiring.engine.dispose()


def figures(finished: Result) -> list[str]:
    return [line for line in finished.stdout.splitlines() if not line.startswith("seconds taken")]


def count(engine: sa.Engine, table: sa.Table, condition: sa.ColumnElement[bool]) -> int:
    with operator_session(engine) as session:
        query = sa.select(sa.func.count()).select_from(table).where(condition)
        found: int = session.connection.execute(query).scalar_one()
        return found


def test_a_demo_succeeds(demo: Demo) -> None:
    assert (0, "") == (demo.finished.returncode, demo.finished.stderr.removeprefix("demo\n"))


def test_a_demo_tells_its_figures(demo: Demo) -> None:
    told = [line.split("  ")[0] for line in demo.finished.stdout.splitlines()[:7]]
    assert [
        "tenants",
        "events stored",
        "duplicates",
        "conflicts",
        "unpriced events",
        "total cost USD",
        "seconds taken",
    ] == told


def test_a_demo_says_what_to_run_next(demo: Demo) -> None:
    line = "next: METERLINE_DATABASE_URL=sqlite:///meterline-demo.db meterline verify"
    assert line == demo.finished.stdout.splitlines()[-1]


def test_the_ledger_of_a_demo_ties(demo: Demo) -> None:
    assert 0 == verify(demo).returncode


def test_a_demo_made_again_has_the_same_figures(demo: Demo, folder: Path) -> None:
    totals = verify(demo).stdout
    again = run_demo(folder)
    if system_clock().date() != demo.day:
        pytest.skip("the day changed between the two runs, and so may the figures")
    assert (figures(demo.finished), totals) == (figures(again.finished), verify(again).stdout)


def test_a_demo_journals_what_came_late(fixed_engine: sa.Engine) -> None:
    assert 0 < count(fixed_engine, usage_journal, usage_journal.c.cause == "late")


def test_a_demo_journals_less_than_a_tenth_of_its_rows(fixed_engine: sa.Engine) -> None:
    entries = count(fixed_engine, usage_journal, sa.true())
    assert entries < count(fixed_engine, usage_rollups_daily, sa.true()) / 10


@pytest.mark.parametrize("state", ["estimated", "unpriced"])
def test_a_demo_has_rows_of_each_state(fixed_engine: sa.Engine, state: str) -> None:
    assert 0 < count(fixed_engine, usage_rollups_daily, usage_rollups_daily.c.state == state)


@pytest.mark.parametrize("source", ["genai-prices", "flat"])
def test_a_demo_has_published_prices_and_flat_rates(fixed_engine: sa.Engine, source: str) -> None:
    columns = usage_rollups_daily.c
    rated = sa.and_(columns.channel == "ai", columns.price_source == source)
    assert 0 < count(fixed_engine, usage_rollups_daily, rated)


def test_a_demo_has_budgets_that_are_used(demo: Demo) -> None:
    told = run(Path(), "budget", "list", METERLINE_DATABASE_URL=demo.url).stdout
    rows = [line.split()[:3] for line in told.splitlines()]
    shown = "coral-reef-rentals"
    assert [[shown, "monthly", "(all)"], [shown, "monthly", "ai_sms"]] == sorted(
        row for row in rows if row[0] == shown
    )


def test_a_demo_has_derived_totals(fixed_engine: sa.Engine) -> None:
    assert 0 < count(fixed_engine, usage_rollups_daily, usage_rollups_daily.c.derived_count > 0)


def test_a_ledger_that_no_demo_made_is_refused(meterline: Run, ledger_path: Path) -> None:
    finished = meterline("demo", "--no-serve", "--path", ledger_path)
    assert (1, True) == (finished.returncode, "was not made by a demo" in finished.stderr)


def test_a_ledger_that_no_demo_made_is_left_as_it_is(meterline: Run, ledger_path: Path) -> None:
    before = ledger_path.read_bytes()
    meterline("demo", "--no-serve", "--path", ledger_path)
    assert before == ledger_path.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("demo", "--no-serve", "--path", "nowhere/demo.db"), "cannot hold a ledger"),
        (("demo", "--no-serve", "--path", "a?b.db"), "name another --path"),
    ],
)
def test_a_wrong_demo_is_refused_with_a_reason(
    meterline: Run, arguments: tuple[str, ...], words: str
) -> None:
    finished = meterline(*arguments)
    assert (2, True) == (finished.returncode, words in finished.stderr)


def test_a_demo_on_a_port_that_is_taken_makes_nothing(meterline: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finished = meterline("demo", "--port", str(taken.getsockname()[1]))
    made = (tmp_path / "meterline-demo.db").exists()
    assert (2, True, False) == (finished.returncode, "name another --port" in finished.stderr, made)


def test_an_empty_ledger_of_the_settings_can_be_filled_and_ties(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    filled = run(tmp_path, "demo", "--fill", "--days", "1", METERLINE_DATABASE_URL=url)
    verified = run(tmp_path, "verify", METERLINE_DATABASE_URL=url)
    assert (0, 0) == (filled.returncode, verified.returncode), filled.stderr


def test_a_ledger_with_tenants_is_not_filled(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    run(tmp_path, "db", "upgrade", METERLINE_DATABASE_URL=url)
    run(tmp_path, "tenant", "add", "acme", "--name", "Acme", METERLINE_DATABASE_URL=url)
    refused = run(tmp_path, "demo", "--fill", METERLINE_DATABASE_URL=url)
    expected = "error: the ledger has tenants; invented usage goes into an empty one\n"
    assert (1, expected) == (refused.returncode, refused.stderr)


def test_filling_takes_no_path_of_another_ledger(tmp_path: Path) -> None:
    refused = run(tmp_path, "demo", "--fill", "--path", "x.db")
    assert (2, True) == (
        refused.returncode,
        "--fill takes the ledger of the settings and no --path" in refused.stderr,
    )
