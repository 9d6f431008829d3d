"""The commands around InfluxDB, as a person types them."""

import signal
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import product
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from ledger.models import relay_state
from ledger.session import operator_session
from ledger.shipping import measure_unshipped
from ledger.tenant import TenantId
from tests.builders import ai, sms
from tests.commands import Done, run_here
from tests.conftest import Book, Run
from tests.costed import book as book_only
from tests.costed import only_row, tamper
from tests.processes import Launcher, wait_until
from tests.servers.faults import FaultProxy, Reply, Request
from tests.servers.influx import Influx
from tests.servers.influx_stand_in import ORG, TOKEN, InfluxTwoStandIn
from tests.service.series.conftest import Ship

EVENTS = 'SELECT count("quantity") FROM "usage"'


Command = Callable[..., Done]


@pytest.fixture
def command(influx: Influx, ledger_url: str) -> Command:
    """Run the command on the test's ledger and InfluxDB."""

    def run(*arguments: str | Path, **environment: str) -> Done:
        settings = {"METERLINE_DATABASE_URL": ledger_url, "METERLINE_INFLUX_URL": influx.url}
        return run_here(*arguments, **{**settings, **environment})

    return run


def test_work_ships_what_it_has_costed(command: Command, influx: Influx, book: Book) -> None:
    book(sms("a"), ai("b"))
    done = command("work", "--once")
    expected = (0, "batches costed: 0\npoints shipped: 5\n", 2)
    assert expected == (done.returncode, done.stdout, influx.value(EVENTS))


def test_work_without_influxdb_says_nothing_of_it(meterline: Run, book: Book) -> None:
    book(sms("a"))
    assert "batches costed: 0\n" == meterline("work", "--once").stdout


def test_an_empty_setting_is_one_that_is_not_set(meterline: Run) -> None:
    done = meterline("work", "--once", METERLINE_INFLUX_URL="", METERLINE_INFLUX_TOKEN="")
    assert "batches costed: 0\n" == done.stdout


def test_work_that_cannot_ship_says_why_and_exits_with_1(
    command: Command, influx: Influx, book: Book
) -> None:
    book(sms("a"))
    influx.kill()
    done = command("work", "--once")
    assert (1, "not shipped: InfluxDB answers 502: status 502\n") == (done.returncode, done.stderr)


def test_a_worker_ships_while_it_costs(
    influx: Influx, book: Book, tmp_path: Path, ledger_url: str
) -> None:
    launcher = Launcher(tmp_path / "worker", ledger_url, METERLINE_INFLUX_URL=influx.url)
    try:
        launcher.start("work")
        book(sms("a"))
        wait_until(lambda: influx.value(EVENTS) == 1, "the event is in InfluxDB")
        book(sms("b"))
        wait_until(lambda: influx.value(EVENTS) == 2, "the second one is, too")
    finally:
        launcher.close()


def test_a_worker_goes_on_when_influxdb_is_back(
    influx: Influx, book: Book, tmp_path: Path, ledger_url: str
) -> None:
    settings = {"METERLINE_INFLUX_URL": influx.url, "METERLINE_INFLUX_TIMEOUT_SECONDS": "0.5"}
    influx.kill()
    launcher = Launcher(tmp_path / "worker", ledger_url, **settings)
    try:
        worker = launcher.start("work")
        book(sms("a"))
        wait_until(lambda: "not shipped" in worker.log.read_text(), "the worker tells")
        influx.start()
        wait_until(lambda: influx.value(EVENTS) == 1, "the event is in InfluxDB")
    finally:
        launcher.close()


def test_costing_waits_for_no_answer_of_influxdb(
    faults: FaultProxy, engine: sa.Engine, intake: Intake, tmp_path: Path, ledger_url: str
) -> None:
    stuck = threading.Event()

    def hang(request: Request) -> Reply | None:
        if not request.path.startswith("/api/v2/write"):
            return None
        stuck.set()
        return Reply(204, delay=30)

    faults.rule = hang
    launcher = Launcher(tmp_path / "worker", ledger_url, METERLINE_INFLUX_URL=faults.url)
    try:
        launcher.start("work")
        book_only(intake, sms("a"))
        wait_until(stuck.is_set, "the relay waits for an answer")
        book_only(intake, sms("b"))
        wait_until(lambda: only_row(engine).tally.events == 2, "the second event is costed")
    finally:
        launcher.close()


def test_a_demo_ships_nothing_of_what_it_invents(
    command: Command, influx: Influx, tmp_path: Path
) -> None:
    path = tmp_path / "demo.db"
    done = command("demo", "--days", "1", "--no-serve", "--path", path)
    with closing(sqlite3.connect(path)) as ledger:
        (waiting,) = ledger.execute("SELECT count(*) FROM unshipped_batches").fetchone()
    assert (0, 0, []) == (done.returncode, waiting, influx.query("SHOW MEASUREMENTS"))


def test_rebuild_sends_usage_of_before_influxdb_was_configured(
    command: Command, engine: sa.Engine, influx: Influx, book: Book
) -> None:
    book(sms("a"), sms("b", tenant="karachi"))
    tamper(engine, "DELETE FROM unshipped_batches")
    before = command("work", "--once").stdout
    done = command("rebuild", "series")
    expected = ("batches costed: 0\npoints shipped: 4\n", "points shipped: 6\n", 2)
    assert expected == (before, done.stdout, influx.value(EVENTS))


def test_rebuild_takes_one_tenant_and_a_range_of_dates(
    command: Command, influx: Influx, book: Book, ship: Ship
) -> None:
    book(sms("a"), sms("b", time="2026-03-08T12:00:00Z"), sms("c", tenant="karachi"))
    ship()
    influx.query('DROP MEASUREMENT "usage"')
    options = ("--tenant", "acme", "--from", "2026-03-09", "--to", "2026-03-09")
    command("rebuild", "series", *options)
    # Whole batches are sent: both events of acme are of one.
    assert [["acme", 2]] == [
        [one["tags"]["tenant"], one["values"][0][1]]
        for one in influx.query(f'{EVENTS} GROUP BY "tenant"')
    ]


def test_rebuild_of_one_tenant_ships_no_other(
    command: Command, engine: sa.Engine, influx: Influx, book: Book
) -> None:
    book(sms("a"), sms("k", tenant="karachi"))
    command("rebuild", "series", "--tenant", "acme")
    tenants = [one["tags"]["tenant"] for one in influx.query(f'{EVENTS} GROUP BY "tenant"')]
    with operator_session(engine) as session:
        left = [measure_unshipped(session, TenantId(name)).points for name in ("acme", "karachi")]
    assert (["acme"], [0, 3]) == (tenants, left)


def test_rebuild_tries_at_once_what_is_held_back(
    command: Command, influx: Influx, book: Book
) -> None:
    influx.write('usage,tenant=other quantity="text" 1773057600000000000')
    book(sms("a"))
    command("work", "--once")
    influx.query('DROP DATABASE "meterline"')
    influx.query('CREATE DATABASE "meterline"')
    assert (0, 1) == (command("rebuild", "series").returncode, influx.value(EVENTS))


def test_work_tells_what_is_held_back_and_ships_all_else(
    command: Command, influx: Influx, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.relay.job._MOST_PARCELS", 1)
    influx.write('usage,tenant=other quantity="text" 1736078400000000000')
    book(sms("bad", time="2025-01-05T12:00:00Z"))
    book(*(sms(f"k{n}", tenant="karachi") for n in range(3)))
    done = command("work", "--once")
    told = "tenant acme is not shipped: usage is held back" in done.stderr
    assert (1, True, 3) == (done.returncode, told, influx.value(EVENTS))


def test_rebuild_drops_what_does_not_belong_there(
    command: Command, influx: Influx, book: Book, ship: Ship
) -> None:
    book(sms("a"))
    ship()
    influx.write("usage,tenant=acme quantity=1i 1773057600000000999")
    command("rebuild", "series", "--drop")
    assert 1 == influx.value(EVENTS)


def test_rebuild_drops_no_points_whose_raw_usage_retention_took(
    command: Command, influx: Influx, book: Book, ship: Ship
) -> None:
    book(sms("old", time="2026-01-05T12:00:00Z"), sms("new"))
    ship()
    command("retention", "run", "--days", "30")
    command("rebuild", "series", "--drop")
    assert 2 == influx.value(EVENTS)


def test_rebuild_without_influxdb_is_refused(meterline: Run) -> None:
    done = meterline("rebuild", "series")
    assert (2, "error: set METERLINE_INFLUX_URL first\n") == (done.returncode, done.stderr)


def test_half_a_range_is_refused(meterline: Run) -> None:
    assert (
        "--from and --to go together" in meterline("rebuild", "series", "--to", "2026-03-09").stderr
    )


def test_verify_proves_the_series_too(command: Command, book: Book, ship: Ship) -> None:
    book(sms("a"))
    ship()
    last = command("verify").stdout.splitlines()[-1]
    assert "ledger = rollups = CSV = series: 1 events, 0.0089 USD" == last


def test_verify_names_what_the_series_lack(
    command: Command, influx: Influx, book: Book, ship: Ship
) -> None:
    book(sms("a"))
    ship()
    influx.query('DROP MEASUREMENT "usage"')
    done = command("verify")
    text = (
        "DIFFERS acme: series usage of 2026-03-09: points: expected 1, found 0;"
        " `meterline rebuild series` sends it again\n"
    )
    assert (1, text) == (done.returncode, done.stderr)


def test_verify_tells_what_the_ledger_lacks_also_where_influxdb_is_down(
    command: Command, influx: Influx, engine: sa.Engine, book: Book
) -> None:
    book(sms("a"))
    tamper(engine, "UPDATE usage_rollups_daily SET quantity = 7")
    influx.kill()
    done = command("verify")
    told = [line.split(":")[0] for line in done.stderr.splitlines()]
    assert (1, ["DIFFERS acme", "error"]) == (done.returncode, told)


def test_verify_shows_apart_what_waits(command: Command, book: Book) -> None:
    book(sms("a"))
    done = command("verify")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert (0, ["acme", "1", "2", "0", "0"]) == (done.returncode, lines[-2])


def test_setup_makes_both_buckets_once(command: Command) -> None:
    options = ("influx", "setup", "--usage-retention-days", "30")
    said = [command(*options, METERLINE_INFLUX_USAGE_BUCKET="raw").stdout for _ in range(2)]
    made = [[line.split(": ")[1] for line in text.splitlines()[1:3]] for text in said]
    assert [["there already", "created"], ["there already", "there already"]] == made


def test_a_retention_of_figures_is_refused(command: Command) -> None:
    done = command("influx", "setup", "--usage-retention-days", "30")
    assert (2, True) == (done.returncode, "METERLINE_INFLUX_USAGE_BUCKET" in done.stderr)


def test_doctor_finds_nothing_wrong_with_series_that_are_well(
    command: Command, book: Book, ship: Ship
) -> None:
    book(sms("a"))
    ship()
    done = command("doctor")
    told = [line for line in done.stdout.splitlines() if "nfluxDB" in line or "bucket" in line]
    assert (0, 2) == (done.returncode, len(told))


def test_doctor_tells_that_there_are_no_series(meterline: Run) -> None:
    text = "note  METERLINE_INFLUX_URL is not set: there are no series"
    assert text in meterline("doctor").stdout.splitlines()


def doctor_says(command: Command, **environment: str) -> list[str]:
    """Return what doctor finds wrong; its exit code has to say so."""
    done = command("doctor", **environment)
    wrong = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert bool(wrong) == (done.returncode == 1)
    return wrong


def test_doctor_tells_an_address_where_nobody_answers(command: Command) -> None:
    (wrong,) = doctor_says(command, METERLINE_INFLUX_URL="http://127.0.0.1:9")
    assert "METERLINE_INFLUX_URL: InfluxDB does not answer" in wrong


def test_doctor_tells_a_bucket_that_is_not_there(command: Command) -> None:
    (wrong,) = doctor_says(command, METERLINE_INFLUX_BUCKET="nowhere")
    assert "bucket nowhere: InfluxDB has no such bucket; run `meterline influx setup`" in wrong


def test_doctor_tells_an_influxdb_that_is_too_old(command: Command, influx: Influx) -> None:
    url = f"http://127.0.0.1:{influx.bare_port}"
    (wrong,) = doctor_says(command, METERLINE_INFLUX_URL=url)
    assert "older than 1.8" in wrong


def test_doctor_tells_a_token_that_is_refused(command: Command) -> None:
    with closing(InfluxTwoStandIn()) as two:
        settings = {"METERLINE_INFLUX_URL": two.url, "METERLINE_INFLUX_ORG": ORG}
        (wrong,) = doctor_says(command, **settings, METERLINE_INFLUX_TOKEN="s3cret-of-a-test")
    assert (True, False) == ("InfluxDB refuses the token (401)" in wrong, "s3cret" in wrong)


def test_doctor_tells_figures_that_expire(command: Command, influx: Influx) -> None:
    influx.query('CREATE DATABASE "brief" WITH DURATION 30d')
    (wrong,) = doctor_says(command, METERLINE_INFLUX_BUCKET="brief")
    assert "keeps points for 30 days" in wrong


def test_doctor_tells_a_backlog_and_the_last_error(
    command: Command, influx: Influx, engine: sa.Engine, book: Book
) -> None:
    book(sms("a"))
    tamper(engine, "UPDATE unshipped_batches SET booked_at = '2026-03-10 11:00:00.000000'")
    influx.kill()
    command("work", "--once")
    influx.start()
    late, failing = doctor_says(command)
    expected = ("3 points wait to be shipped", "is `meterline work` running?", "status 502")
    assert [True] * 3 == [expected[0] in late, expected[1] in late, expected[2] in failing]


def test_doctor_tells_what_is_held_back_with_the_reason(
    command: Command, influx: Influx, book: Book
) -> None:
    influx.write('usage,tenant=other quantity="text" 1736078400000000000')
    book(sms("bad", time="2025-01-05T12:00:00Z"))
    command("work", "--once")
    wrong = doctor_says(command)[-1]
    expected = ("usage of tenant acme is held back since", "tried 1 times", "field type conflict")
    assert [True] * 3 == [text in wrong for text in expected]


def test_doctor_tells_figures_that_wait_too_long_and_no_event_does(
    command: Command, influx: Influx, book: Book
) -> None:
    influx.write('usage_cost,tenant=other cost="text" 1773057600000000000')
    book(sms("a"))  # in March, which is long ago
    command("work", "--once")
    told = doctor_says(command)
    assert (True, True) == (
        "1 points wait to be shipped, the oldest for" in told[0],
        "usage_cost of tenant acme is held back" in told[1],
    )


def test_doctor_tells_quarantined_points_with_their_reason(
    command: Command, influx: Influx, book: Book
) -> None:
    influx.write('usage,tenant=other quantity="text" 1736078400000000000')
    book(sms("bad", time="2025-01-05T12:00:00Z"), sms("good"))
    command("work", "--once")
    (wrong,) = doctor_says(command)
    assert (True, True) == ("1 points are quarantined" in wrong, "field type conflict" in wrong)


def test_verify_claims_no_series_that_points_in_quarantine_are_missing_from(
    command: Command, influx: Influx, book: Book
) -> None:
    influx.write('usage,tenant=acme quantity="text" 1736078400000000000')
    book(sms("bad", time="2025-01-05T12:00:00Z"), sms("good"))
    command("work", "--once")
    influx.query("DELETE FROM \"usage\" WHERE time < '2025-02-01'")
    last = command("verify").stdout.splitlines()[-1]
    assert "ledger = rollups = CSV = series but for 1 quarantined points: 2 events" in last


def test_rebuild_brings_points_back_from_quarantine_when_their_cause_is_gone(
    command: Command, influx: Influx, book: Book
) -> None:
    influx.write('usage,tenant=acme quantity="text" 1736078400000000000')
    book(sms("bad", time="2025-01-05T12:00:00Z"), sms("good"))
    command("work", "--once")
    influx.query('DROP DATABASE "meterline"')
    influx.query('CREATE DATABASE "meterline"')
    done = command("rebuild", "series")
    last = command("verify").stdout.splitlines()[-1]
    told = "ledger = rollups = CSV = series: 2 events"
    assert (0, 2, told) == (done.returncode, influx.value(EVENTS), last.split(",")[0])


SHAPES = [
    b"[]",
    b'"x"',
    b"7",
    b"null",
    b"<html>",
    b"{}",
    b'{"results":[null]}',
    b'{"results":{"a":1}}',
    b'{"results":7,"buckets":7,"orgs":7}',
    b'{"results":[{"series":7}],"buckets":[7],"orgs":[7]}',
    b'{"results":[{"series":[{"columns":["time","a"],"values":[[1]]}]}],"buckets":[{}],"orgs":[{}]}',
    b'{"results":[{"series":[{"columns":["time"],"values":[["x"]]}]}],"buckets":null,"orgs":null}',
    b'{"results":[{"series":[{"columns":["default","name"],"values":[[true,7]]}]}],"version":[]}',
    b'{"results":[{"error":7}],"buckets":[{"name":"meterline","id":1,"retentionRules":[7]}]}',
]
COMMANDS = [
    "doctor",
    "verify",
    "influx setup",
    "work --once",
    "rebuild series",
    "rebuild series --drop",
]


def always(reply: Reply, _request: Request) -> Reply:
    return reply


@pytest.mark.parametrize("line", COMMANDS)
@pytest.mark.ledger("sqlite")
def test_an_answer_of_another_shape_ends_no_command_in_a_traceback(
    command: Command, influx: Influx, engine: sa.Engine, book: Book, line: str
) -> None:
    book(sms("a"))
    with closing(FaultProxy(influx.url)) as proxy:
        settings = {"METERLINE_INFLUX_URL": proxy.url, "METERLINE_INFLUX_ORG": ORG}
        for version, body in product(("1.8.10", "2.7.11", "3.0.1"), SHAPES):
            reply = Reply(200, body, (("X-Influxdb-Version", version),))
            with proxy.answering(partial(always, reply)):
                command(*line.split(), **settings)
            # What was sent to nobody knows whom may still take effect, and keeps its lease.
            tamper(engine, "UPDATE relay_state SET lease_owner = NULL")


def test_rebuild_keeps_points_in_quarantine_whose_raw_usage_retention_took(
    command: Command, influx: Influx, engine: sa.Engine, book: Book
) -> None:
    influx.write('usage,tenant=other quantity="text" 1736078400000000000')
    book(sms("bad", time="2025-01-05T12:00:00Z"), sms("good"))
    command("work", "--once")
    command("retention", "run", "--days", "30")  # takes both
    command("rebuild", "series")
    with operator_session(engine) as session:
        refused = measure_unshipped(session).quarantined
    influx.query('DROP DATABASE "meterline"')
    influx.query('CREATE DATABASE "meterline"')
    command("rebuild", "series")
    assert (1, 1) == (refused, influx.value(EVENTS))


def test_faulty_settings_of_influxdb_are_told_together(meterline: Run) -> None:
    done = meterline(
        "work", "--once",
        METERLINE_INFLUX_URL="influx:8086", METERLINE_INFLUX_BUCKET="a/b",
        METERLINE_INFLUX_TIMEOUT_SECONDS="0",
    )  # fmt: skip
    names = [line.split(":")[0].strip() for line in done.stderr.splitlines()[1:]]
    expected = [f"METERLINE_INFLUX_{name}" for name in ("URL", "BUCKET", "TIMEOUT_SECONDS")]
    assert (2, expected) == (done.returncode, names)


def test_doctor_tells_an_organisation_that_is_missing(command: Command) -> None:
    with closing(InfluxTwoStandIn()) as two:
        two.buckets["meterline"] = {"id": "b", "name": "meterline"}
        settings = {"METERLINE_INFLUX_URL": two.url, "METERLINE_INFLUX_TOKEN": TOKEN}
        (wrong,) = doctor_says(command, **settings)
    assert "bucket meterline: InfluxDB 2.x needs METERLINE_INFLUX_ORG" in wrong


def test_doctor_tells_an_organisation_that_influxdb_does_not_have(command: Command) -> None:
    with closing(InfluxTwoStandIn()) as two:
        two.buckets["meterline"] = {"id": "b", "name": "meterline"}
        settings = {"METERLINE_INFLUX_URL": two.url, "METERLINE_INFLUX_TOKEN": TOKEN}
        (wrong,) = doctor_says(command, **settings, METERLINE_INFLUX_ORG="nobody")
    expected = "InfluxDB has no organisation as METERLINE_INFLUX_ORG names it"
    assert f"bucket meterline: {expected}" in wrong


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.ledger("sqlite")
def test_doctor_tells_it_whichever_status_says_so(
    command: Command, influx: Influx, status: int
) -> None:
    body = b'{"code":"not found","message":"organization name \\"nobody\\" not found"}'
    with closing(FaultProxy(influx.url)) as proxy:
        proxy.rule = lambda request: Reply(status, body) if "write" in request.path else None
        (wrong,) = doctor_says(command, METERLINE_INFLUX_URL=proxy.url)
    assert "InfluxDB has no organisation as METERLINE_INFLUX_ORG names it" in wrong


def test_a_worker_that_is_told_to_stop_gives_its_leases_back(
    faults: FaultProxy, book: Book, tmp_path: Path, ledger_url: str, engine: sa.Engine
) -> None:
    for n in range(8):
        book(sms(f"a{n}"), sms(f"k{n}", tenant="karachi"))
    begun = threading.Event()

    def slow(request: Request) -> Reply | None:
        if not request.path.startswith("/api/v2/write"):
            return None
        begun.set()
        return Reply(500, delay=1)

    faults.rule = slow
    launcher = Launcher(tmp_path / "worker", ledger_url, METERLINE_INFLUX_URL=faults.url)
    try:
        worker = launcher.start("work")
        wait_until(begun.is_set, "the relay sends")
        leased = leases(engine)
        worker.signal(signal.SIGTERM)
        worker.wait()
    finally:
        launcher.close()
    assert (2, 0) == (leased, leases(engine))


def leases(engine: sa.Engine) -> int:
    """Return how many tenants are leased."""
    query = sa.select(sa.func.count(relay_state.c.lease_owner))
    with operator_session(engine) as session:
        return session.connection.scalar(query) or 0
