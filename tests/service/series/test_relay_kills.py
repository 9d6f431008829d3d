"""SIGKILL of the relay and of InfluxDB at random points, while usage is booked.

In the end the series hold every event once, to the nano-dollar. `METERLINE_SEED` repeats the
choices of a run, though not the timing of its processes.
"""

import os
import random
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from collector.intake import Intake
from tests.builders import NOW
from tests.clients import Figures, random_event
from tests.conftest import Run
from tests.onlooker import Onlooker
from tests.processes import Launcher
from tests.servers.influx import Influx
from tests.soaking import long_only

SETTINGS = {"METERLINE_INFLUX_TIMEOUT_SECONDS": "0.5"}
SUMS = 'sum("input_tokens"), sum("output_tokens")'


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is left when all is over."""

    usage: tuple[int, ...]
    figures: tuple[int, ...]
    waiting: tuple[int, int, int] = (0, 0, 0)
    work_exit: int = 0
    verify_exit: int = 0
    differences: str = ""


@dataclass
class Campaign:
    """Books usage, and kills whoever ships it or whoever takes it, by turns."""

    launcher: Launcher
    influx: Influx
    intake: Intake
    ledger: Onlooker
    rng: random.Random
    booked: list[dict[str, Any]] = field(default_factory=list)

    def run(self, kills: int, events: int) -> None:
        """Kill as often as asked, while so many events come."""
        self.worker = self.launcher.start("work")
        for number in range(kills):
            self._book(events * (number + 1) // kills - len(self.booked))
            self._wait()
            if number % 2:
                self.influx.kill()
                time.sleep(self.rng.choice((0, self.rng.uniform(0, 1.5))))
                self.influx.start()
            else:
                self.worker.kill()
                self.worker = self.launcher.start("work")
        self.worker.kill()

    def _book(self, count: int) -> None:
        events = [random_event(self.rng, "e") for _ in range(count)]
        results = self.intake.book(events, only_tenant=None, now=NOW)
        assert {"stored"} == {str(result.status) for result in results}
        self.booked += events

    def _wait(self) -> None:
        """Wait until something was shipped or marked, at most for a while, then a moment more."""
        before = self._progress()
        deadline = time.monotonic() + 3
        while self._progress() == before and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(self.rng.choice((0, self.rng.uniform(0, 0.05), self.rng.uniform(0, 0.5))))

    def _progress(self) -> object:
        query = (
            "SELECT (SELECT count(*) FROM unshipped_batches),"
            " (SELECT sum(shipped_revision) FROM usage_tenant_days),"
            " (SELECT max(lease_until) FROM relay_state)"
        )
        return self.ledger.row(query)


def read_outcome(influx: Influx, ledger: Onlooker, meterline: Run) -> Outcome:
    """Ship what is left, then read what every side says."""
    settings = {**SETTINGS, "METERLINE_INFLUX_URL": influx.url}
    worked = meterline("work", "--once", **settings)
    verified = meterline("verify", **settings)
    usage = influx.query(f'SELECT count("quantity"), {SUMS} FROM "usage"')[0]["values"][0]
    figures = influx.query(f'SELECT sum("count"), {SUMS}, sum("cost_nanos") FROM "usage_cost"')
    waiting = ledger.row(
        "SELECT (SELECT count(*) FROM unshipped_batches), (SELECT count(*) FROM usage_batches),"
        " (SELECT count(*) FROM usage_rollups_daily WHERE revision <> shipped_revision)"
    )
    return Outcome(
        usage=tuple(usage[1:]),
        figures=tuple(figures[0]["values"][0][1:]),
        waiting=waiting,
        work_exit=worked.returncode,
        verify_exit=verified.returncode,
        differences=verified.stderr,
    )


@pytest.mark.parametrize(
    ("kills", "events"),
    [(6, 3000), pytest.param(200, 200_000, marks=[pytest.mark.soak, long_only])],
)
def test_killing_relay_and_influxdb_at_any_moment_leaves_every_event_in_the_series_once(  # noqa: PLR0917 - fixtures
    kills: int,
    events: int,
    influx: Influx,
    intake: Intake,
    ledger: Onlooker,
    ledger_url: str,
    meterline: Run,
    tmp_path: Any,
) -> None:
    seed = os.environ.get("METERLINE_SEED") or f"{random.SystemRandom().getrandbits(32)}"
    print(f"METERLINE_SEED={seed}")  # noqa: T201 - shown when the test fails
    launcher = Launcher(
        tmp_path / "killed", ledger_url, METERLINE_INFLUX_URL=influx.url, **SETTINGS
    )
    campaign = Campaign(launcher, influx, intake, ledger, random.Random(seed))
    try:
        campaign.run(kills, events)
    finally:
        launcher.close()
    total = Figures()
    for event in campaign.booked:
        total = total.plus(event)
    tokens = (total.events, total.input_tokens, total.output_tokens)
    expected = Outcome(usage=tokens, figures=(*tokens, total.nanos))
    assert expected == read_outcome(influx, ledger, meterline)
