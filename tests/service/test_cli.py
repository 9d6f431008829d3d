from subprocess import CompletedProcess

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.job import Costing
from ledger.keys import look_up_key
from ledger.models import usage_rollups_daily
from ledger.session import operator_session
from tests.builders import NOW, ai, sms
from tests.conftest import Run

EXPORT_MARCH = ("export", "--tenant", "acme", "--from", "2026-03-01", "--to", "2026-03-31")
HEADER = "date,channel,direction,source,feature,count,estimated_cost\n"

Result = CompletedProcess[str]


@pytest.fixture
def booked(intake: Intake) -> None:
    intake.book([sms("SM1"), sms("SM2"), ai("c1")], only_tenant=None, now=NOW)


@pytest.fixture
def costed(booked: None, costing: Costing) -> None:
    del booked
    costing.run(clock=lambda: NOW)


def cells(finished: Result) -> list[list[str]]:
    """Return the cells of a printed table, without its header."""
    return [line.split() for line in finished.stdout.splitlines()[1:]]


def falsify(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        session.connection.execute(sa.update(usage_rollups_daily).values(quantity=999))


def test_an_added_tenant_is_described(meterline: Run) -> None:
    options = ("--name", "Acme Ltd", "--plan", "Pro", "--timezone", "Europe/Berlin")
    finished = meterline("tenant", "add", "acme", *options)
    assert "tenant acme: Acme Ltd, plan Pro, Europe/Berlin\n" == finished.stdout


def test_a_tenant_needs_no_more_than_an_id(meterline: Run) -> None:
    assert "tenant x: x, plan unassigned, UTC\n" == meterline("tenant", "add", "x").stdout


@pytest.mark.usefixtures("engine")
def test_a_changed_tenant_keeps_what_was_not_named(meterline: Run) -> None:
    finished = meterline("tenant", "set", "acme", "--timezone", "Asia/Karachi")
    assert "tenant acme: Acme, plan Pro, Asia/Karachi\n" == finished.stdout


@pytest.mark.usefixtures("engine")
def test_tenants_are_listed_by_id(meterline: Run) -> None:
    expected = [["acme", "Acme", "Pro", "UTC"], ["karachi", "K", "unassigned", "Asia/Karachi"]]
    assert expected == cells(meterline("tenant", "list"))


def test_a_tenant_whose_id_and_name_are_digits_is_listed_as_it_is(meterline: Run) -> None:
    meterline("tenant", "add", "00012", "--name", "1.50", "--plan", "1e3")
    assert [["00012", "1.50", "1e3", "UTC"]] == cells(meterline("tenant", "list"))


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("tenant", "add", "acme"), 1, "tenant acme is there already"),
        (("tenant", "add", "a b"), 2, "a tenant id has 1 to 64 of"),
        (("tenant", "add", ""), 2, "a tenant id has 1 to 64 of"),
        (("tenant", "add", "x", "--plan", ""), 2, "plan needs 1 to 128 printable"),
        (("tenant", "add", "x", "--timezone", "Mars"), 2, "not an IANA time zone"),
        (("tenant", "set", "nobody", "--name", "x"), 1, "there is no tenant nobody"),
        (("tenant", "set", "acme", "--name", ""), 2, "name needs 1 to 128 printable"),
        (("tenant", "set", "acme"), 2, "say what to change"),
        (("key", "create"), 2, "Missing option '--scope'"),
        (("key", "create", "--scope", "admin"), 2, "scopes are ingest, read, tenants, series"),
        (("key", "create", "--scope", "read", "--tenant", "x"), 1, "there is no tenant x"),
        (("key", "revoke", "deadbeef"), 1, "there is no key deadbeef"),
        (("db", "downgrade", "0999"), 2, "can be taken back to base, 0001"),
        (("export",), 2, "Missing option '--tenant'"),
        (("export", "--tenant", "nobody"), 1, "there is no tenant nobody"),
        (("export", "--tenant", "acme", "--from", "2026-03-01"), 2, "--from and --to go together"),
        ((*EXPORT_MARCH, "--range", "30d"), 2, "give --range, or --from and --to"),
        ((*EXPORT_MARCH, "--to", "2026-02-01"), 2, "the range ends before it starts"),
        ((*EXPORT_MARCH, "--to", "2026-02-30"), 2, "'2026-02-30' does not match"),
        (("export", "--tenant", "acme", "--range", "7d"), 2, "'7d' is not one of"),
        (("verify", "--tenant", "nobody"), 1, "there is no tenant nobody"),
        (("rebuild", "rollups", "--tenant", "nobody"), 1, "there is no tenant nobody"),
        (("rebuild",), 2, "Usage: meterline rebuild"),
        (("frobnicate",), 2, "No such command 'frobnicate'"),
        ((), 2, "Usage: meterline"),
    ],
)
def test_a_wrong_command_has_its_exit_code_and_a_reason(
    meterline: Run, arguments: tuple[str, ...], code: int, words: str
) -> None:
    finished = meterline(*arguments)
    assert (code, True) == (finished.returncode, words in finished.stderr)


@pytest.mark.usefixtures("engine")
def test_the_secret_of_a_key_opens_the_ledger(meterline: Run, engine: sa.Engine) -> None:
    secret = meterline("key", "create", "--scope", "ingest", "--tenant", "acme").stdout.strip()
    found = look_up_key(engine, secret)
    assert (True, "acme") == (found is not None, found and found.tenant_id)


def test_a_listed_key_shows_what_it_is_for(meterline: Run) -> None:
    meterline("key", "create", "--scope", "read", "--scope", "ingest", "--label", "host")
    assert ["(host)", "ingest", "read", "host"] == cells(meterline("key", "list"))[0][1:5]


def test_a_list_of_keys_never_shows_a_secret(meterline: Run) -> None:
    secret = meterline("key", "create", "--scope", "ingest").stdout.strip()
    assert secret not in meterline("key", "list").stdout


def test_the_secret_alone_is_on_standard_output(meterline: Run) -> None:
    finished = meterline("key", "create", "--scope", "ingest")
    assert (1, True) == (len(finished.stdout.split()), finished.stdout.startswith("mtl_"))


def test_a_revoked_key_opens_nothing(meterline: Run, engine: sa.Engine) -> None:
    finished = meterline("key", "create", "--scope", "ingest")
    meterline("key", "revoke", finished.stderr.split()[1].rstrip(";"))
    assert None is look_up_key(engine, finished.stdout.strip())


@pytest.mark.usefixtures("costed")
def test_an_export_is_csv_of_days_channels_and_features(meterline: Run) -> None:
    lines = (
        "2026-03-09,ai,outbound,openai,ai_sms,1,0.005\n"
        "2026-03-09,sms,outbound,twilio,broadcast,2,0.0178\n"
    )
    assert HEADER + lines == meterline(*EXPORT_MARCH).stdout


@pytest.mark.usefixtures("costed")
def test_an_export_includes_the_last_day_that_is_named(meterline: Run) -> None:
    day = ("--from", "2026-03-09", "--to", "2026-03-09")
    assert 3 == len(meterline("export", "--tenant", "acme", *day).stdout.splitlines())


@pytest.mark.usefixtures("costed")
@pytest.mark.parametrize("tenant", ["karachi", "acme"])
def test_an_export_of_days_without_usage_is_a_header(meterline: Run, tenant: str) -> None:
    day = ("--from", "2026-03-10", "--to", "2026-03-11")
    assert HEADER == meterline("export", "--tenant", tenant, *day).stdout


@pytest.mark.usefixtures("costed")
def test_an_export_may_name_the_last_day_there_is(meterline: Run) -> None:
    open_end = ("--from", "2026-03-01", "--to", "2199-12-31")
    assert 0 == meterline("export", "--tenant", "acme", *open_end).returncode


@pytest.mark.usefixtures("booked")
def test_usage_without_a_price_has_an_empty_cost(meterline: Run) -> None:
    meterline("work", "--once", METERLINE_AI_FLAT_FALLBACK="off")
    assert "2026-03-09,ai,outbound,openai,ai_sms,1,\n" in meterline(*EXPORT_MARCH).stdout


@pytest.mark.usefixtures("booked")
def test_one_round_of_work_costs_what_is_booked(meterline: Run) -> None:
    assert "batches costed: 1\n" == meterline("work", "--once").stdout


@pytest.mark.usefixtures("costed")
def test_a_second_round_of_work_finds_nothing(meterline: Run) -> None:
    assert "batches costed: 0\n" == meterline("work", "--once").stdout


@pytest.mark.usefixtures("costed")
def test_verify_of_a_sound_ledger_says_its_totals(meterline: Run) -> None:
    finished = meterline("verify")
    proof = "ledger = rollups = CSV: 3 events, 0.0228 USD"
    assert (0, proof) == (finished.returncode, finished.stdout.splitlines()[-1])


@pytest.mark.usefixtures("booked")
def test_verify_shows_what_is_not_costed_yet_apart(meterline: Run) -> None:
    assert ["acme", "0", "0", "0", "3"] == cells(meterline("verify"))[0]


@pytest.mark.usefixtures("costed")
def test_verify_of_a_false_rollup_names_the_first_difference(
    meterline: Run, engine: sa.Engine
) -> None:
    falsify(engine)
    finished = meterline("verify")
    assert (1, True) == (finished.returncode, "found 999" in finished.stderr)


@pytest.mark.usefixtures("costed")
def test_verify_of_another_tenant_passes_over_a_false_rollup(
    meterline: Run, engine: sa.Engine
) -> None:
    falsify(engine)
    assert 0 == meterline("verify", "--tenant", "karachi").returncode


@pytest.mark.usefixtures("costed")
def test_a_rebuild_mends_false_rollups(meterline: Run, engine: sa.Engine) -> None:
    falsify(engine)
    meterline("rebuild", "rollups")
    assert 0 == meterline("verify").returncode


@pytest.mark.usefixtures("costed")
def test_a_rebuild_of_true_rollups_changes_nothing(meterline: Run) -> None:
    told = meterline("rebuild", "rollups").stdout
    assert "rollup rows that were wrong and are mended: 0\n" == told


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_no_error(meterline: Run, flag: str) -> None:
    assert 0 == meterline(flag).returncode
