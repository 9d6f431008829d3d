"""Runs `meterline` in this process: starting one takes longer than most of what commands do."""

from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner

from cli.main import main


class Done(NamedTuple):
    """What a command said and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def run_here(*arguments: str | Path, **environment: str) -> Done:
    """Run a command with these settings; return what came of it."""
    result = CliRunner(env=environment).invoke(main, [str(each) for each in arguments])
    return Done(result.exit_code, result.stdout, result.stderr)
