"""Starts our own commands as processes, kills them by their own ids, and posts events to them."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

_LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.01
_SOCKET_SECONDS = 10.0
_PATIENCE_SECONDS = 60.0
_READY = 200
_BOOKED = 200
_UNAVAILABLE = 503


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = 30.0) -> None:
    """Poll until the condition holds; fail, naming what was waited for, when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(_POLL_SECONDS)


class Member(NamedTuple):
    """One living process of a process group."""

    pid: int
    parent: int
    command: str


def list_members(group: int) -> list[Member]:
    """Return the living processes of a group; those that ended and were not reaped are left out."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):  # it ended while we looked
            state, parent, pgid = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(pgid) == group and state not in "ZX":
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.append(Member(int(folder.name), int(parent), command))
    return found


class Running:
    """A started command and all that it started: a process group that has its process id."""

    def __init__(self, command: Sequence[str | Path], *, folder: Path, **environment: str) -> None:
        self.log = folder / f"{time.monotonic_ns()}.log"
        # Coverage writes when a process ends; one that is killed would leave a broken data file.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env={**inherited, **environment},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def members(self) -> list[Member]:
        """Return the living processes of the group."""
        return list_members(self.pid)

    def has_ended(self) -> bool:
        """Whether the command itself ended. Leaves it unreaped, so that its id stays its own."""
        if self._process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def kill_member(self, pid: int) -> None:
        """SIGKILL one process of the group."""
        os.kill(pid, signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send the command itself a signal."""
        self._process.send_signal(number)

    def kill(self) -> bool:
        """SIGKILL the whole group; tell whether the command was still running."""
        was_running = not self.has_ended()
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        return was_running

    def wait(self) -> int:
        """Wait for the command to end; return its exit code."""
        return self._process.wait(timeout=_PATIENCE_SECONDS)


class Launcher:
    """Starts `meterline` on one ledger, every command in a process group of its own."""

    def __init__(self, folder: Path, database_url: str, **settings: str) -> None:
        folder.mkdir()
        self._folder = folder
        self._environment = {"METERLINE_DATABASE_URL": database_url, **settings}
        self._started: list[Running] = []

    def start(self, *arguments: str | Path) -> Running:
        """Start a command and return at once."""
        command = Path(sys.executable).parent / "meterline"
        running = Running([command, *arguments], folder=self._folder, **self._environment)
        self._started.append(running)
        return running

    def close(self) -> None:
        """Kill whatever still runs of what was started here."""
        for running in self._started:
            running.kill()


class Server:
    """A running `meterline serve`, ready to answer."""

    def __init__(self, launcher: Launcher, *options: str) -> None:
        self.port = free_port()
        arguments = ("serve", "--host", _LOOPBACK, "--port", str(self.port), *options)
        self.running = launcher.start(*arguments)
        wait_until(self._is_ready, f"the server answers; {self.running.log}")

    def _is_ready(self) -> bool:
        if self.running.has_ended():
            raise AssertionError(f"the server ended: {self.running.log.read_text()}")
        return self.get("/readyz") == _READY

    def get(self, path: str) -> int | None:
        """Return the status of an answer, None where there is none."""
        connection = http.client.HTTPConnection(_LOOPBACK, self.port, timeout=_SOCKET_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


class Sender:
    """Posts events with an ingest key over one kept connection.

    Args:
        secret: of a host key with the scope `ingest`.
        port: returns where the server listens now; it moves when a server is started anew.
    """

    def __init__(self, secret: str, port: Callable[[], int]) -> None:
        self._headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def send(self, events: Sequence[object]) -> list[str]:
        """Post the same batch again and again until it is answered; return the statuses."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        body = json.dumps(events)
        while time.monotonic() < deadline:
            answer = self._post(body)
            if answer is not None:
                return [result["status"] for result in answer["results"]]
            time.sleep(_POLL_SECONDS)
        raise AssertionError(f"no answer within {_PATIENCE_SECONDS} s")

    def _post(self, body: str) -> dict[str, Any] | None:
        """Post once; None where nobody answered or the ledger was unavailable."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                _LOOPBACK, self._port(), timeout=_SOCKET_SECONDS
            )
        try:
            self._connection.request("POST", "/api/v1/events", body, self._headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        if response.status == _UNAVAILABLE:
            return None
        if response.status != _BOOKED:
            raise AssertionError(f"status {response.status}: {text.decode()}")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def close(self) -> None:
        """Close the connection; the next batch opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
