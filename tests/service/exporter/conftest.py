"""Fixtures: `meterline exporter` as a process, scraped over HTTP."""

import http.client
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import Launcher, wait_until

_LISTENS = re.compile(r"metrics at http://127\.0\.0\.1:(\d+)/metrics")


class Answer(NamedTuple):
    """What came over HTTP."""

    status: int
    body: bytes


class Exporter:
    """A running `meterline exporter`, which takes a port that is free."""

    def __init__(self, launcher: Launcher) -> None:
        self.running = launcher.start("exporter", "--port", "0")
        wait_until(self._is_ready, f"the exporter listens; {self.running.log}")
        self.port = int(_LISTENS.findall(self.log)[0])

    @property
    def log(self) -> str:
        """What it has said."""
        return self.running.log.read_text()

    def get(self, path: str = "/metrics", *, seconds: float = 30.0) -> Answer:
        """Ask for a page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()

    def scrape(self) -> dict[str, float]:
        """Return our samples: the value by name, or by `name label` where there is a label."""
        answer = self.get()
        assert answer.status == 200, answer
        return {
            " ".join([sample.name, *sample.labels.values()]): sample.value
            for family in text_string_to_metric_families(answer.body.decode())
            for sample in family.samples
            if sample.name.startswith("meterline_")
        }

    def terminate(self) -> None:
        """Ask it to end."""
        self.running.signal(signal.SIGTERM)

    def _is_ready(self) -> bool:
        if self.running.has_ended():
            raise AssertionError(f"the exporter ended: {self.log}")
        return _LISTENS.search(self.log) is not None


Export = Callable[..., Exporter]


@pytest.fixture
def export(tmp_path: Path, ledger_url: str) -> Iterator[Export]:
    """Start an exporter on the test's ledger, or another, with settings."""
    launchers: list[Launcher] = []

    def start(*, url: str = ledger_url, **settings: str) -> Exporter:
        folder = tmp_path / f"exporter{len(launchers)}"
        launchers.append(Launcher(folder, url, **settings))
        return Exporter(launchers[-1])

    yield start
    for launcher in launchers:
        launcher.close()
