"""The units are what systemd takes, and start commands that there are."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import main
from tests.servers.presence import find_program

FOLDER = Path(__file__).parents[3] / "deploy/systemd"
UNITS = sorted(FOLDER.glob("meterline-*"))
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
INSTALLED = "/opt/meterline/bin/meterline"


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return copies that start the command of this environment."""
    folder = tmp_path_factory.mktemp("units")
    meterline = str(Path(sys.executable).parent / "meterline")
    for unit in UNITS:
        (folder / unit.name).write_text(unit.read_text().replace(INSTALLED, meterline))
    return sorted(folder.iterdir())


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [find_program("systemd-analyze"), *arguments], capture_output=True, text=True, check=False
    )


def test_systemd_takes_every_unit_without_a_word(units: list[Path]) -> None:
    done = analyze("verify", "--man=no", *units)
    assert (0, "") == (done.returncode, done.stderr)


def test_a_misspelt_directive_is_found(units: list[Path], tmp_path: Path) -> None:
    wrong = tmp_path / units[0].name
    shutil.copy(units[0], wrong)
    wrong.write_text(wrong.read_text().replace("RestrictRealtime=", "RestrictRealtimes="))
    assert "RestrictRealtimes" in analyze("verify", "--man=no", wrong).stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_systemd_finds_little_that_a_service_may_do_without_need(unit: Path) -> None:
    done = analyze("security", "--offline=yes", "--threshold=17", unit)
    assert 0 == done.returncode, done.stdout


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_a_service_starts_a_command_with_options_that_there_are(unit: Path) -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
    program, *arguments = shlex.split(line)
    command = main
    while arguments and arguments[0] in getattr(command, "commands", {}):
        command = command.commands[arguments.pop(0)]  # type: ignore[assignment]
    command.make_context("meterline", arguments, resilient_parsing=False)
    assert INSTALLED == program


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a folder that is the root of a machine which docs/systemd.md was followed on."""
    for folder in ("etc/meterline/secrets", "var/lib/meterline", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    script = (FOLDER / "meterline").read_text()
    for place in ("/etc/meterline", "/var/lib/meterline", INSTALLED):
        assert place in script
    ours = Path(sys.executable).parent / "meterline"
    script = script.replace(INSTALLED, str(ours))
    script = re.sub(r"/(etc|var/lib)/meterline", rf"{tmp_path}/\1/meterline", script)
    (tmp_path / "bin/meterline").write_text(script)
    # Who runs the tests may not be able to become another user.
    (tmp_path / "bin/runuser").write_text('#!/bin/sh\necho "$@" >runuser\nshift 3\nexec "$@"\n')
    (tmp_path / "bin/runuser").chmod(0o755)
    return tmp_path


def run(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", machine / "bin/meterline", *arguments],
        env={"PATH": f"{machine / 'bin'}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_command_has_the_user_the_folder_the_settings_and_the_secrets_of_the_services(
    machine: Path,
) -> None:
    (machine / "etc/meterline/secrets/database_url").write_text("sqlite:///ledger.db\n")
    (machine / "etc/meterline/secrets/jwt_secret").write_text("never shown")
    (machine / "etc/meterline/settings").write_text(
        "# a note\nMETERLINE_JWT_ROLES=a b=$(id);`id`\nMETERLINE_JWT_ALGORITHM=HS256"
    )
    refused = run(machine, "db", "upgrade").stderr
    assert {"METERLINE_JWT_ROLES", "METERLINE_JWT_SECRET"} <= set(
        re.findall(r"^  (METERLINE_\w+):", refused, re.MULTILINE)
    )
    (machine / "etc/meterline/settings").unlink()
    (machine / "etc/meterline/secrets/jwt_secret").unlink()
    told = run(machine, "db", "upgrade")
    assert (0, True, "-u meterline -- ") == (
        told.returncode,
        (machine / "var/lib/meterline/ledger.db").exists(),
        re.sub(r"/.*", "", (machine / "var/lib/meterline/runuser").read_text().strip()),
    )
