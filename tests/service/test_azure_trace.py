"""A real trace of 19,366 requests to a language model, by the commands that a person types."""

import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import sqlalchemy as sa

from ledger.engine import create_ledger_engine
from ledger.models import usage_metrics
from ledger.session import operator_session
from tests.servers.influx import Influx, require_influx

EXPORT_HEADER = "date,channel,direction,source,feature,count,estimated_cost"
EXPORT = ("export", "--from", "2023-11-01", "--to", "2023-11-30", "--tenant")

TRACE = "AzureLLMInferenceTrace_conv.csv"


def run(url: str, *arguments: str | Path, **settings: str) -> CompletedProcess[str]:
    """Run the command on a ledger; it has to succeed."""
    return subprocess.run(
        [Path(sys.executable).parent / "meterline", *arguments],
        env={**os.environ, "METERLINE_DATABASE_URL": url, **settings},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


def import_trace(url: str, shared: Path, tenant: str) -> str:
    """Import the trace for a tenant and return what the command says."""
    return run(
        url, "import", shared / "data" / TRACE,
        "--map", "time=TIMESTAMP", "--map", "input_tokens=ContextTokens",
        "--map", "output_tokens=GeneratedTokens", "--set", f"tenant={tenant}",
        "--set", "channel=ai", "--set", "source=openai", "--set", "feature=support_ai",
        "--set", "model=house-llm", "--timezone", "UTC",
    ).stdout  # fmt: skip


@pytest.fixture(scope="module")
def acme(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The file of a new ledger with the trace, costed for a tenant in UTC, and the import's words.

    It is built once, since it takes six seconds; tests work on copies.
    """
    path = tmp_path_factory.mktemp("trace") / "ledger.db"
    url = f"sqlite:///{path}"
    run(url, "db", "upgrade")
    run(url, "tenant", "add", "acme", "--name", "Acme", "--plan", "Pro")
    said = import_trace(url, shared, "acme")
    run(url, "work", "--once")
    return path, said


@pytest.fixture
def url(acme: tuple[Path, str], tmp_path: Path) -> str:
    """A copy of that ledger."""
    return f"sqlite:///{shutil.copy(acme[0], tmp_path / 'trace.db')}"


def sum_tokens(url: str) -> tuple[int, int]:
    columns = usage_metrics.c
    query = sa.select(sa.func.sum(columns.input_tokens), sa.func.sum(columns.output_tokens))
    engine = create_ledger_engine(url)
    with operator_session(engine) as session:
        sent, received = session.connection.execute(query).one()
    engine.dispose()
    return sent, received


def test_every_request_of_the_trace_is_stored(acme: tuple[Path, str]) -> None:
    assert "19366 stored, 0 duplicate, 0 conflict, 0 rejected\n" == acme[1]


def test_the_ledger_holds_the_tokens_of_the_trace(url: str) -> None:
    assert (22_361_870, 4_088_665) == sum_tokens(url)


def test_the_export_bills_the_trace_to_the_last_digit(url: str) -> None:
    line = "2023-11-16,ai,outbound,openai,support_ai,19366,69.25573"
    assert [EXPORT_HEADER, line] == run(url, *EXPORT, "acme").stdout.splitlines()


def test_verify_proves_the_same_bill(url: str) -> None:
    proof = "ledger = rollups = CSV: 19366 events, 69.25573 USD"
    assert proof == run(url, "verify").stdout.splitlines()[-1]


def test_the_trace_imported_again_is_all_duplicates(url: str, shared: Path) -> None:
    expected = "0 stored, 19366 duplicate, 0 conflict, 0 rejected\n"
    assert expected == import_trace(url, shared, "acme")


def test_a_tenant_in_karachi_has_the_trace_on_two_days(url: str, shared: Path) -> None:
    run(url, "tenant", "add", "karachi", "--timezone", "Asia/Karachi")
    import_trace(url, shared, "karachi")
    run(url, "work", "--once")
    days = [
        "2023-11-16,ai,outbound,openai,support_ai,15606,55.718064",
        "2023-11-17,ai,outbound,openai,support_ai,3760,13.537666",
    ]
    assert [EXPORT_HEADER, *days] == run(url, *EXPORT, "karachi").stdout.splitlines()


def read_series(influx: Influx) -> tuple[int, int]:
    """Return what the trace cost and how many events it has, as InfluxDB sums them."""
    return (
        influx.value('SELECT sum("cost_nanos") FROM "usage_cost"'),
        influx.value('SELECT count("quantity") FROM "usage"'),
    )


def test_the_series_say_the_same_however_often_they_are_sent(shared: Path, tmp_path: Path) -> None:
    require_influx()
    url = f"sqlite:///{tmp_path / 'shipped.db'}"
    found = []
    with closing(Influx(tmp_path / "influx")) as influx:
        settings = {"METERLINE_INFLUX_URL": influx.url}
        run(url, "db", "upgrade")
        run(url, "tenant", "add", "acme", "--name", "Acme", "--plan", "Pro")
        run(url, "influx", "setup", **settings)
        import_trace(url, shared, "acme")
        for command in (("work", "--once"), ("rebuild", "series"), ("rebuild", "series", "--drop")):
            run(url, *command, **settings)
            found.append(read_series(influx))
        proof = run(url, "verify", **settings).stdout.splitlines()[-1]
    said = "ledger = rollups = CSV = series: 19366 events, 69.25573 USD"
    assert ([(69_255_730_000, 19_366)] * 3, said) == (found, proof)
