"""Runs `meterline` again and again, forked from one process that has imported it.

Importing takes longer than most of what commands do. Each run is a process of its own all the same,
with its own arguments, environment, folder and streams, and ends as any other.
"""

import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PROGRAM = Path(sys.executable).parent / "meterline"
_STARTED_WITH = ("PYTHON", "COVERAGE", "LC_", "LANG", "TZ")
"""What is read as Python starts: a fork would not see it."""


class Commands:
    """Runs commands, and keeps the process that forks them."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._streams = [Path(self._folder.name, name) for name in ("stdout", "stderr")]
        self._busy = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forking"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        seconds: float,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command without input, and wait for its end.

        Args:
            arguments: what comes after `meterline`.
            environment: all of its environment.
            folder: where it runs.
            seconds: it is killed after so many.

        Raises:
            subprocess.TimeoutExpired: it was killed.
        """
        if not _can_fork(environment) or not self._busy.acquire(blocking=False):
            return subprocess.run(
                [_PROGRAM, *arguments],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=seconds,
            )
        try:
            code = self._fork([*arguments], {**environment}, str(folder), seconds)
            stdout, stderr = (path.read_text() for path in self._streams)
        finally:
            self._busy.release()
        if code is None:
            raise subprocess.TimeoutExpired([_PROGRAM, *arguments], seconds, stdout, stderr)
        return subprocess.CompletedProcess([_PROGRAM, *arguments], code, stdout, stderr)

    def _fork(self, *told: Any) -> int | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([*told, *map(str, self._streams)]) + "\n")
        self._process.stdin.flush()
        code: int | None = json.loads(self._process.stdout.readline())
        return code

    def close(self) -> None:
        """End the process that forks; all commands have ended."""
        self._process.communicate()
        self._folder.cleanup()


def _can_fork(environment: Mapping[str, str]) -> bool:
    """Whether a fork sees what a new process would; branches of a fork are not traced."""
    names = {name for name in {*environment, *os.environ} if name.startswith(_STARTED_WITH)}
    return "COVERAGE_PROCESS_CONFIG" not in names and all(
        environment.get(name) == os.environ.get(name) for name in names
    )


def _serve() -> None:
    from cli.main import main  # noqa: PLC0415 - who asks has no need of it

    gc.freeze()
    for line in sys.stdin:
        arguments, environment, folder, seconds, *streams = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(arguments, environment, folder, streams)
            main(prog_name=_PROGRAM.name)
        sys.stdout.write(json.dumps(_wait(child, seconds)) + "\n")
        sys.stdout.flush()


def _become(
    arguments: list[str], environment: dict[str, str], folder: str, streams: list[str]
) -> None:
    """Take over what a new process would have started with."""
    sys.argv = [str(_PROGRAM), *arguments]
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)


def _wait(child: int, seconds: float) -> int | None:
    """Return the exit code of a process; None where it had to be killed."""
    ended = os.pidfd_open(child)
    in_time, *_ = select.select([ended], [], [], seconds)
    os.close(ended)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if in_time else None


if __name__ == "__main__":
    _serve()
