"""Starts Debian's Alertmanager on loopback, with our configuration and a receiver of the test."""

import http.client
import re
import subprocess
from pathlib import Path

from tests.processes import Running, free_port, wait_until
from tests.servers.presence import find_program

CONFIG = Path(__file__).parents[2] / "deploy/alertmanager/alertmanager.yml"

_LOOPBACK = "127.0.0.1"
_OK = 200


class Alertmanager:
    """A running Alertmanager that waits for nothing; it tells what is at an address.

    Args:
        folder: for its files.
        receiver: address in the place of that of both receivers.
    """

    def __init__(self, folder: Path, *, receiver: str) -> None:
        program = find_program("prometheus-alertmanager")
        folder.mkdir(parents=True)
        config = folder / "alertmanager.yml"
        config.write_text(hurry(CONFIG.read_text(), receiver=receiver))
        self.port = free_port()
        self._running = Running(
            [
                program,
                f"--config.file={config}",
                f"--storage.path={folder / 'data'}",
                f"--web.listen-address={_LOOPBACK}:{self.port}",
                "--cluster.listen-address=",
            ],
            folder=folder,
        )
        wait_until(self._is_ready, f"Alertmanager answers; {self._running.log}")

    def close(self) -> None:
        """End it."""
        self._running.kill()

    def _is_ready(self) -> bool:
        if self._running.has_ended():
            raise AssertionError(f"Alertmanager ended: {self._running.log.read_text()}")
        connection = http.client.HTTPConnection(_LOOPBACK, self.port, timeout=10)
        try:
            connection.request("GET", "/-/ready")
            return connection.getresponse().status == _OK
        except OSError:
            return False
        finally:
            connection.close()


def hurry(config: str, *, receiver: str) -> str:
    """Return our configuration with another receiver, that tells at once what is new."""
    told, addresses = re.subn(r"http://127\.0\.0\.1:9095", receiver, config)
    told, waits = re.subn(r"group_(wait|interval): \w+", r"group_\1: 200ms", told)
    assert (2, 2) == (addresses, waits)
    return told


def check_config() -> str:
    """Return what amtool finds wrong with our configuration; nothing where it is sound."""
    command: list[str | Path] = [find_program("amtool"), "check-config", CONFIG]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr
