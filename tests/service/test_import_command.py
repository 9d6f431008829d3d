from pathlib import Path
from subprocess import CompletedProcess

import orjson
import pytest
import sqlalchemy as sa

from ledger.models import usage_metrics
from ledger.session import operator_session
from tests.builders import sms
from tests.conftest import Run

# What a command or a server says does not depend on the database that is behind it.
pytestmark = pytest.mark.ledger("sqlite")

MAPS = ("--map", "time=time", "--map", "feature=feature")
SETS = ("--set", "tenant=acme", "--set", "channel=sms", "--timezone", "UTC")
GOOD = "2026-03-09 12:00,f1\n"

Result = CompletedProcess[str]

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def usage(tmp_path: Path) -> Path:
    return tmp_path / "usage.txt"


def load(meterline: Run, usage: Path, text: str, *options: str) -> Result:
    """Import a CSV text with the columns time and feature."""
    usage.write_text(text, encoding="utf-8")
    return meterline("import", usage, *(options or MAPS), *SETS)


def load_events(meterline: Run, usage: Path, *events: object) -> Result:
    usage.write_bytes(b"\n".join(orjson.dumps(event) for event in events))
    return meterline("import", usage)


def faults(finished: Result) -> list[str]:
    return [line for line in finished.stderr.splitlines() if line.startswith("line ")]


def count_stored(engine: sa.Engine) -> int:
    with operator_session(engine) as session:
        query = sa.select(sa.func.count()).select_from(usage_metrics)
        return int(session.connection.execute(query).scalar_one())


def test_an_import_says_what_became_of_the_rows(meterline: Run, usage: Path) -> None:
    finished = load(meterline, usage, f"time,feature\n{GOOD}{GOOD}")
    assert (0, "2 stored, 0 duplicate, 0 conflict, 0 rejected\n") == (
        finished.returncode,
        finished.stdout,
    )


def test_an_import_run_again_says_that_all_are_duplicates(meterline: Run, usage: Path) -> None:
    load(meterline, usage, f"time,feature\n{GOOD}")
    finished = load(meterline, usage, f"time,feature\n{GOOD}")
    assert (0, "0 stored, 1 duplicate, 0 conflict, 0 rejected\n") == (
        finished.returncode,
        finished.stdout,
    )


def test_a_file_with_a_header_alone_is_no_fault(meterline: Run, usage: Path) -> None:
    assert 0 == load(meterline, usage, "time,feature\n").returncode


def test_a_missing_column_is_named_with_its_line(meterline: Run, usage: Path) -> None:
    finished = load(meterline, usage, f"time,topic\n{GOOD}")
    assert (
        "error: line 1: --map feature=feature: the header has no such column; it has time, topic"
        in finished.stderr
    )


def test_a_missing_column_is_found_wrong(meterline: Run, usage: Path) -> None:
    assert 1 == load(meterline, usage, f"time,topic\n{GOOD}").returncode


def test_a_broken_row_is_named_with_its_line(meterline: Run, usage: Path) -> None:
    finished = load(meterline, usage, f'time,feature\n{GOOD}2026-03-09 12:00,"f2\n{GOOD}')
    assert ["line 3: broken_row: a quote is never closed"] == faults(finished)


def test_a_broken_row_is_found_wrong_and_the_rest_is_booked(meterline: Run, usage: Path) -> None:
    finished = load(meterline, usage, f"time,feature\n{GOOD}2026-03-09 12:00\n{GOOD}")
    assert (1, "2 stored, 0 duplicate, 0 conflict, 1 rejected\n") == (
        finished.returncode,
        finished.stdout,
    )


def test_a_conflict_is_found_wrong(meterline: Run, usage: Path) -> None:
    finished = load_events(meterline, usage, sms("SM1"), sms("SM1", quantity=2))
    assert (1, "1 stored, 0 duplicate, 1 conflict, 0 rejected\n") == (
        finished.returncode,
        finished.stdout,
    )


def test_a_broken_line_of_events_is_named(meterline: Run, usage: Path) -> None:
    usage.write_bytes(orjson.dumps(sms("SM1")) + b'\n{"id":\n' + orjson.dumps(sms("SM2")))
    (fault,) = faults(meterline("import", usage))
    assert fault.startswith("line 2: malformed_json: not JSON: ")


def test_the_field_at_fault_is_named(meterline: Run, usage: Path) -> None:
    (fault,) = faults(load_events(meterline, usage, sms(channel="fax")))
    assert fault.startswith("line 1: unknown_channel channel: channel is one of ")


def test_faults_are_named_up_to_a_hundred(meterline: Run, usage: Path) -> None:
    assert 100 == len(faults(load(meterline, usage, "time,feature\n" + "broken\n" * 150)))


def test_faults_beyond_a_hundred_are_counted(meterline: Run, usage: Path) -> None:
    finished = load(meterline, usage, "time,feature\n" + "broken\n" * 150)
    assert "and 50 more lines" in finished.stderr.splitlines()


def test_metadata_that_was_not_kept_is_told(meterline: Run, usage: Path) -> None:
    finished = load_events(meterline, usage, sms(metadata={"colour": "red"}))
    assert "metadata colour was not kept (events: 1)" in finished.stderr


def test_what_metadata_held_is_never_printed(meterline: Run, usage: Path) -> None:
    finished = load_events(
        meterline,
        usage,
        sms("SM1", metadata={"body": "hush-hush"}),
        sms("hush@example.com"),
        sms("SM3", metadata={"colour": "hush-hush"}),
    )
    assert "hush" not in finished.stdout + finished.stderr


def test_another_delimiter_and_equals_signs_in_a_column_name_work(
    meterline: Run, usage: Path
) -> None:
    options = ("--delimiter", ";", "--map", "time=a=b")
    assert 0 == load(meterline, usage, "a=b;f\n2026-03-09 12:00;x,y\n", *options).returncode


def test_an_excel_file_is_refused_in_one_sentence(meterline: Run, usage: Path) -> None:
    usage.write_bytes(f"time,feature\n{GOOD}".encode("utf-16"))
    finished = meterline("import", usage, *MAPS, *SETS)
    assert "error: line 1: not UTF-8; save the file as UTF-8" in finished.stderr.splitlines()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "tenant=acme"), "--set and --timezone need --map"),
        (("--timezone", "UTC"), "--set and --timezone need --map"),
        (("--map", "time"), "'time' is not FIELD=COLUMN"),
        (("--map", "=time"), "'=time' is not FIELD=COLUMN"),
        (("--map", "time=a", "--set", "tenant="), "'tenant=' is not FIELD=VALUE"),
        (("--map", "time=a", "--set", "time=b"), "time is both mapped and set"),
        (("--map", "time=a", "--timezone", "Mars/Olympus"), "not an IANA time zone"),
        (("--map", "time=a", "--delimiter", ";;"), "--delimiter is one character"),
        (("--map", "time=a", "--delimiter", ""), "--delimiter is one character"),
    ],
)
def test_options_that_mean_nothing_are_a_usage_error(
    meterline: Run, usage: Path, options: tuple[str, ...], message: str
) -> None:
    usage.write_text("a,b\n2026-03-09,1\n", encoding="utf-8")
    finished = meterline("import", usage, *options)
    assert (2, True) == (finished.returncode, message in finished.stderr)


@pytest.mark.parametrize("option", ["--map", "--set"])
def test_a_field_given_twice_is_a_usage_error(meterline: Run, usage: Path, option: str) -> None:
    usage.write_text("a,b\n2026-03-09,1\n", encoding="utf-8")
    finished = meterline("import", usage, "--map", "time=a", option, "id=a", option, "id=b")
    assert 2 == finished.returncode


@pytest.mark.parametrize("name", ["absent.csv", "."])
def test_what_is_no_file_is_a_usage_error(meterline: Run, name: str) -> None:
    assert 2 == meterline("import", name, *MAPS).returncode


def test_a_file_is_not_read_for_a_ledger_without_tables(
    meterline: Run, usage: Path, tmp_path: Path
) -> None:
    usage.write_text(f"time,feature\n{GOOD}", encoding="utf-8")
    finished = meterline(
        "import", usage, *MAPS, METERLINE_DATABASE_URL=f"sqlite:///{tmp_path}/new.db"
    )
    assert (1, "run `meterline db upgrade`" in finished.stderr) == (finished.returncode, True)


def test_a_number_of_5000_digits_does_not_stop_the_rows_behind_it(
    meterline: Run, usage: Path, engine: sa.Engine
) -> None:
    digits = "9" * 5000
    text = f"time,feature\n2026-03-09 12:00,{digits}\n2026-03-09 12:00,1\n"
    load(meterline, usage, text, "--map", "time=time", "--map", "quantity=feature")
    assert 1 == count_stored(engine)


@pytest.mark.parametrize("event", [{"a\nline 9: b": 1}, {"\x1b[2J\x07": 1}])
def test_a_key_of_a_file_cannot_write_lines_or_commands_to_the_terminal(
    meterline: Run, usage: Path, event: dict[str, object]
) -> None:
    (fault,) = load_events(meterline, usage, {**sms(), **event}).stderr.splitlines()[1:]
    assert fault.isprintable()


def test_a_dropped_key_cannot_write_lines_or_commands_to_the_terminal(
    meterline: Run, usage: Path
) -> None:
    told = load_events(meterline, usage, sms(metadata={"a\nb\x07": 1})).stderr.splitlines()[1:]
    assert (1, True) == (len(told), all(line.isprintable() for line in told))


def test_a_header_cannot_write_commands_to_the_terminal(meterline: Run, usage: Path) -> None:
    finished = load(meterline, usage, "time\x07,topic\n")
    assert "\x07" not in finished.stderr


def test_a_wide_header_is_not_repeated_as_a_whole(meterline: Run, usage: Path) -> None:
    header = ",".join(f"column{number}" for number in range(5000))
    assert len(load(meterline, usage, f"{header}\n").stderr) < 2000
