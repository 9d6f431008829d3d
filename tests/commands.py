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
    """Run a command with these settings; return what came of it.

    Raises what the command itself would end in a traceback for.
    """
    result = CliRunner(env=environment).invoke(main, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)
