"""Starts Debian's Prometheus on loopback, with its data in a temporary folder."""

import http.client
import json
import subprocess
import urllib.parse
from pathlib import Path
from typing import Any

from tests.processes import Running, free_port, wait_until
from tests.servers.presence import find_program

_LOOPBACK = "127.0.0.1"
_OK = 200

_CONFIG = """
global:
  scrape_interval: 200ms
  scrape_timeout: 200ms
  evaluation_interval: 200ms
scrape_configs:
  - job_name: meterline
    static_configs:
      - targets: ["127.0.0.1:{target}"]
"""
_ALERTING = """
rule_files: ["{rules}"]
alerting:
  alertmanagers:
    - static_configs:
        - targets: ["127.0.0.1:{alertmanager}"]
"""


class Prometheus:
    """A running Prometheus that scrapes one loopback port every 200 ms.

    Args:
        folder: for its files.
        target: the port.
        rules: a file of rules to look at as often.
        alertmanager: the port of the Alertmanager that hears what fires by them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        target: int,
        rules: Path | None = None,
        alertmanager: int | None = None,
    ) -> None:
        program = find_program("prometheus")
        folder.mkdir(parents=True)
        config = folder / "prometheus.yml"
        alerting = "" if rules is None else _ALERTING.format(rules=rules, alertmanager=alertmanager)
        config.write_text(_CONFIG.format(target=target) + alerting)
        self._port = free_port()
        self._running = Running(
            [
                program,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={_LOOPBACK}:{self._port}",
            ],
            folder=folder,
        )
        wait_until(self._is_ready, f"Prometheus answers; {self._running.log}")

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and the value of each series that an expression has now."""
        parameters = urllib.parse.urlencode({"query": expression})
        result = self._ask(f"/api/v1/query?{parameters}")["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def value(self, expression: str) -> float | None:
        """Return the one value of an expression, None where it has none."""
        series = self.query(expression)
        assert len(series) <= 1, series
        return series[0][1] if series else None

    def types(self) -> dict[str, str]:
        """Return the type of every metric that was scraped last."""
        return {one["metric"]: one["type"] for one in self._ask("/api/v1/targets/metadata")}

    def close(self) -> None:
        """End it."""
        self._running.kill()

    def _is_ready(self) -> bool:
        if self._running.has_ended():
            raise AssertionError(f"Prometheus ended: {self._running.log.read_text()}")
        try:
            return self._get("/-/ready")[0] == _OK
        except (OSError, http.client.HTTPException):
            return False

    def _ask(self, path: str) -> Any:
        status, body = self._get(path)
        assert status == _OK, body
        return json.loads(body)["data"]

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(_LOOPBACK, self._port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def run_rules(test: Path) -> str:
    """Return what promtool says of a file that tests rules; it ends with SUCCESS where all hold."""
    command: list[str | Path] = [find_program("promtool"), "test", "rules", test]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    return (done.stdout + done.stderr).strip()


def check_metrics(page: bytes) -> str:
    """Return what promtool finds wrong with a metrics page; nothing where it is clean."""
    done = subprocess.run(
        [find_program("promtool"), "check", "metrics"], input=page, capture_output=True, check=False
    )
    found = (done.stdout + done.stderr).decode()
    assert bool(found) == (done.returncode != 0), (done.returncode, found)
    return found
