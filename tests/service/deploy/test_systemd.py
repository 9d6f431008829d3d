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
UNITS = sorted(FOLDER.iterdir())
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
    done = analyze("security", "--offline=yes", "--threshold=25", unit)
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
