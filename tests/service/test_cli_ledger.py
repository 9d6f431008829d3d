"""What the command says about its settings and about ledgers that are new, old or broken."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from cli import schema
from tests.conftest import Run
from tests.statements import change_schema

# PostgreSQL has tests of its own for what is told of it.
pytestmark = pytest.mark.ledger("sqlite")

HEAD = schema.head_revision()
SECRET = "s3cret-of-the-host"
TRACE = "Traceback"

FAULTY = {
    "METERLINE_HASH_KEY": "hush-hush",
    "METERLINE_MAX_FUTURE_SECONDS": "soon",
    "METERLINE_AUTO_REGISTER_TENANTS": "maybe",
}


@pytest.fixture
def empty(tmp_path: Path) -> str:
    """The address of a ledger that is not there yet."""
    return f"sqlite:///{tmp_path / 'new.db'}"


@pytest.fixture
def newer(engine: sa.Engine) -> None:
    """Make the ledger one of a later version of Meterline."""
    change_schema(engine, "UPDATE meterline_version SET version_num = '0999'")


def test_an_empty_database_is_brought_up_to_date(meterline: Run, empty: str) -> None:
    told = meterline("db", "upgrade", METERLINE_DATABASE_URL=empty).stdout
    assert f"schema {HEAD}" == told.splitlines()[0]


def test_an_upgrade_of_a_current_schema_has_nothing_to_do(meterline: Run) -> None:
    assert f"schema {HEAD}, nothing to do\n" == meterline("db", "upgrade").stdout


def test_a_current_schema_is_as_expected(meterline: Run) -> None:
    assert f"schema {HEAD}, as expected\n" == meterline("db", "check").stdout


def test_a_schema_that_drifted_is_told(meterline: Run, engine: sa.Engine) -> None:
    change_schema(engine, "DROP TABLE price_books")
    finished = meterline("db", "check")
    assert (1, True) == (finished.returncode, "price_books" in finished.stderr)


@pytest.mark.parametrize(("revision", "said"), [("0001", "0001"), ("base", "empty")])
def test_a_downgrade_says_where_it_went(meterline: Run, revision: str, said: str) -> None:
    assert f"schema {said}\n" == meterline("db", "downgrade", revision).stdout


def test_a_ledger_of_an_older_schema_is_refused_with_what_to_do(meterline: Run) -> None:
    meterline("db", "downgrade", "0001")
    message = f"error: the ledger has schema 0001 and needs {HEAD}; run `meterline db upgrade`\n"
    assert message == meterline("verify").stderr


@pytest.mark.parametrize(
    "command",
    [
        ("db", "check"),
        ("tenant", "list"),
        ("export", "--tenant", "x"),
        ("work", "--once"),
        ("verify",),
        ("serve",),
    ],
)
def test_an_empty_database_is_refused_with_what_to_do(
    meterline: Run, empty: str, command: tuple[str, ...]
) -> None:
    finished = meterline(*command, METERLINE_DATABASE_URL=empty)
    message = f"error: the ledger has no tables yet and needs {HEAD}; run `meterline db upgrade`\n"
    assert (1, message) == (finished.returncode, finished.stderr)


def test_a_downgrade_that_leads_upwards_is_refused_in_a_sentence(meterline: Run) -> None:
    meterline("db", "downgrade", "0001")
    assert TRACE not in meterline("db", "downgrade", "0002").stderr


def test_a_downgrade_of_an_empty_database_is_refused_in_a_sentence(
    meterline: Run, empty: str
) -> None:
    finished = meterline("db", "downgrade", "0001", METERLINE_DATABASE_URL=empty)
    assert TRACE not in finished.stderr


@pytest.mark.usefixtures("newer")
@pytest.mark.parametrize("command", [("upgrade",), ("downgrade", "0001"), ("check",)])
def test_a_ledger_of_a_newer_version_is_refused_in_a_sentence(
    meterline: Run, command: tuple[str, ...]
) -> None:
    finished = meterline("db", *command)
    assert (1, False) == (finished.returncode, TRACE in finished.stderr)


@pytest.mark.usefixtures("newer")
def test_nobody_is_sent_to_upgrade_a_ledger_of_a_newer_version(meterline: Run) -> None:
    assert "db upgrade" not in meterline("tenant", "list").stderr


def test_doctor_of_a_new_ledger_finds_nothing_wrong(meterline: Run) -> None:
    finished = meterline("doctor")
    assert (0, False) == (finished.returncode, "WRONG" in finished.stdout)


def test_doctor_tells_that_there_is_no_tenant(meterline: Run) -> None:
    assert "note  no tenant yet; run `meterline tenant add`" in meterline("doctor").stdout


def test_doctor_tells_what_to_do_with_an_empty_database(meterline: Run, empty: str) -> None:
    finished = meterline("doctor", METERLINE_DATABASE_URL=empty)
    wrong = f"WRONG the ledger has no tables yet and needs {HEAD}; run `meterline db upgrade`"
    assert (1, True) == (finished.returncode, wrong in finished.stdout.splitlines())


def test_doctor_looks_at_the_ledger_although_the_price_book_is_gone(meterline: Run) -> None:
    finished = meterline("doctor", METERLINE_PRICE_FILE="/gone.toml")
    assert (True, True) == (
        "WRONG /gone.toml" in finished.stdout,
        f"schema {HEAD}" in finished.stdout,
    )


def test_doctor_names_every_faulty_setting(meterline: Run) -> None:
    finished = meterline("doctor", **FAULTY)
    assert {1} == {finished.returncode, *(name in finished.stdout for name in FAULTY)}


def test_all_faulty_settings_are_named_together(meterline: Run) -> None:
    finished = meterline("tenant", "list", **FAULTY)
    assert list(FAULTY) == [name for name in FAULTY if f"{name}: " in finished.stderr]


def test_faulty_settings_are_a_usage_error(meterline: Run) -> None:
    assert 2 == meterline("tenant", "list", **FAULTY).returncode


def test_a_faulty_address_is_named_together_with_other_faults(meterline: Run) -> None:
    finished = meterline("tenant", "list", METERLINE_DATABASE_URL="nowhere", **FAULTY)
    assert "METERLINE_DATABASE_URL" in finished.stderr


def test_the_value_of_a_faulty_setting_is_not_printed(meterline: Run) -> None:
    finished = meterline("doctor", **FAULTY)
    assert "hush-hush" not in finished.stdout + finished.stderr


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{SECRET}@host/db",
        f"sqlite://user:{SECRET}@host/ledger.db",
        f"sqlite:///{SECRET}/absent/ledger.db",
        f"nonsense {SECRET}",
        f"sqlite+pysqlite+{SECRET}:///x",
    ],
)
def test_the_address_of_a_ledger_is_never_printed(meterline: Run, url: str) -> None:
    finished = meterline("doctor", METERLINE_DATABASE_URL=url)
    assert SECRET not in finished.stdout + finished.stderr


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "postgresql://host",
        "mysql://host/db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite://host/ledger.db",
        "sqlite+aiosqlite:///ledger.db",
        "sqlite+nothing:///ledger.db",
    ],
)
def test_an_address_that_is_no_ledger_is_a_usage_error(meterline: Run, url: str) -> None:
    finished = meterline("verify", METERLINE_DATABASE_URL=url)
    assert (2, False) == (finished.returncode, TRACE in finished.stderr)


@pytest.mark.parametrize("command", [("db", "upgrade"), ("verify",), ("doctor",)])
def test_a_file_that_is_no_database_is_refused_in_a_sentence(
    meterline: Run, ledger_path: Path, command: tuple[str, ...]
) -> None:
    ledger_path.write_text("not a database\n" * 1000, encoding="utf-8")
    finished = meterline(*command)
    assert (1, False) == (finished.returncode, TRACE in finished.stderr)


def test_a_ledger_in_a_folder_that_is_not_there_is_unavailable(meterline: Run) -> None:
    finished = meterline("verify", METERLINE_DATABASE_URL="sqlite:////absent/ledger.db")
    assert (1, "error: the ledger did not answer: unable to open database file\n") == (
        finished.returncode,
        finished.stderr,
    )


def test_a_price_book_that_is_gone_is_named(meterline: Run) -> None:
    finished = meterline("work", "--once", METERLINE_PRICE_FILE="/gone.toml")
    assert (2, True) == (finished.returncode, finished.stderr.startswith("error: /gone.toml: "))


def test_all_faults_of_a_price_book_are_named_together(meterline: Run, tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text('name = "x"\ncurrency = "EUR"\n[rates.sms]\noutbound = 0.1\n', encoding="utf-8")
    told = meterline("verify", METERLINE_PRICE_FILE=str(path)).stderr
    assert (True, True) == ("currency: " in told, "rates.sms.outbound must be" in told)
