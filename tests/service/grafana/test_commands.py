"""`meterline grafana`, run as an operator does."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from api.embedding.keys import PRIVATE_FILE, PUBLIC_FILE
from grafana.dashboards.build import render
from grafana.dashboards.catalogue import TENANT_USAGE
from grafana.provisioning.names import OPERATOR_LOGIN, login_of
from grafana.provisioning.target import Target
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import close_tenant
from tests.builders import NOW
from tests.commands import Done, run_here
from tests.conftest import Run
from tests.standins.grafana_api import ADMIN, PASSWORD, GrafanaStandIn

pytestmark = pytest.mark.ledger("sqlite")

Command = Callable[..., Done]
Doctor = Callable[..., list[str]]

ACME, KARACHI = TenantId("acme"), TenantId("karachi")


@pytest.fixture
def settings(engine: sa.Engine, ledger_url: str, target: Target, tmp_path: Path) -> dict[str, str]:
    """Settings of a server with the stand-in and the tenants acme and karachi."""
    del engine
    return {
        "METERLINE_DATABASE_URL": ledger_url,
        "METERLINE_INFLUX_URL": "http://127.0.0.1:9",
        "METERLINE_GRAFANA_URL": target.url,
        "METERLINE_GRAFANA_USER": ADMIN,
        "METERLINE_GRAFANA_PASSWORD": PASSWORD,
        "METERLINE_GRAFANA_KEYS": str(tmp_path / "keys"),
        "METERLINE_GRAFANA_GATEWAY_URL": target.gateway_url,
    }


@pytest.fixture
def command(settings: dict[str, str]) -> Command:
    """Run `meterline grafana` against the stand-in."""

    def run(*arguments: str, **changes: str) -> Done:
        return run_here("grafana", *arguments, **{**settings, **changes})

    return run


@pytest.fixture
def doctor(settings: dict[str, str]) -> Doctor:
    """Run `meterline doctor`; return what it says of Grafana."""

    def run(**changes: str) -> list[str]:
        lines = run_here("doctor", **{**settings, **changes}).stdout.splitlines()
        return [line for line in lines if re.search("(?i)grafana|provisioned", line)]

    return run


def test_all_tenants_and_the_viewer_of_operators_are_provisioned_and_the_second_time_is_quiet(
    command: Command, grafana: GrafanaStandIn
) -> None:
    first = command("provision")
    assert (0, "") == (first.returncode, first.stderr)
    boards = {
        tenant: grafana.boards[grafana.org_of(login_of(tenant)), TENANT_USAGE.uid]["dashboard"]
        for tenant in (ACME, KARACHI)
    }
    assert [render(TENANT_USAGE, timezone=zone)["panels"] for zone in ("UTC", "Asia/Karachi")] == [
        boards[tenant]["panels"] for tenant in (ACME, KARACHI)
    ]
    assert 1 == grafana.org_of(OPERATOR_LOGIN)
    before = len(grafana.writes)
    expected = [f"{name}: as it should be" for name in ("operators", "acme", "karachi")]
    assert expected == command("provision").stdout.splitlines()
    assert before == len(grafana.writes)


def test_one_tenant_is_provisioned_rotated_and_removed(
    command: Command, grafana: GrafanaStandIn
) -> None:
    made = command("provision", "--tenant", "karachi").stdout
    expected = ("organisation", "viewer", "data source", "folder", "board Usage and cost")
    rotated = command("rotate", "--tenant", "karachi").stdout
    removed = command("remove", "karachi").stdout
    assert (
        f"karachi: {', '.join(f'made the {one}' for one in expected)}\n",
        "karachi: changed the data source\n",
        "karachi: removed the organisation, removed the viewer, revoked the key\n",
        ["Main Org."],
    ) == (made, rotated, removed, list(grafana.orgs.values()))


def test_a_closed_tenant_is_left_alone_and_its_board_is_taken_away_on_demand(
    command: Command, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    command("provision")
    with operator_session(engine, write=True) as session:
        close_tenant(session, ACME, now=NOW)
    assert "acme: is closed; left alone" in command("provision").stdout.splitlines()
    told = command("remove", "--closed").stdout.splitlines()
    assert ["acme: removed the organisation, removed the viewer, revoked the key"] == told
    assert ["Main Org.", "K (karachi)"] == list(grafana.orgs.values())


def test_what_cannot_be_done_is_told_and_the_others_go_on(
    command: Command, grafana: GrafanaStandIn
) -> None:
    finished = command("provision", METERLINE_GRAFANA_PASSWORD="wrong")
    assert (1, "", 3, False) == (
        finished.returncode,
        finished.stdout,
        finished.stderr.count("must be those of its server admin"),
        "wrong" in finished.stderr,
    )
    assert [] == grafana.writes


def test_without_grafana_the_command_says_what_to_set(meterline: Run) -> None:
    finished = meterline("grafana", "provision")
    assert (2, "error: set METERLINE_GRAFANA_URL first\n") == (
        finished.returncode,
        finished.stderr,
    )


def test_doctor_looks_at_keys_login_and_who_is_not_provisioned(
    doctor: Doctor, command: Command
) -> None:
    before = doctor()
    command("keys", "rotate")
    command("provision")
    after = doctor()
    assert (["WRONG", "ok", "note"], ["ok", "ok"]) == (
        [line.split()[0] for line in before],
        [line.split()[0] for line in after],
    )
    assert (
        "WRONG METERLINE_GRAFANA_URL: Grafana did not list"
        in doctor(METERLINE_GRAFANA_PASSWORD="wrong")[1]
    )


def test_signing_keys_are_made_and_rotated(command: Command, tmp_path: Path) -> None:
    first = command("keys", "rotate").stdout.splitlines()
    second = command("keys", "rotate").stdout.splitlines()
    signing = json.loads((tmp_path / "keys" / PRIVATE_FILE).read_bytes())
    assert [
        f"key {signing['current']['kid']} signs",
        f"key {signing['previous']['kid']} is believed until the next rotation",
        f"key {signing['next']['kid']} will sign after the next rotation",
        f"restart Grafana, so that it reads {tmp_path / 'keys' / PUBLIC_FILE}",
    ] == second
    assert first[1] == second[0].replace("signs", "will sign after the next rotation")


def test_the_secret_of_a_signing_key_is_not_printed(command: Command, tmp_path: Path) -> None:
    printed = command("keys", "rotate").stdout
    signing = json.loads((tmp_path / "keys" / PRIVATE_FILE).read_bytes())
    assert [] == [one for one in signing.values() if one["d"] in printed]


def test_first_keys_are_made_once_however_often_they_are_asked_for(
    command: Command, tmp_path: Path
) -> None:
    def made() -> list[bytes]:
        command("keys", "rotate", "--first")
        return [(tmp_path / "keys" / name).read_bytes() for name in (PRIVATE_FILE, PUBLIC_FILE)]

    assert made() == made()
