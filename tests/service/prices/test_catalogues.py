"""Published prices: the first catalogue of a ledger, and those that are taken over later."""

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from costing.pricing.resolution import Dated
from costing.pricing.snapshots import (
    find_catalogue,
    lay_catalogue,
    lay_first_catalogue,
    read_installed,
)
from costing.pricing.store import read_laid
from ledger.clock import system_clock
from ledger.period import FIRST_DATE, tomorrow_everywhere
from ledger.session import operator_session
from tests.builders import NOW, sms
from tests.conftest import Book, Run

PAST = date(2026, 1, 1)
Write = Callable[..., Path]


@pytest.fixture
def old_catalogue(engine: sa.Engine) -> str:
    """A catalogue in the ledger in which gpt-4o cost something else."""
    installed = read_installed()
    document = installed.document.replace('"2.5"', '"2.75"')
    with operator_session(engine, write=True) as session:
        old = type(installed)(document=document)
        lay_catalogue(session, old, starts_on=FIRST_DATE, now=NOW)
    return old.version


def count(engine: sa.Engine) -> int:
    with operator_session(engine) as session:
        return len(read_laid(session))


def newest(engine: sa.Engine) -> Dated | None:
    with operator_session(engine) as session:
        return find_catalogue(read_laid(session))


def show(meterline: Run, *arguments: str) -> str:
    return meterline("prices", "show", *arguments).stdout


@pytest.mark.usefixtures("old_catalogue")
def test_published_prices_of_a_model_are_shown(meterline: Run) -> None:
    shown = show(meterline, "--model", "gpt-4o")
    assert re.search(
        r"^standard +gpt-4o +1970-01-01 +ai_input_token x 1000000 +2.75$", shown, re.MULTILINE
    )


def test_prices_of_the_package_that_are_other_are_shown_and_not_taken(
    meterline: Run, old_catalogue: str, engine: sa.Engine
) -> None:
    told = meterline("prices", "update").stdout
    line = re.search(r"^gpt-4o +long, standard .* 2.75 per .* 2.5 per ", told, re.MULTILINE)
    kept = newest(engine)
    assert (True, old_catalogue) == (line is not None, kept and kept.catalogue.version)


@pytest.mark.usefixtures("old_catalogue")
def test_they_are_taken_over_from_tomorrow_everywhere(meterline: Run, engine: sa.Engine) -> None:
    finished = meterline("prices", "update", "--yes")
    taken = newest(engine)
    assert taken is not None
    expected = (0, read_installed().version, tomorrow_everywhere(system_clock()))
    assert expected == (finished.returncode, taken.catalogue.version, taken.starts_on)


@pytest.mark.usefixtures("old_catalogue")
def test_what_is_taken_over_is_not_taken_again(meterline: Run, engine: sa.Engine) -> None:
    meterline("prices", "update", "--yes")
    told = meterline("prices", "update", "--yes").stdout
    assert ("the ledger has what is installed", 2) == (told.splitlines()[-1], count(engine))


@pytest.mark.usefixtures("old_catalogue")
def test_the_difference_of_catalogues_changes_nothing(meterline: Run, engine: sa.Engine) -> None:
    told = meterline("prices", "diff", "--catalogue").stdout
    assert (True, 1) == ("ai_input_token" in told, count(engine))


@pytest.mark.usefixtures("old_catalogue")
def test_doctor_tells_that_the_package_has_other_prices(meterline: Run) -> None:
    assert "run `meterline prices diff --catalogue`" in meterline("doctor").stdout


@pytest.mark.usefixtures("engine")
def test_doctor_tells_that_there_is_no_catalogue(meterline: Run) -> None:
    assert "note  no price catalogue" in meterline("doctor").stdout


def test_doctor_tells_the_versions(meterline: Run, engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        lay_first_catalogue(session, now=NOW)
    told = meterline("doctor").stdout
    line = f"ok    price catalogue {read_installed().version} from 1970-01-01"
    assert (True, True, False) == (line in told, "flat price map flat@" in told, "other" in told)


def test_a_new_ledger_has_the_catalogue_from_the_first_date_on(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        lay_first_catalogue(session, now=NOW)
    laid = newest(engine)
    assert FIRST_DATE == (laid and laid.starts_on)


def test_where_usage_was_rated_it_starts_tomorrow(engine: sa.Engine, book: Book) -> None:
    book(sms("a"))
    with operator_session(engine, write=True) as session:
        lay_first_catalogue(session, now=NOW)
    laid = newest(engine)
    assert date(2026, 3, 12) == (laid and laid.starts_on)


@pytest.mark.usefixtures("old_catalogue")
def test_a_ledger_that_has_one_gets_no_first_one(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        assert lay_first_catalogue(session, now=NOW) is None
    assert 1 == count(engine)


@pytest.mark.ledger("sqlite")
def test_an_upgrade_of_an_empty_database_takes_it(meterline: Run, tmp_path: Path) -> None:
    told = meterline(
        "db", "upgrade", METERLINE_DATABASE_URL=f"sqlite:///{tmp_path / 'new.db'}"
    ).stdout
    assert f"price catalogue {read_installed().version} from 1970-01-01" == told.splitlines()[-1]
