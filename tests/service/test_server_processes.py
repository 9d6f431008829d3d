"""The processes of `meterline serve`: what one leaves behind when it is killed."""

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.builders import sms
from tests.conftest import Run
from tests.onlooker import Onlooker
from tests.processes import Launcher, Sender, Server, wait_until

WITHOUT_PAUSES = "import time; time.sleep = lambda _: None; from cli.main import main; main()"
"""gunicorn tries five times to listen, a second apart."""


@pytest.mark.usefixtures("engine")
def test_the_costing_worker_of_a_killed_server_ends_by_itself(
    launcher: Launcher, ledger: Onlooker, meterline: Run
) -> None:
    secret = meterline("key", "create", "--scope", "ingest").stdout.strip()
    server = Server(launcher)
    with closing(Sender(secret, lambda: server.port)) as sender:
        sender.send([sms()])
    rows = "SELECT count(*) FROM usage_rollups_daily"
    wait_until(lambda: ledger.row(rows) == (1,), "the worker has begun to cost")
    server.running.kill_member(server.running.pid)
    wait_until(lambda: server.running.members() == [], "all that the server started has ended")


@pytest.mark.usefixtures("engine")
def test_the_costing_worker_of_a_server_killed_at_its_start_ends_by_itself(
    launcher: Launcher,
) -> None:
    running = launcher.start("serve", "--port", "0")
    wait_until(lambda: len(running.members()) > 1, "the server has started its worker")
    running.kill_member(running.pid)
    wait_until(lambda: running.members() == [], "all that the server started has ended", seconds=8)


@pytest.mark.usefixtures("engine")
def test_the_server_keeps_no_connection_open_that_its_workers_would_inherit(
    launcher: Launcher, ledger_path: Path
) -> None:
    running = Server(launcher).running
    opened = [str(link.readlink()) for link in Path(f"/proc/{running.pid}/fd").iterdir()]
    assert [] == [path for path in opened if path.startswith(str(ledger_path))]


@pytest.mark.usefixtures("engine")
def test_a_costing_worker_that_died_is_replaced(launcher: Launcher) -> None:
    server = Server(launcher)
    wait_until(lambda: _costing_workers(server) != [], "the costing worker has begun")
    killed = _costing_workers(server)[0]
    server.running.kill_member(killed)
    wait_until(lambda: _costing_workers(server) not in ([], [killed]), "another worker has begun")


def _costing_workers(server: Server) -> list[int]:
    return [member.pid for member in server.running.members() if " work " in member.command]


def test_a_server_whose_port_is_taken_says_what_to_do(ledger_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = subprocess.run(
            [sys.executable, "-c", WITHOUT_PAUSES, "serve", "--no-work", "--port", str(port)],
            env={**os.environ, "METERLINE_DATABASE_URL": f"sqlite:///{ledger_path}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    told = f"error: cannot listen on 127.0.0.1:{port}; choose another by --port or --host"
    assert (1, told) == (finished.returncode, finished.stderr.splitlines()[-1])
